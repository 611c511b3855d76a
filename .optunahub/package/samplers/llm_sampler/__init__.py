from optuna_llm_sampler import DefaultBaseSampler, LLMSampler, OpenAI


__all__ = ["DefaultBaseSampler", "LLMSampler", "OpenAI"]
