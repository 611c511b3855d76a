"""Transfer between intent classifiers: the same pipeline, other intents."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier

from benchmarks.customer_service.data import Data, load, Split
from benchmarks.tasks._task import suggest_one


SPACE: dict[str, BaseDistribution] = {
    "loss": CategoricalDistribution(["hinge", "log_loss", "modified_huber", "perceptron"]),
    "alpha": FloatDistribution(1e-7, 1e-1, log=True),
    "epochs": IntDistribution(1, 20, log=True),
    "ngram_max": IntDistribution(1, 3),
    "min_df": IntDistribution(1, 20, log=True),
    "max_df": FloatDistribution(0.02, 1.0, log=True),
    "sublinear_tf": CategoricalDistribution([True, False]),
}
TASK = (
    "Short customer queries of a bank are assigned to one of 38 intents: TF-IDF of words, then "
    "scikit-learn's SGDClassifier. The classification error on validation queries is minimised."
)


def objective(source: str, half: int) -> Callable[[Trial], float]:
    """Return the objective of one half of the intents."""

    def error(trial: Trial) -> float:
        params = {name: suggest_one(trial, name, d) for name, d in SPACE.items()}
        train, validation = halves(source)[half]
        words = TfidfVectorizer(
            ngram_range=(1, params["ngram_max"]),
            min_df=params["min_df"],
            max_df=params["max_df"],
            sublinear_tf=params["sublinear_tf"],
        )
        model = SGDClassifier(
            loss=params["loss"],
            alpha=params["alpha"],
            max_iter=params["epochs"],
            tol=None,
            random_state=0,
        )
        model.fit(words.fit_transform(train.texts), train.labels)
        return 1.0 - float(model.score(words.transform(validation.texts), validation.labels))

    return error


@cache
def halves(source: str) -> tuple[tuple[Split, Split], tuple[Split, Split]]:
    """Cut the data into two sets of intents that have none in common."""
    data: Data = load(str(Path(source)) if source != "corpus" else source)
    order = sorted(range(len(data.categories)), key=lambda i: data.categories[i])
    first = set(order[: len(order) // 2])
    return (
        (_only(data.train, first), _only(data.validation, first)),
        (_only(data.train, set(order) - first), _only(data.validation, set(order) - first)),
    )


def _only(split: Split, labels: set[int]) -> Split:
    kept = [i for i, label in enumerate(split.labels) if label in labels]
    return Split(tuple(split.texts[i] for i in kept), tuple(split.labels[i] for i in kept))
