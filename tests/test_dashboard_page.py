"""docs/optuna-dashboard.md: Optuna's dashboard, where it is installed, reads the journal that the page names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import pytest
from fake_trainer import Fake

import lossreg

PAGE = (Path(__file__).parents[1] / "docs" / "optuna-dashboard.md").read_text()
pytestmark = pytest.mark.long
dashboard = pytest.importorskip("optuna_dashboard")


def answer(app, path, query=""):
    """What the dashboard answers to a request."""
    request = {"PATH_INFO": path, "QUERY_STRING": query}
    setup_testing_defaults(request)
    return json.loads(b"".join(app(request, lambda *_: None)))


@pytest.fixture
def result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = {
        "name": "churn", "data": {"source": "sklearn:breast_cancer"}, "losses": {"cross_entropy": {}, "focal": {}},
        "search": {"trials": 24}, "train": {"epochs": 1}, "tracking": {"enabled": False},
        "verdict": {"enabled": False},
    }  # fmt: skip
    by_rate = Fake(lambda plan, epoch: 1 - abs(plan.learning_rate - 0.003))
    return lossreg.tune(study, progress=False, trainers=[by_rate])


def test_the_journal_that_the_page_names_has_all_trials_and_is_left_as_it_is(result):
    journal = Path(re.search(r"^optuna-dashboard (\S+\.log)$", PAGE, re.MULTILINE)[1])
    before, app = journal.read_bytes(), dashboard.wsgi(str(journal))
    [summary] = answer(app, "/api/studies")["study_summaries"]
    assert summary["study_name"] == "churn"
    path = f"/api/studies/{summary['study_id']}"
    trials = answer(app, path, "after=0")["trials"]
    told = {trial["number"]: trial["values"][0] for trial in trials}
    assert told == pytest.approx({trial.number: trial.score for trial in result.trials})
    for trial in trials:
        loss = next(param["param_external_value"] for param in trial["params"] if param["name"] == "loss")
        assert loss.strip("'\"") == result.trials[trial["number"]].candidate
    importance = answer(app, f"{path}/param_importances", "evaluator=ped_anova")["param_importances"][0]
    assert max(importance, key=lambda one: one["importance"])["name"] == "learning_rate"
    assert journal.read_bytes() == before
