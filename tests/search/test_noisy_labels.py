"""A study with label noise says how many labels are wrong wherever it says what its data are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_trainer import Fake
from sklearn.datasets import load_iris
from typer.testing import CliRunner

import lossreg
from lossreg.cli import app
from lossreg.reporting import description
from lossreg.search.outline import plan
from lossreg.tracking import entities

STUDY: dict[str, Any] = {
    "name": "noisy",
    "data": {"source": "sklearn:iris", "noise": 0.2},
    "search": {"trials": 6, "confirm": 0},
    "verdict": {"enabled": False},
    "tracking": {"enabled": False},
    "losses": {"cross_entropy": {}, "generalized_cross_entropy": {}},
}
WRONG = {"share": 0.2, "flipped": 24, "rows": 120}  # of iris's 150 rows, 30 are test rows


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_report_json_and_mlflow_count_them() -> None:
    result = lossreg.tune(STUDY, trainers=[Fake(lambda plan, epoch: 0.5)])
    assert result.to_json()["noise"] == WRONG
    assert "Label noise: 24 of 120 labels of train and validation rows" in description.markdown(result)
    assert json.loads(entities.dataset(result.data)["profile"])["noise"] == WRONG
    assert any("noise = 0.2: 24 of 120 labels" in note for note in result.notes)


def test_a_dry_run_has_them() -> None:
    assert plan(STUDY).data["noise"] == WRONG


@pytest.mark.long
def test_rows_in_python_have_them() -> None:
    x, y = load_iris(return_X_y=True)
    x, y = x[:100].astype(np.float32), y[:100]
    result = lossreg.tune(
        x, y, losses=["focal"], trials=4, settings={"data": {"noise": 0.1}, "verdict": {"enabled": False}},
        trainers=[Fake(lambda plan, epoch: 0.5)],
    )  # fmt: skip
    assert result.data["noise"] == {"share": 0.1, "flipped": 8, "rows": 80}


def test_a_regression_with_noise_is_refused_with_the_key() -> None:
    Path("r.toml").write_text('[data]\nsource = "sklearn:diabetes"\nnoise = 0.2\n')
    refused = CliRunner().invoke(app, ["tune", "r.toml", "--dry-run"])
    assert refused.exit_code == 2
    told = " ".join(refused.stderr.split())
    assert (
        "r.toml: data.noise: replaces the class of a row by another one, and rows of a regression task have no" in told
    )
    assert "binary and multiclass" in told
