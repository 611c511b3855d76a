"""The ``hf/`` back end, on a tiny model with random weights that is made here."""

from __future__ import annotations

import json
from pathlib import Path
import pickle
import re
import sys
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler
import pytest
import torch

from optuna_llm_sampler import LLMSampler, TransformersLLM
from optuna_llm_sampler.errors import (
    BadRequestError,
    CallTimeoutError,
    MissingExtraError,
    WeightsError,
)
from optuna_llm_sampler.llms import LLM, Message, Request, SCRIPT
from optuna_llm_sampler.llms.registry import resolve
from optuna_llm_sampler.llms.transformers import _engine_of


TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QUESTION: Message = {"role": "user", "content": "Good values, as `params = dict(lr=..., n=...)`."}
PREFILL: Message = {"role": "assistant", "content": "params = dict("}
GRAMMAR = r"""
start: "lr=" LR ", n=" N ")"
LR: /[1-9](\.[0-9])?e-[1-8]/
N: /[1-9][0-9]{0,2}/
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 of two layers and the tokenizer that belongs to it."""
    import tokenizers
    import transformers

    folder = tmp_path_factory.mktemp("tiny")
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    special = ["<|im_end|>", "<|im_start|>"]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([GRAMMAR * 3, TEMPLATE, "params = dict(lr=1e-3, n=16)"], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|im_end|>", chat_template=TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=512,  # more than the tokenizer has, as real models do
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        eos_token_id=0,
        initializer_range=0.5,
    )
    transformers.Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def llm(folder: Path) -> TransformersLLM:
    return TransformersLLM(folder, device="cpu")


def test_is_an_llm_and_a_string_names_it(folder: Path, llm: TransformersLLM) -> None:
    assert isinstance(llm, LLM)
    assert llm.name == f"hf/{folder.name}"
    assert str(llm.style) == "code"
    built = resolve(f"hf/{folder}")[1]()
    assert isinstance(built, TransformersLLM)
    assert built.model == str(folder)
    assert TransformersLLM("Qwen/Qwen2.5-7B-Instruct").name == "hf/Qwen/Qwen2.5-7B-Instruct"
    assert str(TransformersLLM("Qwen/Qwen2.5-7B-Instruct").style) == "json"
    assert vars(pickle.loads(pickle.dumps(llm))) == vars(llm)


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="^model must be"):
        TransformersLLM("")
    with pytest.raises(ValueError, match="^dtype must be"):
        TransformersLLM("x", dtype="int3")  # type: ignore[arg-type]


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(MissingExtraError):
        TransformersLLM("x")


def test_no_such_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match="transformers cannot load"):
        TransformersLLM(tmp_path, device="cpu").prepare()


def test_the_greedy_answer_is_that_of_generate(folder: Path, llm: TransformersLLM) -> None:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    prompt = f"{QUESTION['content']}\n{PREFILL['content']}"
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    expected = model.generate(ids, max_new_tokens=20, do_sample=False, pad_token_id=0)
    raw = TransformersLLM(folder, device="cpu", style=SCRIPT)
    request = Request(messages=(QUESTION, PREFILL), max_tokens=20, temperature=0.0, n=3)
    completion = raw.complete(request)
    assert set(completion.texts) == {tokenizer.decode(expected[0, ids.shape[1] :])}
    assert completion.usage.input_tokens == ids.shape[1]
    assert completion.finish_reason == "length"


def test_the_prompt_is_read_once_for_all_answers(llm: TransformersLLM) -> None:
    shapes: list[tuple[int, ...]] = []

    def note(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        shapes.append(tuple((args[0] if args else kwargs["input_ids"]).shape))

    handle = _engine_of(llm._settings()).model.register_forward_pre_hook(note, with_kwargs=True)
    completion = llm.complete(Request(messages=(QUESTION,), n=3, max_tokens=4, seed=1))
    handle.remove()
    assert len(completion.texts) == 3
    assert shapes[0] == (1, (completion.usage.input_tokens or 0) - 1)
    assert set(shapes[1:]) == {(3, 1)}


def test_a_grammar_is_enforced_and_the_answers_differ(llm: TransformersLLM) -> None:
    request = Request(messages=(QUESTION, PREFILL), grammar=GRAMMAR, n=8, max_tokens=60, seed=1)
    completion = llm.complete(request)
    assert len(completion.texts) == 8
    for text in completion.texts:
        assert re.fullmatch(r"lr=[1-9](\.[0-9])?e-[1-8], n=[1-9][0-9]{0,2}\)", text)
    assert len(set(completion.texts)) > 3
    assert completion.finish_reason == "stop"
    # The same model without the grammar writes nothing of the kind.
    free = llm.complete(Request(messages=(QUESTION, PREFILL), n=8, max_tokens=30, seed=1))
    assert not any(text.startswith("lr=") for text in free.texts)


def test_a_schema_is_enforced(llm: TransformersLLM) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 700, "maximum": 710}},
        "required": ["n"],
        "additionalProperties": False,
    }
    for text in llm.complete(Request(messages=(QUESTION,), schema=schema, n=4)).texts:
        assert 700 <= json.loads(text)["n"] <= 710


def test_a_broken_grammar_is_refused(llm: TransformersLLM) -> None:
    with pytest.raises(BadRequestError, match="does not take the grammar"):
        llm.complete(Request(messages=(QUESTION,), grammar="start: nothing_of_the_kind"))


def test_a_seed_is_kept_and_the_users_random_numbers_are_not_touched(
    llm: TransformersLLM,
) -> None:
    before = torch.random.get_rng_state()
    request = Request(messages=(QUESTION, PREFILL), grammar=GRAMMAR, n=2, max_tokens=60, seed=5)
    first = llm.complete(request).texts
    assert llm.complete(request).texts == first
    llm.complete(Request(messages=(QUESTION,), max_tokens=2))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_stop_texts_and_the_time(llm: TransformersLLM) -> None:
    stopped = llm.complete(
        Request(messages=(QUESTION,), grammar=GRAMMAR, stop=(", n",), max_tokens=60)
    )
    assert re.fullmatch(r"lr=[1-9](\.[0-9])?e-[1-8]", stopped.texts[0])
    with pytest.raises(CallTimeoutError):
        llm.complete(Request(messages=(QUESTION,), max_tokens=10**6, timeout=0.0))


def test_a_study_from_nothing_but_the_name(folder: Path) -> None:
    space: dict[str, BaseDistribution] = {
        "lr": FloatDistribution(1e-6, 1e-1, log=True),
        "n": IntDistribution(1, 999),
        "kind": CategoricalDistribution(["a", None, True]),
    }
    sampler = LLMSampler(
        f"hf/{folder}", search_space=space, base_sampler=RandomSampler(seed=0), seed=0
    )
    study = optuna.create_study(sampler=sampler)
    for _ in range(5):
        trial = study.ask(space)
        study.tell(trial, trial.params["lr"])
    # Even random weights write legal configurations.
    assert [trial.user_attrs["llm_source"] for trial in study.trials] == ["llm"] * 5
