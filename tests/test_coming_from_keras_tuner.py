"""The snippets of docs/coming-from-keras-tuner.md run in the order of the page, and names in its table are there."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest

import lossreg
from lossreg.config.schema import Data, Model, Search, Train
from lossreg.keras_tuner import LossTuner
from lossreg.metrics import catalogue

PAGE = (Path(__file__).parents[1] / "docs" / "coming-from-keras-tuner.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.long
def test_the_snippets_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {}
    for snippet in SNIPPETS:
        exec(snippet, scope)
    result, model, hp, search = (scope[name] for name in ("result", "model", "hp", "search"))
    assert result.verdict is not None
    assert len(result.trials) == 32
    assert model.predict(scope["x_val"], verbose=0).shape == (50, 3)
    assert (tmp_path / "search" / "losses").is_dir()
    assert {"loss", "units", "lr"} <= hp.values.keys()
    assert [w.shape for w in scope["again"].weights] == [w.shape for w in model.weights]
    assert model.loss.spec.name == lossreg.get(hp["loss"]).spec.name
    assert "loss" in search.get_best_hyperparameters()[0].values


def test_the_beginning_of_the_page_builds_a_model_for_its_rows():
    scope = {}
    exec(SNIPPETS[0], scope)
    model = scope["build_model"](keras_tuner.HyperParameters())
    assert isinstance(model, keras.Model)
    assert np.isfinite(model.evaluate(scope["x_val"], scope["y_val"], verbose=0)).all()


def test_what_stands_in_the_table_is_there():
    rows = [line.split("|")[1:4] for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line][1:]
    arguments = {*inspect.signature(LossTuner).parameters, *inspect.signature(LossTuner.search).parameters}
    said = {name for _, _, ours in rows for name in re.findall(r"`(\w+)`", ours)}
    assert {"losses", "objective"} <= said & arguments
    keys = {key for section in (Data, Model, Search, Train) for key in section.model_fields}
    for name in ("build", "hp", "metric", "trials", "seeds", "validation", "early_stopping", "schedule", "sampler"):
        assert name in keys
        assert f"`{name}" in PAGE
    assert {"val_accuracy"} == {f"val_{metric.name}" for metric in catalogue.available() if metric.name == "accuracy"}
    for method in ("results_summary", "get_best_models", "get_best_hyperparameters"):
        assert callable(getattr(LossTuner, method))
