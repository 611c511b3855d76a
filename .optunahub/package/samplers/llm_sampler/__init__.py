from optuna_llm_sampler import DefaultBaseSampler
from optuna_llm_sampler import LLMSampler
from optuna_llm_sampler import OpenAI


__all__ = ["DefaultBaseSampler", "LLMSampler", "OpenAI"]
