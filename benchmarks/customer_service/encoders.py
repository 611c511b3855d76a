"""What is trained: a tiny transformer from its configuration, or a pretrained one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from .config import UsageError
from .data import Data


MAX_TOKENS = 64

_HIDDEN = 64
_HEADS = 4
_MAX_LAYERS = 4
_VOCABULARY = 2000
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_PAD, _UNK, _CLS, _SEP = range(4)


class EncoderError(UsageError):
    """There is no such encoder."""


class Encoder(Protocol):
    """A way to make a classifier of one configuration of hyperparameters."""

    pad_id: int

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """The hyperparameters."""
        ...

    @property
    def description(self) -> str:
        """What is trained, in words for the model that proposes hyperparameters."""
        ...

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Turn texts into token ids, at most :data:`MAX_TOKENS` each."""
        ...

    def build(self, params: Mapping[str, Any]) -> Any:
        """Return a new classifier. Its random weights come from torch's global seed."""
        ...


def make_encoder(name: str, data: Data, max_epochs: int | None = None) -> Encoder:
    """Return ``"tiny"`` or the pretrained encoder in a folder or on the hub."""
    if name == "tiny":
        return TinyEncoder(data, max_epochs)
    try:
        return PretrainedEncoder(name, data, max_epochs)
    except Exception as error:  # of the hub, of a folder without a model, of an unknown kind
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EncoderError(f"--encoder {name} cannot be had: {reason}") from error


class TinyEncoder:
    """A ModernBERT of one to four layers with random weights, and a tokenizer of its own.

    Both are made from the training queries alone. Averaging over the tokens rather than reading
    the first one lets so small a model learn from a few hundred queries.
    """

    pad_id = _PAD

    def __init__(self, data: Data, max_epochs: int | None = None) -> None:
        self._n_categories = len(data.categories)
        self._tokenizer = _train_tokenizer(data.train.texts)
        self._epochs = _epochs(len(data.train), max_epochs, rows=60_000, most=25)

    @property
    def space(self) -> dict[str, BaseDistribution]:
        return {
            "learning_rate": FloatDistribution(1e-4, 3e-2, log=True),
            **_common_space(self._epochs),
            "n_layers": IntDistribution(1, _MAX_LAYERS),
        }

    @property
    def description(self) -> str:
        return (
            "a very small transformer encoder (ModernBERT, hidden size 64, n_layers layers, "
            "mean pooling) trained from scratch, from random weights, not pretrained"
        )

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        encoded = self._tokenizer.encode_batch(list(texts))
        return [[_CLS, *item.ids[: MAX_TOKENS - 2], _SEP] for item in encoded]

    def build(self, params: Mapping[str, Any]) -> Any:
        from transformers import AutoModelForSequenceClassification, ModernBertConfig

        dropout = params["dropout"]
        config = ModernBertConfig(
            vocab_size=self._tokenizer.get_vocab_size(),
            hidden_size=_HIDDEN,
            intermediate_size=2 * _HIDDEN,
            num_hidden_layers=params["n_layers"],
            num_attention_heads=_HEADS,
            max_position_embeddings=MAX_TOKENS,
            local_attention=MAX_TOKENS,
            pad_token_id=_PAD,
            cls_token_id=_CLS,
            bos_token_id=_CLS,
            sep_token_id=_SEP,
            eos_token_id=_SEP,
            classifier_pooling="mean",
            embedding_dropout=dropout,
            mlp_dropout=dropout,
            attention_dropout=dropout,
            classifier_dropout=dropout,
            num_labels=self._n_categories,
        )
        return AutoModelForSequenceClassification.from_config(config)


class PretrainedEncoder:
    """An encoder from a folder or the hub, fine-tuned with its lowest layers frozen or not."""

    def __init__(self, name: str, data: Data, max_epochs: int | None = None) -> None:
        from transformers import AutoConfig, AutoTokenizer
        from transformers.utils import logging

        # What is said at every trial: that the classifier on top is new, and a bar for loading.
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self._name = name
        self._n_categories = len(data.categories)
        self._config = AutoConfig.from_pretrained(name)
        self._tokenizer = AutoTokenizer.from_pretrained(name)
        self._epochs = _epochs(len(data.train), max_epochs, rows=20_000, most=10)
        self.pad_id = self._tokenizer.pad_token_id or 0

    @property
    def space(self) -> dict[str, BaseDistribution]:
        return {
            "learning_rate": FloatDistribution(5e-6, 1e-4, log=True),
            **_common_space(self._epochs),
            "frozen_layers": IntDistribution(0, self._config.num_hidden_layers),
        }

    @property
    def description(self) -> str:
        return (
            f"a pretrained transformer encoder ({self._config.model_type}, "
            f"{self._config.num_hidden_layers} layers, hidden size {self._config.hidden_size}), "
            "fine-tuned with a new classification head; frozen_layers of its lowest layers and "
            "the embeddings below them stay as they are"
        )

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        encoded = self._tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)
        return [list(ids) for ids in encoded["input_ids"]]

    def build(self, params: Mapping[str, Any]) -> Any:
        from transformers import AutoModelForSequenceClassification

        model = AutoModelForSequenceClassification.from_pretrained(
            self._name,
            num_labels=self._n_categories,
            ignore_mismatched_sizes=True,
            **_dropouts(self._config.to_dict(), params["dropout"]),
        )
        _freeze(model, params["frozen_layers"])
        return model


def _common_space(epochs: IntDistribution) -> dict[str, BaseDistribution]:
    return {
        "batch_size": IntDistribution(32, 256, log=True),
        "epochs": epochs,
        "weight_decay": FloatDistribution(1e-4, 0.3, log=True),
        "warmup_ratio": FloatDistribution(0.0, 0.3),
        "dropout": FloatDistribution(0.0, 0.5),
        "label_smoothing": FloatDistribution(0.0, 0.2),
    }


def _epochs(n_train: int, max_epochs: int | None, *, rows: int, most: int) -> IntDistribution:
    """Return fewer epochs for more data, so that a trial of any data is of bearable length."""
    high = min(max(rows // n_train, 4), most) if max_epochs is None else max_epochs
    return IntDistribution(max(high // 8, 1), high)


def _train_tokenizer(texts: Sequence[str]) -> Any:
    from tokenizers import models, normalizers, pre_tokenizers, Tokenizer, trainers

    # BPE, because WordPiece and Unigram give another vocabulary at each training on the same
    # texts (tokenizers 0.23), and then workers would not train the same model.
    tokenizer = Tokenizer(models.BPE(unk_token=_SPECIAL[_UNK]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        min_frequency=2,
        special_tokens=list(_SPECIAL),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _dropouts(config: Mapping[str, Any], dropout: float) -> dict[str, float]:
    """Every architecture has its own names for it, but "dropout" is in all of them."""
    return {
        key: dropout
        for key, value in config.items()
        if "dropout" in key and isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _freeze(model: Any, n_layers: int) -> None:
    import torch

    encoder = model.base_model
    stacks = [m for m in encoder.modules() if isinstance(m, torch.nn.ModuleList)]
    layers = max(stacks, key=len)
    if n_layers:
        for parameter in encoder.get_input_embeddings().parameters():
            parameter.requires_grad = False
    for layer in layers[:n_layers]:
        for parameter in layer.parameters():
            parameter.requires_grad = False
