"""Five classic problems and the boxes in which an expert expects good values.

Written down before any model was asked, from the papers and manuals named below, and not to be
changed after a run. The spaces are wide on purpose, as somebody would write them who does not know
where good values are: uniform draws land in a box about a third of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Set as AbstractSet
from dataclasses import dataclass
from typing import Any, TypeAlias

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)


# Lowest and highest good number, or the good choices.
Box: TypeAlias = tuple[float, float] | AbstractSet[Any]


@dataclass(frozen=True)
class Problem:
    """What is tuned, in a user's words, and what an expert would say about each parameter."""

    name: str
    task: str
    search_space: Mapping[str, BaseDistribution]
    boxes: Mapping[str, Box]


def is_inside(value: Any, box: Box) -> bool:
    """Tell whether an expert would call a value sensible."""
    if isinstance(box, tuple):
        low, high = box
        return bool(low <= value <= high)
    return value in box


# Devlin et al. 2018, appendix A.3 (batch 16-32, rate 2e-5 to 5e-5, 2-4 epochs); the defaults of
# google-research/bert (warm-up .1, weight decay .01, dropout .1).
_BERT = Problem(
    name="bert",
    task=(
        "bert-base-uncased is fine-tuned with AdamW to classify 10,000 product reviews by "
        "sentiment; validation accuracy is maximised."
    ),
    search_space={
        "learning_rate": FloatDistribution(1e-6, 1e-2, log=True),
        "per_device_train_batch_size": IntDistribution(4, 256, log=True),
        "num_train_epochs": IntDistribution(1, 30),
        "weight_decay": FloatDistribution(1e-6, 1.0, log=True),
        "warmup_ratio": FloatDistribution(0.0, 0.9),
        "hidden_dropout_prob": FloatDistribution(0.0, 0.9),
    },
    boxes={
        "learning_rate": (1e-5, 1e-4),
        "per_device_train_batch_size": (8, 64),
        "num_train_epochs": (2, 5),
        "weight_decay": (1e-3, 1e-1),
        "warmup_ratio": (0.0, 0.2),
        "hidden_dropout_prob": (0.05, 0.3),
    },
)

# XGBoost's parameter page (defaults .3, 6, 1, 1, 1, 1) and the ranges of its tuning notes; Probst
# et al. 2019, table 3, for the number of rounds and the rate.
_XGBOOST = Problem(
    name="xgboost",
    task=(
        "XGBoost's XGBClassifier predicts customer churn from 10,000 rows with 20 features; "
        "the AUC in cross-validation is maximised."
    ),
    search_space={
        "learning_rate": FloatDistribution(1e-4, 1.0, log=True),
        "max_depth": IntDistribution(1, 30),
        "n_estimators": IntDistribution(10, 10_000, log=True),
        "subsample": FloatDistribution(0.05, 1.0),
        "colsample_bytree": FloatDistribution(0.05, 1.0),
        "min_child_weight": FloatDistribution(1e-3, 1e3, log=True),
        "reg_lambda": FloatDistribution(1e-6, 1e3, log=True),
    },
    boxes={
        "learning_rate": (0.01, 0.3),
        "max_depth": (3, 10),
        "n_estimators": (100, 2000),
        "subsample": (0.5, 1.0),
        "colsample_bytree": (0.5, 1.0),
        "min_child_weight": (1.0, 10.0),
        "reg_lambda": (0.1, 10.0),
    },
)

# Probst, Wright, Boulesteix 2019, "Hyperparameters and tuning strategies for random forest";
# scikit-learn's user guide 1.11.2.3 (fully grown trees, sqrt of the features, small leaves).
_FOREST = Problem(
    name="random-forest",
    task=(
        "scikit-learn's RandomForestClassifier predicts credit default from 20,000 rows with 30 "
        "features; accuracy in cross-validation is maximised."
    ),
    search_space={
        "n_estimators": IntDistribution(5, 5000, log=True),
        "max_depth": IntDistribution(1, 200, log=True),
        "min_samples_split": IntDistribution(2, 200, log=True),
        "min_samples_leaf": IntDistribution(1, 200, log=True),
        "max_features": CategoricalDistribution(("sqrt", "log2", None)),
        "bootstrap": CategoricalDistribution((True, False)),
    },
    boxes={
        "n_estimators": (100, 1000),
        "max_depth": (8, 50),
        "min_samples_split": (2, 10),
        "min_samples_leaf": (1, 5),
        "max_features": {"sqrt", "log2"},
        "bootstrap": {True},
    },
)

# scikit-learn's MLPClassifier (defaults 1e-3, 100, 1, 1e-4, min(200, n), relu); Bengio 2012,
# "Practical recommendations for gradient-based training of deep architectures".
_MLP = Problem(
    name="mlp",
    task=(
        "scikit-learn's MLPClassifier, trained with Adam, classifies 5,000 rows with 40 "
        "standardised features; validation accuracy is maximised."
    ),
    search_space={
        "learning_rate_init": FloatDistribution(1e-6, 1.0, log=True),
        "hidden_units": IntDistribution(4, 4096, log=True),
        "n_layers": IntDistribution(1, 10),
        "alpha": FloatDistribution(1e-8, 10.0, log=True),
        "batch_size": IntDistribution(2, 2048, log=True),
        "activation": CategoricalDistribution(("identity", "logistic", "tanh", "relu")),
    },
    boxes={
        "learning_rate_init": (1e-4, 1e-2),
        "hidden_units": (32, 512),
        "n_layers": (1, 3),
        "alpha": (1e-5, 1e-2),
        "batch_size": (16, 256),
        "activation": {"tanh", "relu"},
    },
)

# scikit-learn's LogisticRegression (defaults C 1, tol 1e-4, 100 iterations, lbfgs, which its
# documentation calls a good default; liblinear for small data; saga for large).
_LOGISTIC = Problem(
    name="logistic-regression",
    task=(
        "scikit-learn's LogisticRegression classifies 5,000 patients by 25 standardised "
        "features; the log loss in cross-validation is minimised."
    ),
    search_space={
        "C": FloatDistribution(1e-6, 1e6, log=True),
        "tol": FloatDistribution(1e-10, 1.0, log=True),
        "max_iter": IntDistribution(5, 100_000, log=True),
        "solver": CategoricalDistribution(("lbfgs", "liblinear", "newton-cg", "sag", "saga")),
        "class_weight": CategoricalDistribution((None, "balanced")),
    },
    boxes={
        "C": (0.01, 10.0),
        "tol": (1e-6, 1e-3),
        "max_iter": (100, 5000),
        "solver": {"lbfgs", "liblinear", "saga"},
        # The log loss is that of the data's own frequencies.
        "class_weight": {None},
    },
)

PROBLEMS = (_BERT, _XGBOOST, _FOREST, _MLP, _LOGISTIC)
