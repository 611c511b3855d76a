"""The documented defaults of what is tuned, found by the names of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
import importlib
from importlib.util import find_spec
import inspect
import json
import re
import subprocess
import sys
from types import ModuleType
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
import pytest

from optuna_llm_sampler._advice.documented.loaded import loaded_estimators
from optuna_llm_sampler._advice.documented.match import (
    documented_defaults,
    Estimator,
)


# By module, its name in ``sys.modules`` when users have imported it.
LIBRARIES = (
    "sklearn.ensemble",
    "sklearn.kernel_ridge",
    "sklearn.linear_model",
    "sklearn.neighbors",
    "sklearn.neural_network",
    "sklearn.svm",
    "sklearn.tree",
    "xgboost",
    "lightgbm",
    "torch.optim",
    "transformers.training_args",
)

# Arguments of CatBoostClassifier that people tune, as CatBoost 1.2.10 has them; every default is
# None. It is too large to be installed for tests.
CATBOOST = (
    "iterations learning_rate depth l2_leaf_reg model_size_reg rsm border_count random_seed "
    "leaf_estimation_iterations leaf_estimation_method one_hot_max_size random_strength "
    "bagging_temperature fold_len_multiplier boosting_type bootstrap_type subsample mvs_reg "
    "sampling_frequency max_depth n_estimators num_boost_round num_trees colsample_bylevel "
    "random_state reg_lambda eta max_bin scale_pos_weight early_stopping_rounds grow_policy "
    "min_data_in_leaf min_child_samples max_leaves num_leaves score_function model_shrink_rate "
    "langevin diffusion_temperature max_ctr_complexity auto_class_weights od_wait"
)


def stub_of_catboost() -> ModuleType:
    """A module with a class of CatBoost's name and arguments."""
    optional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    arguments = [inspect.Parameter(name, optional, default=None) for name in CATBOOST.split()]
    module = ModuleType("catboost")
    own = {"__module__": "catboost.core", "__signature__": inspect.Signature(arguments)}
    vars(module)["CatBoostClassifier"] = type("CatBoostClassifier", (), own)
    return module


@pytest.fixture(scope="module")
def estimators() -> tuple[Estimator, ...]:
    """Every estimator of every library at once: the hardest case."""
    for name in LIBRARIES:
        pytest.importorskip(name.partition(".")[0])
    modules = {name: importlib.import_module(name) for name in LIBRARIES}
    return loaded_estimators({**modules, "catboost": stub_of_catboost()})


def log(low: float, high: float) -> FloatDistribution:
    return FloatDistribution(low, high, log=True)


SHARE = FloatDistribution(0.0, 1.0)
# What is tuned, the space, the task's words, and what has to be found.
KNOWN: list[tuple[str, dict[str, BaseDistribution], dict[str, Any]]] = [
    (
        "sklearn.svm.SVC",
        {"C": log(1e-3, 1e3), "gamma": log(1e-5, 10.0)},
        {"C": 1.0},
    ),
    (
        "sklearn.svm.SVC",
        {
            "svm__C": log(1e-3, 1e3),
            "svm__kernel": CategoricalDistribution(["linear", "rbf"]),
            "svm__degree": IntDistribution(2, 5),
            "pca__n_components": IntDistribution(2, 20),
        },
        {"svm__C": 1.0, "svm__kernel": "rbf", "svm__degree": 3},
    ),
    (
        "sklearn.ensemble.RandomForestClassifier",
        {
            "n_estimators": IntDistribution(50, 500, step=50),
            "max_depth": IntDistribution(2, 32),
            "min_samples_leaf": IntDistribution(1, 10),
            "bootstrap": CategoricalDistribution([True, False]),
            "ccp_alpha": FloatDistribution(0.0, 0.1),
            "max_samples": FloatDistribution(0.5, 1.0),
        },
        # A forest of extra trees does not draw rows: these two differ, and nothing else does.
        {"n_estimators": 100, "min_samples_leaf": 1, "ccp_alpha": 0.0},
    ),
    (
        "sklearn.ensemble.GradientBoostingClassifier",
        {
            "n_estimators": IntDistribution(50, 500),
            "learning_rate": log(1e-3, 1.0),
            "max_depth": IntDistribution(1, 8),
            "subsample": FloatDistribution(0.3, 1.0),
            "min_samples_leaf": IntDistribution(1, 20),
        },
        {
            "n_estimators": 100,
            "learning_rate": 0.1,
            "max_depth": 3,
            "subsample": 1.0,
            "min_samples_leaf": 1,
        },
    ),
    (
        "sklearn.ensemble.HistGradientBoostingClassifier",
        {
            "learning_rate": log(1e-3, 1.0),
            "max_iter": IntDistribution(20, 500),
            "max_leaf_nodes": IntDistribution(4, 127),
            "l2_regularization": FloatDistribution(0.0, 10.0),
        },
        {
            "learning_rate": 0.1,
            "max_iter": 100,
            "max_leaf_nodes": 31,
            "l2_regularization": 0.0,
        },
    ),
    (
        "sklearn.neural_network.MLPClassifier",
        {
            "hidden_layer_sizes": IntDistribution(10, 200),
            "alpha": log(1e-6, 1.0),
            "learning_rate_init": log(1e-5, 1e-1),
            "activation": CategoricalDistribution(["tanh", "relu"]),
        },
        {
            "hidden_layer_sizes": 100,
            "alpha": 1e-4,
            "learning_rate_init": 1e-3,
            "activation": "relu",
        },
    ),
    (
        "sklearn.linear_model.LogisticRegression",
        {
            "C": log(1e-4, 1e4),
            "l1_ratio": SHARE,
            "class_weight": CategoricalDistribution([None, "balanced"]),
        },
        {"C": 1.0, "class_weight": None, "l1_ratio": 0.0},
    ),
    (
        "sklearn.neighbors.KNeighborsClassifier",
        {
            "n_neighbors": IntDistribution(1, 50),
            "weights": CategoricalDistribution(["uniform", "distance"]),
            "p": IntDistribution(1, 3),
        },
        {"n_neighbors": 5, "weights": "uniform", "p": 2},
    ),
    (
        "sklearn.tree.DecisionTreeClassifier",
        {
            "max_depth": CategoricalDistribution([None, 3, 10]),
            "splitter": CategoricalDistribution(["best", "random"]),
            "min_samples_split": IntDistribution(2, 20),
        },
        # An ExtraTreeClassifier has another splitter.
        {"max_depth": None, "min_samples_split": 2},
    ),
    (
        "sklearn.kernel_ridge.KernelRidge",
        {
            "alpha": log(1e-4, 1e2),
            "gamma": log(1e-5, 10.0),
            "kernel": CategoricalDistribution(["linear", "rbf"]),
        },
        {"alpha": 1, "kernel": "linear"},
    ),
    (
        "xgboost.XGBModel",
        {
            "max_depth": IntDistribution(2, 12),
            "learning_rate": log(1e-3, 1.0),
            "colsample_bytree": FloatDistribution(0.3, 1.0),
            "reg_lambda": log(1e-3, 100.0),
            "gamma": FloatDistribution(0.0, 5.0),
            "min_child_weight": IntDistribution(1, 20),
        },
        {
            "max_depth": 6,
            "learning_rate": 0.3,
            "colsample_bytree": 1.0,
            "reg_lambda": 1.0,
            "gamma": 0.0,
            "min_child_weight": 1,
        },
    ),
    (
        "xgboost.XGBModel",
        {
            "eta": log(1e-3, 1.0),
            "lambda": log(1e-8, 1.0),
            "alpha": log(1e-8, 1.0),
            "subsample": FloatDistribution(0.2, 1.0),
            "max_depth": IntDistribution(3, 9, step=2),
            "grow_policy": CategoricalDistribution(["depthwise", "lossguide"]),
        },
        {"eta": 0.3, "lambda": 1.0, "subsample": 1.0, "grow_policy": "depthwise"},
    ),
    (
        "lightgbm.LGBMModel",
        {
            "num_leaves": IntDistribution(2, 256),
            "learning_rate": log(1e-3, 1.0),
            "min_child_samples": IntDistribution(5, 100),
            "colsample_bytree": FloatDistribution(0.3, 1.0),
            "max_depth": IntDistribution(3, 12),
        },
        {
            "num_leaves": 31,
            "learning_rate": 0.1,
            "min_child_samples": 20,
            "colsample_bytree": 1.0,
        },
    ),
    (
        "lightgbm.LGBMModel",
        {
            "lambda_l1": log(1e-8, 10.0),
            "num_leaves": IntDistribution(2, 256),
            "feature_fraction": FloatDistribution(0.4, 1.0),
            "bagging_fraction": FloatDistribution(0.4, 1.0),
            "bagging_freq": IntDistribution(1, 7),
        },
        {"num_leaves": 31, "feature_fraction": 1.0, "bagging_fraction": 1.0},
    ),
    (
        "catboost.CatBoostClassifier",
        {
            "depth": IntDistribution(2, 10),
            "l2_leaf_reg": log(0.01, 100.0),
            "learning_rate": log(1e-3, 1.0),
            "random_strength": log(1e-3, 10.0),
            "bootstrap_type": CategoricalDistribution(["Bayesian", "Bernoulli", "MVS"]),
        },
        {"depth": 6, "l2_leaf_reg": 3.0, "learning_rate": 0.03, "random_strength": 1.0},
    ),
    (
        "torch.optim.SGD",
        {
            "lr": log(1e-5, 1.0),
            "momentum": FloatDistribution(0.0, 0.99),
            "nesterov": CategoricalDistribution([True, False]),
        },
        {"lr": 0.001, "momentum": 0.0, "nesterov": False},
    ),
    (
        "torch.optim.Adam",
        {
            "lr": log(1e-5, 1.0),
            "beta1": FloatDistribution(0.5, 0.99),
            "beta2": FloatDistribution(0.9, 0.9999),
            "weight_decay": FloatDistribution(0.0, 0.1),
        },
        # AdamW has another weight decay.
        {"lr": 0.001, "beta1": 0.9, "beta2": 0.999},
    ),
    (
        "transformers.TrainingArguments",
        {
            "learning_rate": log(1e-6, 1e-3),
            "per_device_train_batch_size": CategoricalDistribution([8, 16, 32]),
            "num_train_epochs": IntDistribution(1, 5),
            "weight_decay": FloatDistribution(0.0, 0.3),
        },
        {
            "learning_rate": 5e-5,
            "per_device_train_batch_size": 8,
            "num_train_epochs": 3,
            "weight_decay": 0.0,
        },
    ),
]


@pytest.mark.parametrize(("name", "space", "values"), KNOWN)
def test_an_estimator_is_found_by_the_names_of_its_parameters(
    name: str,
    space: Mapping[str, BaseDistribution],
    values: Mapping[str, Any],
    estimators: tuple[Estimator, ...],
) -> None:
    found = documented_defaults(space, estimators)
    assert found is not None
    assert found.values == values
    library, _, own = name.rpartition(".")
    [source] = found.sources
    assert source.startswith(library)
    names = re.split(r"\W+", source)
    assert own in names or re.sub("Classifier$", "", own) in names
    assert str(found).startswith(f"defaults of {source}: ")


def test_why_names_every_class_that_fits_equally_well(estimators: tuple[Estimator, ...]) -> None:
    _, space, _ = KNOWN[0]
    assert str(documented_defaults(space, estimators)) == (
        "defaults of sklearn.svm.SVC, SVR or NuSVR: C=1.0"
    )


def space_of(names: str) -> dict[str, BaseDistribution]:
    return {name: FloatDistribution(0.0, 1000.0) for name in names.split()}


@pytest.mark.parametrize(
    "names",
    [
        "x y",
        "temperature pressure catalyst_share",
        "alpha beta gamma",  # a model of an epidemic, or Holt and Winters
        "lr dropout n_layers hidden_size",
        "learning_rate batch_size epochs warmup",
        "n_units_1 n_units_2 dropout_1 dropout_2 init_lr",
        "buffer_pages read_ahead_pages flush_batch_pages commit_group_size",
        "tol max_iter damping_factor",
        "lookback horizon fee stop_loss take_profit",
        "kp ki kd",
        "Op0 Op1 Op2 Op3",
        "top_k top_p chunk_size chunk_overlap",
        "gain offset alpha",
        "population_size mutation_rate crossover_rate n_generations",
    ],
)
def test_other_spaces_have_no_documented_defaults(
    names: str, estimators: tuple[Estimator, ...]
) -> None:
    assert documented_defaults(space_of(names), estimators) is None


# --- branches -------------------------------------------------------------------------------

BRANCHES: dict[str, dict[str, BaseDistribution]] = {
    "svc": {"C": log(1e-3, 1e3), "gamma": log(1e-4, 1.0)},
    "rf": {
        "n_estimators": IntDistribution(10, 500),
        "max_depth": IntDistribution(2, 20),
        "min_samples_leaf": IntDistribution(1, 10),
    },
    "xgb": {
        "learning_rate": log(1e-3, 1.0),
        "max_depth": IntDistribution(2, 10),
        "subsample": FloatDistribution(0.2, 1.0),
    },
    "cat": {"depth": IntDistribution(2, 10), "l2_leaf_reg": log(0.01, 100.0)},
    "custom": {"width": IntDistribution(1, 9), "height": IntDistribution(1, 9)},
}


def branching(
    kinds: str, form: str = "{kind}_{name}"
) -> tuple[dict[str, BaseDistribution], dict[str, dict[str, tuple[Any, ...]]]]:
    """Return a space with a choice of estimators, and its conditions."""
    space: dict[str, BaseDistribution] = {"model": CategoricalDistribution(kinds.split())}
    conditions: dict[str, dict[str, tuple[Any, ...]]] = {}
    for kind in kinds.split():
        for name, distribution in BRANCHES[kind].items():
            full = form.format(kind=kind, name=name)
            space[full] = distribution
            conditions[full] = {"model": (kind,)}
    return space, conditions


@pytest.mark.parametrize(
    ("kinds", "source", "values"),
    [
        ("svc rf xgb", "sklearn.svm.SVC", {"svc_C": 1.0}),
        (
            "rf svc xgb",
            "sklearn.ensemble.RandomForest",
            {"rf_n_estimators": 100, "rf_min_samples_leaf": 1},
        ),
        (
            "xgb rf",
            "xgboost.XGBModel",
            {"xgb_learning_rate": 0.3, "xgb_max_depth": 6, "xgb_subsample": 1.0},
        ),
        (
            "cat xgb",
            "catboost.CatBoostClassifier",
            {"cat_depth": 6, "cat_l2_leaf_reg": 3.0},
        ),
        ("custom svc", "sklearn.svm.SVC", {"svc_C": 1.0}),
    ],
)
@pytest.mark.parametrize("form", ["{kind}_{name}", "{kind}__{name}", "{name}_{kind}"])
def test_the_first_branch_that_is_known_is_tried_with_its_defaults(
    kinds: str,
    source: str,
    values: dict[str, Any],
    form: str,
    estimators: tuple[Estimator, ...],
) -> None:
    space, conditions = branching(kinds, form)
    found = documented_defaults(space, estimators, "", conditions)
    assert found is not None
    kind, _, _ = next(iter(values)).partition("_")
    assert found.sources == (source,)
    names = {form.format(kind=kind, name=name.partition("_")[2]): v for name, v in values.items()}
    assert found.values == {"model": kind, **names}


def test_a_prefix_is_left_out_without_branches_as_well(estimators: tuple[Estimator, ...]) -> None:
    space = {f"xgb_{name}": d for name, d in BRANCHES["xgb"].items()}
    found = documented_defaults(space, estimators)
    assert found is not None
    assert found.sources == ("xgboost.XGBModel",)
    # Of two models at once, no name is left.
    assert documented_defaults(branching("xgb rf")[0], estimators) is None


def test_names_that_several_classes_have_count_where_these_agree(
    estimators: tuple[Estimator, ...],
) -> None:
    names = ("n_estimators", "min_samples_leaf")
    space: dict[str, BaseDistribution] = {
        "how": CategoricalDistribution(["few", "many"]),
        **{f"many_{name}": BRANCHES["rf"][name] for name in names},
    }
    conditions = {f"many_{name}": {"how": ("many",)} for name in names}
    found = documented_defaults(space, estimators, "", conditions)
    assert found is not None
    assert found.values == {"how": "many", "many_n_estimators": 100, "many_min_samples_leaf": 1}
    assert "RandomForest" in found.sources[0]
    assert "ExtraTrees" in found.sources[0]


def test_what_depends_on_a_choice_within_a_branch_belongs_to_that_branch(
    estimators: tuple[Estimator, ...],
) -> None:
    space: dict[str, BaseDistribution] = {
        "scale": CategoricalDistribution([False, True]),
        "robust": CategoricalDistribution([None, 5]),
        "svm_kernel": CategoricalDistribution(["poly", "rbf"]),
        "svm_C": log(1e-3, 1e3),
        "svm_degree": IntDistribution(2, 5),
    }
    conditions: dict[str, dict[str, tuple[Any, ...]]] = {
        "svm_kernel": {"robust": ("None",), "scale": ("True",)},
        "svm_C": {"robust": ("None",), "scale": ("True",)},
        "svm_degree": {"svm_kernel": ("poly",)},
    }
    found = documented_defaults(space, estimators, "", conditions)
    assert found is not None
    assert found.values == {
        "scale": True,
        "robust": None,
        "svm_kernel": "rbf",
        "svm_C": 1.0,
        "svm_degree": 3,
    }


@pytest.mark.parametrize(
    "names",
    ["a_x a_y b_z", "net_width net_height", "gru_units gru_layers cnn_kernel", "kp_1 ki_1 kd_1"],
)
def test_other_branches_have_no_documented_defaults(
    names: str, estimators: tuple[Estimator, ...]
) -> None:
    space = space_of(names)
    kinds = tuple(dict.fromkeys(name.partition("_")[0] for name in space))
    conditions = {name: {"kind": (name.partition("_")[0],)} for name in space}
    space["kind"] = CategoricalDistribution(kinds)
    assert documented_defaults(space, estimators, "", conditions) is None


# --- the rule -------------------------------------------------------------------------------

SOME = (
    Estimator("a.AlphaClassifier", {"width": 1, "height": 2, "depth": 5}),
    Estimator("b.BetaRayRegressor", {"width": 1, "height": 3, "depth": 7}),
)


@pytest.mark.parametrize(
    ("task", "values"),
    [
        ("", {"width": 1}),
        ("An alpha of some kind.", {"width": 1, "height": 2}),
        ("Three beta-rays.", {"width": 1, "height": 3}),
        ("An alphabet of betas.", {"width": 1}),
    ],
)
def test_words_decide_ties_and_otherwise_only_what_is_agreed_counts(
    task: str, values: dict[str, Any]
) -> None:
    found = documented_defaults(space_of("width height"), SOME, task)
    assert found is not None
    assert found.values == values


@pytest.mark.parametrize("names", ["width", "width a b", "width height a b c", "", "depth__width"])
def test_two_names_and_half_of_the_space_are_needed(names: str) -> None:
    assert documented_defaults(space_of(names), SOME) is None


def test_a_default_that_the_space_does_not_allow_is_left_out() -> None:
    space: dict[str, BaseDistribution] = {
        "width": IntDistribution(2, 8),
        "depth": IntDistribution(4, 10, step=2),
    }
    assert documented_defaults(space, SOME[:1]) is None
    space["depth"] = IntDistribution(3, 9)
    found = documented_defaults(space, SOME[:1])
    assert found is not None
    assert found.values == {"depth": 5}
    # Less than half of the parameters have one: that is no default of a configuration.
    space["height"] = CategoricalDistribution([4, 8])
    assert documented_defaults(space, SOME[:1]) is None


def test_an_argument_that_no_class_has_is_not_agreed_to_be_none() -> None:
    space = {**space_of("width height"), "optimizer": CategoricalDistribution([None, "sgd"])}
    found = documented_defaults(space, SOME[:1])
    assert found is not None
    assert "optimizer" not in found.values


def settings_in(config: Any) -> dict[str, str]:
    """Return every setting in an XGBoost booster's configuration."""
    if isinstance(config, list):
        config = dict(enumerate(config))
    found: dict[str, str] = {}
    for name, value in config.items():
        found |= settings_in(value) if isinstance(value, (dict, list)) else {name: value}
    return found


def real_settings(library: str) -> tuple[str, Mapping[str, str]]:
    """Return the settings with which a library really trains if it is told none."""
    x = np.random.RandomState(0).rand(60, 3)
    if library == "xgboost":
        xgboost = importlib.import_module("xgboost")
        booster = xgboost.train({"booster": "dart"}, xgboost.DMatrix(x, x[:, 0]), 1)
        return "xgboost.XGBModel", settings_in(json.loads(booster.save_config()))
    if library == "catboost":
        model = importlib.import_module("catboost").CatBoostClassifier(
            grow_policy="Lossguide",
            bootstrap_type="Bayesian",
            verbose=0,
            allow_writing_files=False,
        )
        model.fit(x, x[:, 0] > 0.5)
        return "catboost.CatBoostClassifier", model.get_all_params()
    lightgbm = importlib.import_module("lightgbm")
    booster = lightgbm.train({"verbose": -1}, lightgbm.Dataset(x, x[:, 0]), 1)
    settings = re.findall(r"\[(\w+): ([^\]]*)\]", booster.model_to_string())
    return "lightgbm.LGBMModel", dict(settings)


@pytest.mark.parametrize(("library", "n"), [("xgboost", 20), ("lightgbm", 20), ("catboost", 8)])
def test_what_is_written_down_is_what_the_library_does(
    library: str, n: int, estimators: tuple[Estimator, ...]
) -> None:
    pytest.importorskip(library)
    name, real = real_settings(library)
    [table] = [each.defaults for each in estimators if each.name == name]
    asked_for = {"booster", "num_iterations"}
    if library == "catboost":  # it derives the learning rate from the data, if it is given none
        asked_for = {"grow_policy", "learning_rate"}
    compared = {n: v for n, v in table.items() if v is not None and n in real.keys() - asked_for}
    assert len(compared) >= n
    wrong = {
        n: (v, real[n])
        for n, v in compared.items()
        if (real[n] != v if isinstance(v, str) else float(real[n]) != pytest.approx(float(v)))
    }
    assert not wrong


def test_the_names_written_down_for_catboost_are_its_arguments() -> None:
    real = importlib.import_module("catboost") if find_spec("catboost") else stub_of_catboost()
    [estimator] = loaded_estimators({"catboost": real})
    table = {name for name, value in estimator.defaults.items() if value is not None}
    assert len(table) > 15
    assert table <= set(CATBOOST.split()) <= estimator.defaults.keys()


class Counting(dict[str, ModuleType]):
    """Modules that count how often they are looked up, and cannot be listed."""

    def __init__(self, modules: Mapping[str, ModuleType]) -> None:
        super().__init__(modules)
        self.asked: list[str] = []

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.append(name)
        return super().get(name, default)

    def __iter__(self) -> Any:
        raise AssertionError("all modules are read")

    keys = items = values = __iter__


def test_only_the_libraries_that_are_known_are_looked_up() -> None:
    modules = Counting(dict(sys.modules))
    loaded_estimators(modules)
    assert len(modules.asked) == len(set(modules.asked)) < 20


def test_nothing_is_imported() -> None:
    code = (
        "import sys, transformers\n"
        "from optuna_llm_sampler._advice.documented.loaded import loaded_estimators\n"
        "before = set(sys.modules)\n"
        "assert not [e for e in loaded_estimators() if 'transformers' in e.name]\n"
        "assert set(sys.modules) == before, set(sys.modules) - before\n"
    )
    pytest.importorskip("transformers")
    subprocess.run([sys.executable, "-c", code], check=True)
