"""Objectives as people write them, each with the space that can be read from it."""
# ruff: noqa
# mypy: ignore-errors

import contextlib
import functools
import math
from math import log10
import types
import warnings

import optuna
from optuna.distributions import CategoricalDistribution as Choice
from optuna.distributions import FloatDistribution as Float
from optuna.distributions import IntDistribution as Int

from optuna_llm_sampler import record_failures


CASES = []


def reads(space, conditions=None, left_out=()):
    """Register an objective: its space, its conditions, and a piece of each text left out."""

    def register(objective):
        CASES.append((objective, space, conditions or {}, left_out))
        return objective

    return register


def evaluate(*args, **kwargs):
    """A training of which nothing is known."""
    return float(len(args) + len(kwargs))


LR_LOW, LR_HIGH = 1e-5, 1e-1
MAX_LAYERS = 3
OPTIMIZERS = ["sgd", "adam", "rmsprop"]
RANGES = {"alpha": (0.0, 1.0), "beta": (0.5, 2.0)}
UNITS = (16, 32, 64)
GROWN = []
N_CALLS = 0
CONFIG = types.SimpleNamespace(low=1, high=8, name="depth", choices=["a", "b"])


class Limits:
    LOW = 2
    HIGH = 10


LR = Float(LR_LOW, LR_HIGH, log=True)
X = Float(-1.0, 1.0)
with warnings.catch_warnings():  # tuples cannot be stored
    warnings.simplefilter("ignore")
    SHAPE = Choice([(32,), (64, 32)])


# --- flat spaces ----------------------------------------------------------------------------


@reads({"x": X})
def one_parameter(trial):
    x = trial.suggest_float("x", -1, 1)
    return x**2


@reads({"x": X, "n": Int(1, 9, step=2), "c": Choice([None, "l1", "l2"])})
def three_kinds(trial: optuna.Trial) -> float:
    """With a docstring, annotations and keyword arguments."""
    x: float = trial.suggest_float(name="x", low=-1.0, high=1.0)
    n: int = trial.suggest_int("n", high=9, low=1, step=2)
    c = trial.suggest_categorical("c", choices=[None, "l1", "l2"])
    return x + n + (c is None)


@reads({"lr": LR, "optimizer": Choice(OPTIMIZERS)})
def module_constants(trial):
    lr = trial.suggest_float("lr", LR_LOW, LR_HIGH, log=True)
    return lr + len(trial.suggest_categorical("optimizer", OPTIMIZERS))


@reads({"a": Float(1e-4, 100.0, log=True), "b": Int(8, 64), "c": Float(0.25, 0.5, step=0.05)})
def arithmetic(trial):
    a = trial.suggest_float("a", 10**-4, 1e2, log=not False)
    b = trial.suggest_int("b", 2**3, 1 << 6)
    return a + b + trial.suggest_float("c", 1 / 4, 1 - 0.5, step=0.05)


@reads({"a": Float(math.log(2), math.pi), "b": Int(0, 5), "c": Int(1, 3)})
def functions_of_constants(trial):
    a = trial.suggest_float("a", math.log(2), math.pi)
    b = trial.suggest_int("b", int(log10(1)), max(3, 5))
    return a + b + trial.suggest_int("c", min(UNITS) // 16, len(UNITS))


@reads({"x": X, "y": Float(1e-3, 1.0, log=True), "z": Float(0.0, 1.0, step=0.25)})
def deprecated_names(trial):
    x = trial.suggest_uniform("x", -1.0, 1.0)
    y = trial.suggest_loguniform("y", 1e-3, 1.0)
    return x + y + trial.suggest_discrete_uniform("z", 0.0, 1.0, 0.25)


@reads({"shape": SHAPE, "flag": Choice([True, False])})
def tuples_as_choices(trial):
    shape = trial.suggest_categorical("shape", [(32,), (64, 32)])
    return sum(shape) + trial.suggest_categorical("flag", (True, False))


@reads({"x": X, "y": X})
def other_name_of_the_trial(t):
    x, y = t.suggest_float("x", -1, 1), t.suggest_float("y", -1, 1)
    return x * y


@reads({"x": X, "y": Int(0, 3)})
def aliases(trial):
    t = trial
    suggest = t.suggest_float
    suggest_int = trial.suggest_int
    return suggest("x", -1, 1) + suggest_int("y", 0, 3)


@reads({"x": X, "y": Int(0, 3)})
def walrus(trial):
    if (x := trial.suggest_float("x", -1, 1)) > 0:
        evaluate(x)
    return x + (y := trial.suggest_int("y", 0, 3)) + y


@reads({"depth": Int(1, 8), "n": Int(2, 10), "c": Choice(["a", "b"])})
def attributes_of_constants(trial):
    n = trial.suggest_int("n", Limits.LOW, Limits.HIGH)
    trial.suggest_categorical("c", CONFIG.choices)
    return n + trial.suggest_int(CONFIG.name, CONFIG.low, CONFIG.high)


@reads({"x": X, "only": Choice(["one"]), "fixed": Int(3, 3)})
def single_values(trial):
    if trial.suggest_categorical("only", ["one"]) == "one":
        return trial.suggest_float("x", -1, 1) + trial.suggest_int("fixed", 3, 3)
    return trial.suggest_float("never", 0, 1)


@reads({"x": X, "n": Int(1, 4)})
def dictionary_of_arguments(trial):
    params = {
        "x": trial.suggest_float("x", -1, 1),
        **dict(n=trial.suggest_int("n", **{"low": 1, "high": 4})),
    }
    return evaluate(**params)


@reads({"x": X, "y": Float(0.0, 1.0)})
def same_name_twice(trial):
    x = trial.suggest_float("x", -1, 1)
    return x + trial.suggest_float("y", 0, 1) + trial.suggest_float("x", -1, 1)


@reads({"x": X})
def chained_and_augmented(trial):
    total = other = 0.0
    total += trial.suggest_float("x", -1, 1)
    return total + other


@reads({"x": X, "n": Int(0, 2)})
def trial_methods_that_ask_for_nothing(trial):
    trial.set_user_attr("at", trial.number)
    print(trial)
    x = trial.suggest_float("x", -1, 1)
    for step in range(100):
        trial.report(x, step)
        if trial.should_prune():
            raise optuna.TrialPruned()
    evaluate(trial.params, trial.study.study_name)
    return x + trial.suggest_int("n", 0, 2)


@reads({"x": X, "y": X})
def two_objectives(trial):
    x = trial.suggest_float("x", -1, 1)
    return x + trial.suggest_float("y", -1, 1), x


# --- loops ----------------------------------------------------------------------------------


@reads({"x0": X, "x1": X, "x2": X})
def loop_with_f_string(trial):
    return sum(trial.suggest_float(f"x{i}", -1, 1) for i in range(3))


@reads({"w_01": Int(0, 1), "w_02": Int(0, 2), "%3": X, "a-b": X})
def other_ways_to_make_names(trial):
    total = 0
    for i in [1, 2]:
        total += trial.suggest_int(f"w_{i:02d}", 0, i)
    total += trial.suggest_float("%%%d" % 3, -1, 1)
    return total + trial.suggest_float("-".join(["a", "b"]), -1, 1)


@reads({"alpha": Float(0.0, 1.0), "beta": Float(0.5, 2.0)})
def table_of_ranges(trial):
    return evaluate(**{k: trial.suggest_float(k, *bounds) for k, bounds in RANGES.items()})


@reads({"units_1": Int(16, 32), "units_2": Int(16, 64)})
def enumerate_and_zip(trial):
    sizes = []
    for i, (low, high) in enumerate(zip([16, 16], UNITS[1:]), start=1):
        sizes.append(trial.suggest_int("units_" + str(i), low, high))
    return sum(sizes)


@reads(
    {"n": Int(1, 3), "u0": Int(4, 8), "u1": Int(4, 8), "u2": Int(4, 8), "lr": LR},
    {"u1": {"n": [2, 3]}, "u2": {"n": [3]}},
)
def number_of_layers(trial):
    n = trial.suggest_int("n", 1, MAX_LAYERS)
    layers = []
    for i in range(n):
        layers.append(trial.suggest_int("u{}".format(i), 4, 8))
    return sum(layers) + trial.suggest_float("lr", LR_LOW, LR_HIGH, log=True)


@reads({"n": Int(1, 2), "u0": X, "u1": X}, {"u1": {"n": [2]}})
def list_comprehension(trial):
    return sum([trial.suggest_float(f"u{i}", -1, 1) for i in range(trial.suggest_int("n", 1, 2))])


@reads({"n": Int(1, 3)}, left_out=["name is not constant"])
def while_loop(trial):
    n = trial.suggest_int("n", 1, 3)
    i, total = 0, 0
    while i < n:
        i += 1
        total += trial.suggest_float(f"d{i}", -1, 1)
    return total


@reads({"n": Int(0, 3), "b0": X, "b1": X}, {"b0": {"n": [1, 2, 3]}, "b1": {"n": [2, 3]}})
def loop_with_break_and_continue(trial):
    n = trial.suggest_int("n", 0, 3)
    for i in range(5):
        if i == n:
            break
        if i > 1:
            continue
        trial.suggest_float(f"b{i}", -1, 1)
    return n


@reads({"x": X}, left_out=["name is not constant"])
def loop_of_unknown_length(trial):
    for name in evaluate.__doc__.split():
        trial.suggest_float(name, 0, 1)
    return trial.suggest_float("x", -1, 1)


@reads({"x": X}, left_out=["'lr' is in a loop of unknown length"])
def suggestion_in_every_fold(trial):
    x = trial.suggest_float("x", -1, 1)
    for fold in range(int(evaluate(1, 2))):
        lr = trial.suggest_float("lr", 1e-3, 1e-1)
        x += evaluate(fold, lr)
    return x


# --- branches -------------------------------------------------------------------------------

SVM_SPACE = {
    "model": Choice(["svm", "forest", "boost"]),
    "c": Float(1e-3, 1e3, log=True),
    "kernel": Choice(["rbf", "poly"]),
    "degree": Int(2, 6),
    "trees": Int(5, 500),
    "rate": Float(1e-3, 1.0, log=True),
}
SVM_CONDITIONS = {
    "c": {"model": ["svm"]},
    "kernel": {"model": ["svm"]},
    "degree": {"kernel": ["poly"]},
    "trees": {"model": ["forest", "boost"]},
    "rate": {"model": ["boost"]},
}


@reads(SVM_SPACE, SVM_CONDITIONS)
def early_return(trial):
    model = trial.suggest_categorical("model", ["svm", "forest", "boost"])
    if model == "svm":
        c = trial.suggest_float("c", 1e-3, 1e3, log=True)
        if trial.suggest_categorical("kernel", ["rbf", "poly"]) == "poly":
            c += trial.suggest_int("degree", 2, 6)
        return c
    trees = trial.suggest_int("trees", 5, 500)
    return trees + (trial.suggest_float("rate", 1e-3, 1.0, log=True) if model == "boost" else 0)


@reads(SVM_SPACE, SVM_CONDITIONS)
def elif_chain(trial):
    kernel = None
    params = {"model": trial.suggest_categorical("model", ["svm", "forest", "boost"])}
    if params["model"] == "svm":
        trial.suggest_float("c", 1e-3, 1e3, log=True)
        kernel = trial.suggest_categorical("kernel", ["rbf", "poly"])
    elif params["model"] in ("forest", "boost"):
        trial.suggest_int("trees", 5, 500)
    else:
        raise ValueError(params["model"])
    if kernel is not None and kernel != "rbf":
        trial.suggest_int("degree", 2, 6)
    if params["model"] == "boost":
        trial.suggest_float("rate", 1e-3, 1.0, log=True)
    return evaluate(**params)


@reads({}, left_out=["what comes after Match"])
def match_statement(trial):
    match trial.suggest_categorical("model", ["svm", "forest", "boost"]):
        case "svm":
            trial.suggest_float("c", 1e-3, 1e3, log=True)
            match trial.suggest_categorical("kernel", ["rbf", "poly"]):
                case "poly":
                    trial.suggest_int("degree", 2, 6)
        case "forest" | "boost" as model:
            trial.suggest_int("trees", 5, 500)
            if model == "boost":
                trial.suggest_float("rate", 1e-3, 1.0, log=True)
    return 0.0


@reads(
    {"use": Choice([True, False]), "p": Float(0.0, 0.5), "q": Float(0.0, 0.5)},
    {"p": {"use": [True]}, "q": {"use": [False]}},
)
def flags(trial):
    use = trial.suggest_categorical("use", [True, False])
    p = trial.suggest_float("p", 0, 0.5) if use else 0
    return p + (use or trial.suggest_float("q", 0, 0.5))


@reads({"c": Choice(["a", "b"]), "x": X})
def same_range_in_both_branches(trial):
    if trial.suggest_categorical("c", ["a", "b"]) == "a":
        x = trial.suggest_float("x", -1, 1)
    else:
        x = 2 * trial.suggest_float("x", -1, 1)
    return x


@reads({"c": Choice(["a", "b"])}, left_out=["'x' has several ranges"])
def other_range_in_each_branch(trial):
    if trial.suggest_categorical("c", ["a", "b"]) == "a":
        return trial.suggest_float("x", -1, 1)
    return trial.suggest_float("x", 0, 2)


@reads(
    {"c": Choice(["a", "b"]), "a_x": Float(0.0, 1.0), "b_x": Float(0.0, 1.0)},
    {"a_x": {"c": ["a"]}, "b_x": {"c": ["b"]}},
)
def name_from_a_choice(trial):
    c = trial.suggest_categorical("c", ["a", "b"])
    return trial.suggest_float(f"{c}_x", 0, 1)


@reads(
    {"a": Choice([0, 1, 2]), "b": Choice([0, 1]), "x": X, "y": X},
    {"x": {"a": [1, 2], "b": [1]}},
    ["when 'z' is used"],
)
def several_parents(trial):
    a = trial.suggest_categorical("a", [0, 1, 2])
    b = trial.suggest_categorical("b", [0, 1])
    if a >= 1 and b:
        trial.suggest_float("x", -1, 1)
    if a == 1 or b == 1:
        trial.suggest_float("z", -1, 1)
    return trial.suggest_float("y", -1, 1)


@reads({"n": Int(1, 10), "m": Float(0.0, 1.0)}, {"m": {"n": [4, 5, 6, 7]}})
def chained_comparison_of_an_integer(trial):
    n = trial.suggest_int("n", 1, 10)
    return trial.suggest_float("m", 0, 1) if 3 < n <= 7 else n


@reads({"x": Float(0.0, 1.0)}, left_out=["'y' depends on x > 0.5"])
def branch_on_a_float(trial):
    x = trial.suggest_float("x", 0, 1)
    if x > 0.5:
        x += trial.suggest_float("y", 0, 1)
    return x


@reads({"x": Float(0.0, 1.0), "y": X})
def unknown_branch_with_the_same_in_both(trial):
    x = trial.suggest_float("x", 0, 1)
    return trial.suggest_float("y", -1, 1) if x > 0.5 else -trial.suggest_float("y", -1, 1)


@reads({"x": X}, left_out=["'y' depends on evaluate(x) > 5"])
def after_an_unknown_return(trial):
    x = trial.suggest_float("x", -1, 1)
    if evaluate(x) > 5:
        return 0.0
    return trial.suggest_float("y", -1, 1)


@reads({"c": Choice(["ok", "bad"]), "x": X})
def after_an_exception(trial):
    if trial.suggest_categorical("c", ["ok", "bad"]) == "bad":
        raise optuna.TrialPruned()
    return trial.suggest_float("x", -1, 1)


@reads({"use_a": Choice([True, False]), "x": X}, {"x": {"use_a": [False]}})
def negation(trial):
    use_a = trial.suggest_categorical("use_a", [True, False])
    if not use_a:
        return trial.suggest_float("x", -1, 1)
    return 0.0


@reads(
    {f"use_{i}": Choice([0, 1]) for i in range(5)} | {f"p_{i}": X for i in range(5)},
    {f"p_{i}": {f"use_{i}": [1]} for i in range(5)},
)
def independent_flags(trial):
    total = 0
    for i in range(5):
        if trial.suggest_categorical(f"use_{i}", [0, 1]):
            total += trial.suggest_float(f"p_{i}", -1, 1)
    return total


@reads({"lr": LR, "use_0": Choice([0, 1])}, left_out=["too many"])
def too_many_flags(trial):
    total = trial.suggest_float("lr", LR_LOW, LR_HIGH, log=True)
    for i in range(12):
        if trial.suggest_categorical(f"use_{i}", [0, 1]):
            total += trial.suggest_float(f"p_{i}", -1, 1)
    return total


@reads({f"c{i}": Choice(["a", "b"]) for i in range(12)} | {"x": X})
def many_branches_that_ask_for_nothing(trial):
    layers = []
    for i in range(12):
        if trial.suggest_categorical(f"c{i}", ["a", "b"]) == "a":
            layers.append(i)
    return len(layers) + trial.suggest_float("x", -1, 1)


# --- functions and classes ------------------------------------------------------------------


def suggest_layer(trial, i, *, low=4, high=None):
    return trial.suggest_int(f"layer_{i}", low, high if high is not None else 8)


def suggest_params(trial: optuna.Trial) -> dict:
    return {"x": trial.suggest_float("x", -1, 1), "c": trial.suggest_categorical("c", ["a", "b"])}


@reads({"layer_0": Int(4, 8), "layer_1": Int(4, 16), "x": X, "c": Choice(["a", "b"])})
def helpers(trial):
    total = suggest_layer(trial, 0) + suggest_layer(i=1, trial=trial, high=16)
    params = suggest_params(trial)
    return total + params["x"]


@reads({"x": X, "c": Choice(["a", "b"]), "layer_9": Int(4, 8)}, {"layer_9": {"c": ["b"]}})
def helper_decides(trial):
    params = suggest_params(trial)
    if params["c"] == "b":
        suggest_layer(trial, 9)
    return params.get("x")


BUILDERS = {"layer": suggest_layer, "params": lambda trial, i: suggest_params(trial)["x"]}


@reads(
    {"kind": Choice(["layer", "params"]), "layer_1": Int(4, 8), "x": X, "c": Choice(["a", "b"])},
    {n: {"kind": [k]} for n, k in (("layer_1", "layer"), ("x", "params"), ("c", "params"))},
)
def table_of_functions(trial):
    return BUILDERS[trial.suggest_categorical("kind", list(BUILDERS))](trial, 1)


@reads({"x": X, "n": Int(1, 4)})
def nested_functions(trial):
    def x():
        return trial.suggest_float("x", -1, 1)

    def integer(name, high):
        return trial.suggest_int(name, 1, high)

    return x() + integer("n", 4)


@reads({"x": X, "n": Int(1, 4)}, left_out=["what later asks for"])
def nested_function_that_is_passed_on(trial):
    @functools.lru_cache
    def later():
        return trial.suggest_float("y", -1, 1)

    return later() + trial.suggest_float("x", -1, 1) + trial.suggest_int("n", 1, 4)


def logged(objective):
    @functools.wraps(objective)
    def wrapper(*args, **kwargs):
        value = objective(*args, **kwargs)
        evaluate(value)
        return value

    return wrapper


@reads({"x": X})
@logged
def decorated(trial):
    return trial.suggest_float("x", -1, 1)


def with_data(trial, data, n_max=4, *, low=-1.0):
    return trial.suggest_float("x", low, 1) + trial.suggest_int("n", 1, n_max) + len(data)


reads({"x": X, "n": Int(1, 4)})(lambda trial: with_data(trial, [1, 2, 3]))
reads({"x": X, "n": Int(1, 6)})(functools.partial(with_data, data=[1, 2, 3], n_max=6))


def closure(n_max):
    def objective(trial):
        return trial.suggest_int("n", 1, n_max)

    return objective


reads({"n": Int(1, 12)})(closure(12))


class Objective:
    LOW = -1

    def __init__(self, n_max):
        self.n_max = n_max
        self.choices = ["a", "b"]
        self.n_calls = 0
        self.best = 5

    def __call__(self, trial):
        self.n_calls += 1
        params = self.sample(trial)
        if params["c"] == "a":
            return self.bounded(trial, "x") + self.shared(trial)
        return trial.suggest_int("calls", 0, self.n_calls) + trial.suggest_int("b", 0, self.best)

    def sample(self, trial):
        return {
            "n": trial.suggest_int("n", 1, self.n_max),
            "c": trial.suggest_categorical("c", self.choices),
        }

    @staticmethod
    def shared(trial):
        return trial.suggest_float("s", 0, 1)

    @classmethod
    def bounded(cls, trial, name):
        return trial.suggest_float(name, cls.LOW, 1)


OBJECT_SPACE = {
    "n": Int(1, 7),
    "c": Choice(["a", "b"]),
    "x": X,
    "s": Float(0.0, 1.0),
    "b": Int(0, 5),
}
OBJECT_CONDITIONS = {"x": {"c": ["a"]}, "s": {"c": ["a"]}, "b": {"c": ["b"]}}
reads(OBJECT_SPACE, OBJECT_CONDITIONS, ["range of 'calls'"])(Objective(7))
reads({"n": Int(1, 7), "c": Choice(["a", "b"])})(lambda t: Objective.sample(OBJECTIVE, t)["n"])
OBJECTIVE = Objective(7)
reads({"n": Int(1, 7), "c": Choice(["a", "b"])})(lambda t: OBJECTIVE.sample(t)["n"])


class Tuner:
    def __init__(self):
        self.depth = 3

    def objective(self, trial):
        self.trial = trial
        return self._depth() + self._rate()

    def _depth(self):
        return self.trial.suggest_int("depth", 1, self.depth)

    def _rate(self):
        return self.trial.suggest_float("rate", 0, 1)


reads({"depth": Int(1, 3), "rate": Float(0.0, 1.0)})(Tuner().objective)


class Net:
    def __init__(self, trial, width):
        super().__init__()
        self.n = trial.suggest_int("n", 1, 2)
        self.layers = []
        for i in range(self.n):
            self.layers.append(trial.suggest_int(f"l{i}", 4, width))

    def train(self, trial):
        return trial.suggest_float("lr", LR_LOW, LR_HIGH, log=True)


@reads({"n": Int(1, 2), "l0": Int(4, 8), "l1": Int(4, 8), "lr": LR}, {"l1": {"n": [2]}})
def network(trial):
    net = Net(trial, 8)
    return net.train(trial)


# --- as in the examples of libraries --------------------------------------------------------


class Library:
    """A library of which nothing is known."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: Library()

    def __float__(self):
        return 0.5

    def __gt__(self, other):
        return True

    def __call__(self, *args, **kwargs):
        return Library()

    def __iter__(self):
        return iter([])


lgb = xgb = torch = nn = sklearn = Library()
EPOCHS = 3
N_INPUTS = 28 * 28


@reads(
    {
        "lambda_l1": Float(1e-8, 10.0, log=True),
        "num_leaves": Int(2, 256),
        "bagging_freq": Int(1, 7),
    }
)
def lightgbm_with_pruning(trial):
    dtrain = lgb.Dataset([], label=[])
    param = {
        "objective": "binary",
        "verbosity": -1,
        "lambda_l1": trial.suggest_float("lambda_l1", 1e-8, 10.0, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 2, 256),
    }
    param["bagging_freq"] = trial.suggest_int("bagging_freq", 1, 7)
    callback = lgb.LightGBMPruningCallback(trial, "auc")
    gbm = lgb.train(param, dtrain, callbacks=[callback])
    return float(gbm.score())


@reads(
    {
        "booster": Choice(["gbtree", "gblinear", "dart"]),
        "lambda": Float(1e-8, 1.0, log=True),
        "max_depth": Int(3, 9, step=2),
        "rate_drop": Float(1e-8, 1.0, log=True),
    },
    {"max_depth": {"booster": ["gbtree", "dart"]}, "rate_drop": {"booster": ["dart"]}},
)
def xgboost_with_boosters(trial):
    param = {
        "booster": trial.suggest_categorical("booster", ["gbtree", "gblinear", "dart"]),
        "lambda": trial.suggest_float("lambda", 1e-8, 1.0, log=True),
    }
    if param["booster"] in ["gbtree", "dart"]:
        param["max_depth"] = trial.suggest_int("max_depth", 3, 9, step=2)
    if param["booster"] == "dart":
        param["rate_drop"] = trial.suggest_float("rate_drop", 1e-8, 1.0, log=True)
    bst = xgb.train(param, [], callbacks=[xgb.XGBoostPruningCallback(trial, "auc")])
    return float(bst.predict([]))


def define_model(trial):
    n_layers = trial.suggest_int("n_layers", 1, 2)
    layers = []
    in_features = N_INPUTS
    for i in range(n_layers):
        out_features = trial.suggest_int(f"n_units_l{i}", 4, 128)
        layers.append(nn.Linear(in_features, out_features))
        layers.append(nn.Dropout(trial.suggest_float("dropout_l{}".format(i), 0.2, 0.5)))
        in_features = out_features
    layers.append(nn.LogSoftmax(dim=1))
    return nn.Sequential(*layers)


@reads(
    {
        "n_layers": Int(1, 2),
        "n_units_l0": Int(4, 128),
        "dropout_l0": Float(0.2, 0.5),
        "n_units_l1": Int(4, 128),
        "dropout_l1": Float(0.2, 0.5),
        "optimizer": Choice(["Adam", "RMSprop", "SGD"]),
        "lr": Float(1e-5, 1e-1, log=True),
        "momentum": Float(0.0, 0.99),
    },
    {
        "n_units_l1": {"n_layers": [2]},
        "dropout_l1": {"n_layers": [2]},
        "momentum": {"optimizer": ["SGD"]},
    },
)
def pytorch(trial):
    model = define_model(trial).to("cpu")
    optimizer_name = trial.suggest_categorical("optimizer", ["Adam", "RMSprop", "SGD"])
    kwargs = {"lr": trial.suggest_float("lr", 1e-5, 1e-1, log=True)}
    if optimizer_name == "SGD":
        kwargs["momentum"] = trial.suggest_float("momentum", 0.0, 0.99)
    optimizer = getattr(torch, optimizer_name)(model.parameters(), **kwargs)
    accuracy = 0.0
    for epoch in range(EPOCHS):
        for batch_idx, (data, target) in enumerate(torch.loader()):
            if batch_idx * 128 >= 1000:
                break
            optimizer.step()
        with torch.no_grad():
            accuracy = float(model.eval())
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.exceptions.TrialPruned()
    return accuracy


@reads(
    {
        "classifier": Choice(["SVC", "RandomForest"]),
        "svc_c": Float(1e-10, 1e10, log=True),
        "rf_max_depth": Float(2.0, 32.0, log=True),
    },
    {"svc_c": {"classifier": ["SVC"]}, "rf_max_depth": {"classifier": ["RandomForest"]}},
)
def scikit_learn(trial):
    classifier_name = trial.suggest_categorical("classifier", ["SVC", "RandomForest"])
    if classifier_name == "SVC":
        svc_c = trial.suggest_float("svc_c", 1e-10, 1e10, log=True)
        classifier_obj = sklearn.SVC(C=svc_c, gamma="auto")
    else:
        rf_max_depth = int(trial.suggest_float("rf_max_depth", 2, 32, log=True))
        classifier_obj = sklearn.RandomForest(max_depth=rf_max_depth, n_estimators=10)
    scores = []
    for step in range(200):
        classifier_obj.partial_fit()
        intermediate_value = 1.0 - float(classifier_obj.score())
        if intermediate_value < min(scores, default=1):
            scores.append(intermediate_value)
        elif len(scores) > 5:
            return max(scores)
    return float(classifier_obj.score())


# --- dynamic --------------------------------------------------------------------------------


@reads({"n": Int(2, 50)}, left_out=["range of 'm'"])
def dynamic_bounds(trial):
    n = trial.suggest_int("n", 2, 50)
    return trial.suggest_int("m", 1, n)


@reads({"x": X}, left_out=["range of 'f'", "range of 'g'"])
def bounds_from_data(trial):
    n_features = evaluate(1, 2, 3)
    f = trial.suggest_int("f", 1, int(n_features))
    g = trial.suggest_categorical("g", [evaluate, print]) if f < 0 else 0
    return f + g + trial.suggest_float("x", -1, 1)


@reads({"x": X}, left_out=["range of 'g'"])
def global_that_changes(trial):
    global N_CALLS
    N_CALLS += 1
    GROWN.append(N_CALLS)
    trial.suggest_int("g", 0, N_CALLS)
    return trial.suggest_float("x", -1, 1)


@reads({"x": X}, left_out=["'y' depends on len(GROWN) > 2"])
def global_list_that_grows(trial):
    GROWN.append(0)
    if len(GROWN) > 2:
        trial.suggest_float("y", -1, 1)
    return trial.suggest_float("x", -1, 1)


@reads({"x": X}, left_out=["what getattr does with the trial"])
def getattr_of_the_trial(trial):
    x = trial.suggest_float("x", -1, 1)
    return x + getattr(trial, "suggest_float")("y", 0, 1)


@reads({"x": X}, left_out=["what eval does with the trial"])
def trial_given_away(trial):
    x = trial.suggest_float("x", -1, 1)
    return x + eval("t.suggest_float('y', 0, 1)", {"t": trial})


@reads({"c": Choice(["a", "b"])}, left_out=["what eval does", "when 'x' is used"])
def known_elsewhere(trial):
    if trial.suggest_categorical("c", ["a", "b"]) == "a":
        return trial.suggest_float("x", -1, 1)
    return eval("t.suggest_float('x', -1, 1)", {"t": trial})


@reads({"x": X, "z": X}, left_out=["'y' is in a try block"])
def try_block(trial):
    try:
        x = trial.suggest_float("x", -1, 1)
        evaluate(x)
        y = trial.suggest_float("y", -1, 1)
    except ValueError:
        y = 0
    return y + trial.suggest_float("z", -1, 1)


@reads({"x": X, "z": X})
def try_and_prune(trial):
    try:
        x = trial.suggest_float("x", -1, 1)
        evaluate(x)
    except ValueError as error:
        raise optuna.TrialPruned() from error
    finally:
        evaluate()
    return x + trial.suggest_float("z", -1, 1)


@reads({"x": X, "y": X})
def with_statement(trial):
    with contextlib.nullcontext() as run:
        x = trial.suggest_float("x", -1, 1)
        evaluate(run, x)
    return x + trial.suggest_float("y", -1, 1)


@reads({"c": Choice([1, True]), "x": X}, left_out=["'y' depends on c is True"])
def equal_choices(trial):
    c = trial.suggest_categorical("c", [1, True])
    if c is True:
        trial.suggest_float("y", -1, 1)
    return trial.suggest_float("x", -1, 1)


@reads({"x": X}, left_out=["range of 'bounds'"])
def container_that_others_change(trial):
    bounds = {"low": 0, "high": 1}
    evaluate(bounds)
    trial.suggest_float("bounds", bounds["low"], bounds["high"])
    return trial.suggest_float("x", -1, 1)


@reads({"x": X, "z": X})
@record_failures
def recorded(trial):
    if trial.suggest_float("x", -1, 1) > 0.9:
        raise ValueError("too large")
    return trial.suggest_float("z", -1, 1)


@reads({"x": X}, left_out=["range of 'c'"])
def closures_that_change_a_list(trial):
    choices = [1]

    def grow():
        choices.append(len(choices) + 1)

    for each in map(lambda function: function(), [grow, grow]):
        evaluate(each)
    trial.suggest_categorical("c", choices)
    return trial.suggest_float("x", -1, 1)


@reads({"x": X}, left_out=["range of 'n'"])
def variable_that_a_nested_function_changes(trial):
    n = 1

    def grow():
        nonlocal n
        n += 1

    grow()
    return trial.suggest_int("n", 0, n) + trial.suggest_float("x", -1, 1)


@reads({"x": X, "n": Int(0, 2)})
def functions_see_later_values(trial):
    high = 1
    ask = lambda: trial.suggest_int("n", 0, high)
    high = 2
    return ask() + trial.suggest_float("x", -1, 1)


@reads({"x": X}, left_out=["range of 'n'"])
def suppressed_exception(trial):
    high = 3
    with contextlib.suppress(KeyError):
        high = {}["missing"]
    return trial.suggest_int("n", 0, high) + trial.suggest_float("x", -1, 1)


@reads({"a": Float(0.0, 1.0)}, left_out=["'y' is after a handler that may return"])
def return_in_a_try_block(trial):
    a = trial.suggest_float("a", 0, 1)
    try:
        if a > 0.5:
            raise RuntimeError
        return a
    except RuntimeError:
        pass
    return trial.suggest_float("y", -1, 1)


@reads({"s0": Choice([0, 1]), "s1": Choice([0, 1])}, {"s1": {"s0": [1]}})
def recursion(trial):
    def go_on(depth):
        if trial.suggest_categorical(f"s{depth}", [0, 1]) and depth < 1:
            return go_on(depth + 1)
        return depth

    return go_on(0)


@reads({"x0": Float(0.0, 1.0)}, left_out=["'x1' depends on x > 0.8", "'y' depends on x > 0.8"])
def return_from_a_loop(trial):
    for i in range(2):
        x = trial.suggest_float(f"x{i}", 0, 1)
        if x > 0.8:
            return x
    return trial.suggest_float("y", 0, 1)


@reads({"x": X}, left_out=["a generator"])
def generator_that_may_stop(trial):
    found = any(trial.suggest_float(name, -1, 1) > 0 for name in ("x0", "y"))
    return found + trial.suggest_float("x", -1, 1)


@reads({"n": Int(1, 2), "x0": X}, left_out=["'x1' is after a handler that may return"])
def break_in_a_handler(trial):
    n = trial.suggest_int("n", 1, 2)
    for i in range(2):
        try:
            if trial.suggest_float(f"x{i}", -1, 1) > 0.5:
                raise ValueError
        except ValueError:
            break
    return n


@reads({"x": X}, left_out=["'y' is after a handler that may return"])
def return_from_an_inner_handler(trial):
    x = trial.suggest_float("x", -1, 1)
    try:
        try:
            if x > 0.5:
                raise KeyError
        except KeyError:
            return 0.0
    except ValueError:
        pass
    return trial.suggest_float("y", -1, 1)


@reads({"c": Choice(["a", "b"]), "x": X}, {"x": {"c": ["b"]}})
def return_before_an_exception(trial):
    c = trial.suggest_categorical("c", ["a", "b"])
    if c == "a":
        try:
            evaluate(c)
        except ValueError:
            return 0.0
        raise RuntimeError
    return trial.suggest_float("x", -1, 1)


@reads({"x": X}, left_out=["'y' is in a try block"])
def exception_for_an_outer_handler(trial):
    x = trial.suggest_float("x", -1, 1)
    try:
        try:
            if x > 0.5:
                raise ValueError
        except KeyError:
            pass
        x += trial.suggest_float("y", -1, 1)
    except ValueError:
        pass
    return x


@reads({"x": X}, left_out=["'y' is after what may return"])
def match_that_returns(trial):
    x = trial.suggest_float("x", -1, 1)
    for step in [int(10 * x)]:
        match step:
            case 3 | 4 | 5:
                return 0.0
    return trial.suggest_float("y", -1, 1)


def first_of_two(trial):
    low = trial.suggest_int("low", 0, 3)
    if evaluate(low) > 5:
        return 1
    return 0


reads({"low": Int(0, 3)}, left_out=["'y' depends on evaluate(low) > 5"])(
    lambda t: first_of_two(t) or t.suggest_float("y", -1, 1)
)


@reads({}, left_out=["a generator"])
def generator(trial):
    yield trial.suggest_float("x", -1, 1)


@reads({}, left_out=["an asynchronous function"])
async def asynchronous(trial):
    return trial.suggest_float("x", -1, 1)
