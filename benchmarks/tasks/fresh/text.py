"""Short messages of a small grammar, sorted by a vectoriser and a classifier of one's choice."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
import warnings

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from .._task import Branching, Params, Task


_TRAIN, _TEST = 420, 1200
# Requests are "TOPIC is in STATE": a class is a pair, and the two are mixed into one sentence.
_TOPICS: Mapping[str, tuple[str, ...]] = {
    "berth": ("berth", "mooring", "jetty place", "pontoon", "quay", "slip", "landing"),
    "pilot": ("pilot", "tug", "pilot boat", "escort", "tow", "guide boat"),
    "crane": ("crane", "hoist", "derrick", "lifting gear", "gantry", "winch"),
}
_STATES: Mapping[str, tuple[str, ...]] = {
    "late": (
        "has not come",
        "is overdue",
        "keeps us waiting",
        "is hours behind",
        "did not turn up",
    ),
    "broken": ("has failed", "is damaged", "does not work", "came apart", "is out of order"),
    "billed": ("was charged twice", "is on the wrong bill", "costs too much", "was not refunded"),
}
_CLASSES = tuple(
    (topic, state)
    for topic in _TOPICS
    for state in _STATES
    if (topic, state) not in (("pilot", "broken"), ("crane", "billed"))
)
_OPENINGS = (
    "hello",
    "good day",
    "to the harbour office",
    "please",
    "urgent",
    "dear sirs",
    "again",
)
_SHIPS = ("Marbel", "Tessaly", "Old Kern", "Juniper", "Ostra", "Vidar", "Halcyon", "Brae")
_CLOSINGS = ("thanks", "please answer", "we leave at dawn", "call me", "regards", "as agreed")
_ASIDES = (
    "unlike last week the {other} {fine}",
    "the {other} {fine} this time",
    "it is not about the {other}",
    "we know that the {other} {fine}",
)
_FINE = ("is fine", "came in time", "was paid", "works", "has arrived", "was repaired")

_COMMON: dict[str, BaseDistribution] = {
    "lowercase": CategoricalDistribution((False, True)),
    "sublinear_tf": CategoricalDistribution((False, True)),
    "use_idf": CategoricalDistribution((False, True)),
    "norm": CategoricalDistribution(("none", "l1", "l2")),
}
_VECTORISERS: dict[str, dict[str, BaseDistribution]] = {
    "words": {
        "words_ngram_max": IntDistribution(1, 4),
        "words_min_count": IntDistribution(1, 30, log=True),
        "words_max_share": FloatDistribution(0.1, 1.0),
        "words_stop_words": CategoricalDistribution((False, True)),
    },
    "characters": {
        "characters_ngram_min": IntDistribution(1, 3),
        "characters_ngram_max": IntDistribution(3, 5),
        "characters_min_count": IntDistribution(1, 30, log=True),
        "characters_within_words": CategoricalDistribution((False, True)),
    },
    "hashing": {
        "hashing_n_features": IntDistribution(16, 8192, log=True),
        "hashing_ngram_max": IntDistribution(1, 4),
    },
}
_WEIGHTS = CategoricalDistribution(("none", "balanced"))
_CLASSIFIERS: dict[str, dict[str, BaseDistribution]] = {
    "logistic_regression": {
        "logistic_C": FloatDistribution(1e-3, 1e3, log=True),
        "logistic_class_weight": _WEIGHTS,
    },
    "linear_svm": {
        "svm_C": FloatDistribution(1e-3, 1e3, log=True),
        "svm_class_weight": _WEIGHTS,
    },
    "naive_bayes": {
        "bayes_alpha": FloatDistribution(1e-4, 1e2, log=True),
        "bayes_complement": CategoricalDistribution((False, True)),
    },
    "nearest_neighbours": {
        "neighbours_count": IntDistribution(1, 100, log=True),
        "neighbours_weights": CategoricalDistribution(("uniform", "distance")),
        "neighbours_metric": CategoricalDistribution(("cosine", "euclidean")),
    },
}
_SPACE = Branching(_COMMON, {"vectoriser": _VECTORISERS, "classifier": _CLASSIFIERS})


def _with_typos(rng: np.random.Generator, text: str) -> str:
    letters = list(text)
    for i in range(len(letters) - 1):
        chance = rng.random()
        if chance < 0.015:
            letters[i], letters[i + 1] = letters[i + 1], letters[i]
        elif chance < 0.03:
            letters[i] = ""
    typed = "".join(letters)
    return typed.upper() if rng.random() < 0.08 else typed


def _message(rng: np.random.Generator, label: int) -> str:
    topic, state = _CLASSES[label]

    def pick(options: tuple[str, ...]) -> str:
        # The later a word stands in its list, the rarer it is.
        share = 1.0 / (1.0 + np.arange(len(options)))
        return options[rng.choice(len(options), p=share / share.sum())]

    other = pick(tuple(_TOPICS))
    parts = [
        f"the {pick(_TOPICS[topic])} of the {rng.choice(_SHIPS)} {pick(_STATES[state])}",
        pick(_ASIDES).format(other=pick(_TOPICS[other]), fine=pick(_FINE)),
    ]
    if rng.random() < 0.35:
        parts.pop()
    if rng.random() < 0.5:
        parts.reverse()
    text = f"{pick(_OPENINGS)}, {' but '.join(parts)}. {pick(_CLOSINGS)}"
    return _with_typos(rng, text)


@cache
def _data() -> tuple[list[str], list[str], Any, Any]:
    rng = np.random.default_rng(129_650_773)
    share = np.array([0.3, 0.2, 0.14, 0.12, 0.1, 0.08, 0.06])
    labels = rng.choice(len(_CLASSES), size=_TRAIN + _TEST, p=share)
    texts = [_message(rng, label) for label in labels]
    wrong = rng.random(_TRAIN) < 0.06
    train = np.where(wrong, rng.integers(len(_CLASSES), size=_TRAIN), labels[:_TRAIN])
    return texts[:_TRAIN], texts[_TRAIN:], train, labels[_TRAIN:]


def _counts(params: Params, train: list[str], test: list[str]) -> tuple[Any, Any]:
    kind = params["vectoriser"]
    if kind == "words":
        vectoriser = CountVectorizer(
            lowercase=params["lowercase"],
            ngram_range=(1, params["words_ngram_max"]),
            min_df=params["words_min_count"],
            max_df=params["words_max_share"],
            stop_words="english" if params["words_stop_words"] else None,
        )
    elif kind == "characters":
        vectoriser = CountVectorizer(
            lowercase=params["lowercase"],
            analyzer="char_wb" if params["characters_within_words"] else "char",
            ngram_range=(params["characters_ngram_min"], params["characters_ngram_max"]),
            min_df=params["characters_min_count"],
        )
    else:
        vectoriser = HashingVectorizer(
            lowercase=params["lowercase"],
            n_features=params["hashing_n_features"],
            ngram_range=(1, params["hashing_ngram_max"]),
            # Naive Bayes takes no negative counts.
            alternate_sign=False,
            norm=None,
        )
    return vectoriser.fit_transform(train), vectoriser.transform(test)


def _classifier(params: Params) -> Any:
    kind = params["classifier"]
    if kind == "logistic_regression":
        weight = params["logistic_class_weight"]
        return LogisticRegression(
            C=params["logistic_C"], class_weight=None if weight == "none" else weight, max_iter=60
        )
    if kind == "linear_svm":
        weight = params["svm_class_weight"]
        return LinearSVC(
            C=params["svm_C"],
            class_weight=None if weight == "none" else weight,
            max_iter=150,
            random_state=0,
        )
    if kind == "naive_bayes":
        bayes = ComplementNB if params["bayes_complement"] else MultinomialNB
        return bayes(alpha=params["bayes_alpha"])
    return KNeighborsClassifier(
        n_neighbors=params["neighbours_count"],
        weights=params["neighbours_weights"],
        metric=params["neighbours_metric"],
        n_jobs=1,
    )


def _train(params: Params) -> float:
    """One minus the macro-averaged F1 score on messages that are not trained on."""
    train, test, train_y, test_y = _data()
    transformer = TfidfTransformer(
        norm=None if params["norm"] == "none" else params["norm"],
        use_idf=params["use_idf"],
        sublinear_tf=params["sublinear_tf"],
    )
    with threadpool_limits(1), warnings.catch_warnings():
        # What has not converged after so many steps is scored as it stands.
        warnings.simplefilter("ignore", ConvergenceWarning)
        left, right = _counts(params, train, test)
        left, right = transformer.fit_transform(left), transformer.transform(right)
        predicted = _classifier(params).fit(left, train_y).predict(right)
    return 1.0 - float(f1_score(test_y, predicted, average="macro"))


TASK = Task(
    name="fresh-text",
    family="fresh-text",
    description=(
        "Short messages to a harbour office, with typing errors and asides about other things, "
        "are sorted into 7 classes of unequal size by a vectoriser (words, characters or hashed "
        "words, then TF-IDF) and a classifier; there are 420 training messages and a few of their "
        "labels are wrong. "
        "One minus the macro-averaged F1 score on 1200 held-out messages is minimised."
    ),
    search_space=_SPACE.space,
    objective=_train,
    optimum=0.19964293,
    median_random=0.607771,
    defaults={
        "lowercase": True,
        "sublinear_tf": False,
        "use_idf": True,
        "norm": "l2",
        "vectoriser": "words",
        "words_ngram_max": 1,
        "words_min_count": 1,
        "words_max_share": 1.0,
        "words_stop_words": False,
        "classifier": "logistic_regression",
        "logistic_C": 1.0,
        "logistic_class_weight": "none",
    },
    suggest=_SPACE.suggest,
    conditions=_SPACE.conditions,
)
