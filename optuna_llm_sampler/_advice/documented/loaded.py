"""The estimators of libraries that this process has imported, with their defaults.

Nothing is imported and no module's ``__getattr__`` is called, since that of transformers imports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import inspect
import sys
from types import ModuleType
from typing import Any

from .match import Estimator


_SKLEARN = (
    "discriminant_analysis ensemble feature_extraction.text gaussian_process kernel_ridge "
    "linear_model naive_bayes neighbors neural_network svm tree"
)
# By module, what is looked for there: names of classes, or all that the module exports.
_MODULES: Mapping[str, tuple[str, ...] | None] = {
    **{f"sklearn.{name}": None for name in _SKLEARN.split()},
    "xgboost": ("XGBModel",),
    "lightgbm": ("LGBMModel",),
    "catboost": ("CatBoostClassifier",),
    # Nobody's default is that of a rare optimizer.
    "torch.optim": ("Adam", "AdamW", "RMSprop", "SGD"),
    "transformers.training_args": ("TrainingArguments",),
}
# From the documentation, where signatures say None or ``**kwargs`` only: XGBoost 3.2 ("XGBoost
# Parameters"), LightGBM 4.6 ("Parameters"), CatBoost 1.2 ("Training parameters").
_DOCUMENTED: Mapping[str, Mapping[str, Any]] = {
    "xgboost.XGBModel": {
        "alpha": 0,
        "booster": "gbtree",
        "colsample_bylevel": 1,
        "colsample_bynode": 1,
        "colsample_bytree": 1,
        "eta": 0.3,
        "gamma": 0,
        "grow_policy": "depthwise",
        "lambda": 1,
        "learning_rate": 0.3,
        "max_bin": 256,
        "max_delta_step": 0,
        "max_depth": 6,
        "max_leaves": 0,
        "min_child_weight": 1,
        "min_split_loss": 0,
        "n_estimators": 100,
        "normalize_type": "tree",
        "num_parallel_tree": 1,
        "rate_drop": 0.0,
        "reg_alpha": 0,
        "reg_lambda": 1,
        "sample_type": "uniform",
        "sampling_method": "uniform",
        "scale_pos_weight": 1,
        "skip_drop": 0.0,
        "subsample": 1,
        "tree_method": "auto",
    },
    "lightgbm.LGBMModel": {
        "bagging_fraction": 1.0,
        "bagging_freq": 0,
        "boosting": "gbdt",
        "cat_l2": 10.0,
        "cat_smooth": 10.0,
        "drop_rate": 0.1,
        "extra_trees": False,
        "feature_fraction": 1.0,
        "feature_fraction_bynode": 1.0,
        "lambda_l1": 0.0,
        "lambda_l2": 0.0,
        "linear_lambda": 0.0,
        "max_bin": 255,
        "max_cat_threshold": 32,
        "max_delta_step": 0.0,
        "max_drop": 50,
        "min_data_in_leaf": 20,
        "min_data_per_group": 100,
        "min_gain_to_split": 0.0,
        "min_sum_hessian_in_leaf": 1e-3,
        "num_iterations": 100,
        "other_rate": 0.1,
        "path_smooth": 0.0,
        "skip_drop": 0.5,
        "top_rate": 0.2,
    },
    "catboost.CatBoostClassifier": {
        "bagging_temperature": 1.0,
        "border_count": 254,
        "colsample_bylevel": 1.0,
        "depth": 6,
        "eta": 0.03,
        "grow_policy": "SymmetricTree",
        "iterations": 1000,
        "l2_leaf_reg": 3.0,
        "learning_rate": 0.03,
        "max_bin": 254,
        "max_depth": 6,
        "max_leaves": 31,
        "min_child_samples": 1,
        "min_data_in_leaf": 1,
        "n_estimators": 1000,
        "num_boost_round": 1000,
        "num_leaves": 31,
        "num_trees": 1000,
        "random_strength": 1.0,
        "reg_lambda": 3.0,
        "rsm": 1.0,
    },
}
_PUBLIC_MODULES = {"transformers.training_args": "transformers"}
# How users call the parts of an argument that is a pair.
_PARTS = {"betas": ("beta1", "beta2")}


def loaded_estimators(modules: Mapping[str, ModuleType] | None = None) -> tuple[Estimator, ...]:
    """Return the estimators of the libraries that have been imported, in a fixed order.

    Args:
        modules:
            Modules by name; by default ``sys.modules``. About a dozen names are looked up.
    """
    modules = sys.modules if modules is None else modules
    return tuple(
        estimator
        for module_name, names in _MODULES.items()
        if (module := modules.get(module_name)) is not None
        for estimator in _estimators(module_name, vars(module), names)
    )


def _estimators(
    module: str, found: Mapping[str, Any], names: tuple[str, ...] | None
) -> Iterator[Estimator]:
    for name in names or found.get("__all__", found):
        if not isinstance(found.get(name), type) or not found[name].__module__.startswith(module):
            continue
        full = f"{_PUBLIC_MODULES.get(module, module)}.{name}"
        defaults = _defaults(found[name])
        for argument, value in _DOCUMENTED.get(full, {}).items():
            if defaults.get(argument) is None:
                defaults[argument] = value
        yield Estimator(full, defaults)


def _defaults(estimator: type) -> dict[str, Any]:
    """Read the default of every named argument; there are none if the signature is hidden."""
    try:
        arguments = inspect.signature(estimator).parameters.values()
    except (TypeError, ValueError):  # some extension classes have none
        return {}
    found = {a.name: a.default for a in arguments if a.default is not a.empty}
    for whole, parts in _PARTS.items():
        found |= dict(zip(parts, found.get(whole, ()), strict=False))
    return found
