"""The positive class of a study, from its key to the score, the kept model and new rows."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

import lossreg
from lossreg import data
from lossreg.contract.data_options import Options


@pytest.mark.parametrize("positive", ["ja", "nein"])
def test_scores_model_and_new_rows_mean_the_class_that_the_study_names(tmp_path, monkeypatch, positive):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    rows["kauf"] = np.where(rows.a + 0.5 * rng.normal(size=200) > 0.6, "ja", "nein")
    rows.to_csv("kunden.csv", index=False, sep=";", decimal=",")
    document = {
        "name": "kauf", "data": {"source": "kunden.csv", "target": "kauf", "positive": positive, "decimal": ","},
        "model": {"hidden": [4]}, "train": {"epochs": 3, "learning_rate": 0.05}, "losses": {"cross_entropy": {}},
        "search": {"trials": 1, "metric": "f1", "lanes": 1}, "verdict": {"enabled": False},
        "tracking": {"enabled": False},
    }  # fmt: skip
    result = lossreg.tune(document)
    model, preprocessor = lossreg.load_trial(document)
    kept = data.load("kunden.csv", target="kauf", options=Options(positive=positive, decimal=","))
    chance = model.predict(kept.validation.x, verbose=0)[:, 0]
    named = np.array(kept.classes)[kept.validation.y]
    expected = metrics.f1_score(named == positive, chance > 0.5)
    assert result.best.score == pytest.approx(expected, abs=1e-6)
    assert model.name == f"probability_of_{positive}"
    assert preprocessor.classes[1] == positive
    exported = keras.saving.load_model(".lossreg/kauf/best.keras", compile=False)
    assert exported.name == model.name
    loaded = lossreg.load_preprocessor(".lossreg/kauf/preprocessor.json")
    assert loaded.classes == preprocessor.classes
    of_rows = exported.predict(loaded.transform("kunden.csv"), verbose=0)[:, 0]
    assert metrics.roc_auc_score(rows.kauf == positive, of_rows) > 0.85
