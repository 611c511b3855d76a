"""The recipes of benchmarks/recipes.md, run as they stand there, with fewer trials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import re
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import Trial
import pytest

from .support.fakes import guessing_server


RECIPES = Path(__file__).parents[1] / "benchmarks" / "recipes.md"
BLOCK = re.compile(r"<!-- ([\w -]+) -->\n```python\n(.*?)\n```\n", re.DOTALL)
N_TRIALS = 4

# Those of libraries, about themselves.
pytestmark = pytest.mark.filterwarnings("default")


def recipe(name: str) -> str:
    code = dict(BLOCK.findall(RECIPES.read_text()))[name]
    assert len([line for line in code.splitlines() if line]) <= 15
    code = code.replace("range(20)", f"range({N_TRIALS})")
    return re.sub(r"(n_trials|num_samples)=20", rf"\1={N_TRIALS}", code)


def run(name: str, **given: Any) -> dict[str, Any]:
    """Run a recipe with the names that the reader has to give; return all names."""
    exec(recipe(name), given)
    return given


def sources(study: Study) -> list[str]:
    return [trial.user_attrs["llm_source"] for trial in study.trials]


def objective(trial: Trial) -> float:
    return trial.suggest_float("x", 0, 1) + trial.suggest_int("n", 1, 9)


@pytest.fixture(autouse=True)
def _model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A model, and a folder to write to."""
    monkeypatch.chdir(tmp_path)
    with guessing_server(monkeypatch) as server:
        yield
    assert server.received


def test_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    studies: list[Study] = []
    create_study = optuna.create_study

    def created(**options: Any) -> Study:
        studies.append(create_study(**options))
        return studies[-1]

    monkeypatch.setattr(optuna, "create_study", created)
    config = transformers.BertConfig(
        vocab_size=9,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=8,
    )
    rows = [
        {"input_ids": torch.tensor([i % 9, 1, 2]), "labels": torch.tensor(i % 2)} for i in range(8)
    ]
    args = transformers.TrainingArguments(
        output_dir="out", report_to=[], save_strategy="no", eval_strategy="epoch", use_cpu=True
    )
    names = run(
        "transformers",
        model_init=lambda trial: transformers.BertForSequenceClassification(config),
        args=args,
        train_set=rows,
        eval_set=rows,
    )
    assert names["best"].hyperparameters.keys() == {"learning_rate", "num_train_epochs"}
    assert "llm" in sources(studies[0])


def test_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_breast_cancer(return_X_y=True)
    names = run("scikit-learn", X=X[:120], y=y[:120])
    assert names["search"].best_params_.keys() == {"C", "gamma"}
    assert "llm" in sources(names["study"])


def test_lightning() -> None:
    pytorch = pytest.importorskip("lightning.pytorch")
    torch = pytest.importorskip("torch")

    class Line(pytorch.LightningModule):  # type: ignore[name-defined, misc]
        def __init__(self, lr: float) -> None:
            super().__init__()
            self.lr, self.layer = lr, torch.nn.Linear(1, 1)

        def _loss(self, batch: Any) -> Any:
            return (self.layer(batch[0]) - 3 * batch[0]).square().mean()

        def training_step(self, batch: Any) -> Any:
            return self._loss(batch)

        def validation_step(self, batch: Any) -> None:
            self.log("val_loss", self._loss(batch))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), self.lr)

    rows = torch.utils.data.TensorDataset(torch.linspace(-1, 1, 8)[:, None])
    loader = torch.utils.data.DataLoader(rows, batch_size=4)
    names = run("lightning", make_model=Line, train_loader=loader, val_loader=loader)
    assert "llm" in sources(names["study"])
    assert all(len(trial.intermediate_values) == 10 for trial in names["study"].trials)


@pytest.mark.slow
def test_ray() -> None:
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.tune")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        names = run(
            "ray",
            task="A line; loss.",
            train=lambda config: {"loss": config["lr"] + config["layers"]},
        )
    finally:
        ray.shutdown()
    assert len(names["results"]) == N_TRIALS
    assert "llm" in sources(names["search"]._ot_study)


def test_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("optuna_integration")
    before = mlflow.get_tracking_uri()
    try:
        study = run("mlflow", objective=objective)["study"]
        runs = mlflow.search_runs(experiment_names=["customers"], output_format="list")
    finally:
        mlflow.set_tracking_uri(before)
    assert sorted(run.data.tags["llm_source"] for run in runs) == sorted(sources(study))
    assert "llm" in sources(study)


def test_ask_and_tell() -> None:
    study = run("ask and tell", measure=lambda temperature, minutes: temperature * minutes)[
        "study"
    ]
    assert "llm" in sources(study)


def test_jupyter() -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    given = "def objective(trial):\n    return trial.suggest_float('x', 0, 1)"
    cells = [nbformat.v4.new_code_cell(code) for code in (given, recipe("jupyter"))]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=300).execute()
    outputs = notebook.cells[-1].outputs
    assert "application/vnd.plotly.v1+json" in outputs[-1]["data"]
    assert f"{N_TRIALS}/{N_TRIALS}" in "".join(output.get("text", "") for output in outputs)
