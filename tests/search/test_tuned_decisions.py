"""A study whose decisions are tuned, and a verdict on losses that differ by their threshold alone."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import logit
from sklearn import metrics as sk

import lossreg
from lossreg.data import load
from lossreg.errors import InputError
from lossreg.metrics import catalogue, decision
from lossreg.reporting import description, leaderboard, trial_table, usage, verdict
from lossreg.search import outline, run
from lossreg.storage.observer import Observer
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.verdict import Answer
from lossreg.tracking import entities

ROWS = """
import numpy as np

def rows(n=900):
    rng = np.random.default_rng(3)
    y = (rng.random(n) < 0.12).astype(int)
    return rng.normal(size=(n, 3)) + 1.2 * y[:, None], y
"""
SOURCE, REPEATS = "table.py:rows", 6


def study(name, search=None, **sections):
    return {
        "name": name,
        "data": {"source": SOURCE},
        "model": {"hidden": [6]},
        "train": {"epochs": 6, "learning_rate": 0.02},
        "search": {"trials": 4, "metric": "balanced_accuracy", "lanes": 4, "keep": "all", **(search or {})},
        "losses": {"cross_entropy": {}, "weighted_bce": {"tau": 1.0}},
        "tracking": {"enabled": False},
        "verdict": {"outer": 0, "repeats": REPEATS},
        **sections,
    }


TUNED = study("tuned", {"decision": "tuned"})


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decisions")
    (folder / "table.py").write_text(ROWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield


@pytest.fixture(scope="module")
def tuned():
    return lossreg.tune(TUNED)


@pytest.fixture(scope="module")
def plain():
    return lossreg.tune(study("plain"))


def test_both_scores_of_a_trial_are_those_of_its_kept_model(tuned):
    data = load(SOURCE)
    y, half = data.validation.y, decision.halves(data.validation.y)
    one = catalogue.resolve("balanced_accuracy", "binary")
    for trial in tuned.trials:
        model, _ = lossreg.load_trial(TUNED, number=trial.number)
        p, threshold = model.predict(data.validation.x, verbose=0)[:, 0].astype(np.float64), trial.decision["threshold"]
        odds = logit(p) + threshold
        assert trial.default_score == pytest.approx(sk.balanced_accuracy_score(y, odds > 0))
        predicted = decision.crossfit("threshold", one, y, np.stack([-odds / 2, odds / 2], -1)[None], half)[0]
        assert trial.score == pytest.approx(sk.balanced_accuracy_score(y, predicted))
        assert sk.balanced_accuracy_score(y, p > 0.5) >= trial.score - 0.05
    plain_loss = next(trial for trial in tuned.trials if trial.candidate == tuned.baseline)
    assert plain_loss.score > plain_loss.default_score + 0.05


def test_the_model_of_the_recommended_trial_has_its_threshold(tuned):
    model = keras.models.load_model(Path(tuned.folder) / "best.keras")
    assert model.get_layer("decision").offset == -tuned.recommended.decision["threshold"]


def test_both_scores_are_stored_and_shown(tuned):
    again = lossreg.results(TUNED)
    for trial, stored in zip(tuned.trials, again.trials, strict=True):
        assert (stored.default_score, stored.decision) == (trial.default_score, trial.decision)
    document = json.loads(json.dumps(tuned.to_json()))
    assert document["best"]["default_score"] == tuned.best.default_score
    assert document["best"]["decision"] == tuned.best.decision
    assert [row["default_score"] for row in document["losses"]] == [row.best.default_score for row in tuned.ranking()]
    assert "| default decision |" in description.markdown(tuned)
    shown = leaderboard.cells(tuned)[0][leaderboard.headings(tuned).index("default decision")]
    assert float(shown) == pytest.approx(tuned.best.default_score, abs=1e-4)
    assert any("threshold" in text for text in usage.besides(tuned.best))
    header, *_ = trial_table.to_csv(trial_table.rows(tuned)).splitlines()
    assert {"score", "default_score", "decision"} <= set(header.split(","))


def test_both_scores_and_the_decision_are_tracked(tuned):
    points = {point.name: point.value for point in entities.trial_points(tuned.best, tuned.metric)}
    assert (points["score"], points["default_score"]) == (tuned.best.score, tuned.best.default_score)
    tag = entities.trial_tags(tuned.best, "parent")["lossreg.decision"]
    assert tag == f"threshold {tuned.best.decision['threshold']!r}"


def test_the_arms_of_its_verdict_are_tuned(tuned):
    assert (tuned.verdict.decision, tuned.verdict.against_tuned_decision) == ("tuned", None)
    assert tuned.to_json()["verdict"]["decision"] == "tuned"
    assert "Both have a tuned threshold." in verdict.evidence(tuned, tuned.verdict)
    with np.load(Path(tuned.folder) / "verdict.npz") as arrays:
        assert set(arrays.files) <= {"winner", "baseline", "same_rate", "key", "winner_odds", "baseline_odds"}


def test_a_gain_of_the_threshold_alone_is_no_better_loss(plain, tuned):
    result = plain.verdict
    assert (result.answer, result.decision) == (Answer.NO_DIFFERENCE, "default")
    assert result.against_baseline.low > 0
    assert abs(result.against_tuned_decision.difference) < 0.02
    assert tuned.verdict.answer == Answer.NO_DIFFERENCE
    words = " ".join(verdict.evidence(plain, result))
    assert "cross_entropy with a tuned threshold may do as well." in words
    assert any('search.decision = "tuned"' in note for note in result.notes)


def test_tuned_predictions_are_those_of_the_thresholds_of_the_rows_left_out(plain):
    y = load(SOURCE).test.y
    with np.load(Path(plain.folder) / "verdict.npz") as arrays:
        stored = {name: arrays[name] for name in arrays.files}
    scores = {
        name: np.mean([sk.balanced_accuracy_score(y, repeat) for repeat in stored[name]])
        for name in ("winner", "baseline", "winner_tuned", "baseline_tuned")
    }
    against = plain.verdict.against_tuned_decision
    assert against.difference == pytest.approx(scores["winner_tuned"] - scores["baseline_tuned"])
    assert scores["baseline_tuned"] > scores["baseline"] + 0.02
    curve = plain.verdict.predicted["precision_recall"]["baseline"]
    for point, arm in (("at", "baseline"), ("at_tuned", "baseline_tuned")):
        of_repeats = [(sk.recall_score(y, one), sk.precision_score(y, one)) for one in stored[arm]]
        assert curve[point] == pytest.approx(np.mean(of_repeats, axis=0), rel=1e-5)
    told = plain.verdict.predicted["scores"]["baseline"]
    assert np.mean(told) == pytest.approx(plain.verdict.baseline.score, rel=1e-5)
    assert plain.verdict.predicted["repeats"] == {"winner": REPEATS, "baseline": REPEATS}


@pytest.mark.long
def test_predictions_of_before_there_were_tuned_ones_are_deepened(plain):
    file = Path(plain.folder) / "verdict.npz"
    with np.load(file) as arrays:
        stored = {name: arrays[name] for name in arrays.files if not name.endswith("_tuned")}
    np.savez(file, **stored)
    few = run.verdict(study("plain"), REPEATS + 2).verdict
    assert (few.repeats, few.against_tuned_decision) == (REPEATS + 2, None)
    assert few.against_baseline.low > 0
    assert few.answer == Answer.NO_DIFFERENCE
    assert few.reason.startswith("fewer than half of the repeats have a tuned decision for both losses")
    many = run.verdict(study("plain"), 2 * REPEATS + 2).verdict
    assert many.against_tuned_decision.repeats == REPEATS + 2


SEEDED = study(
    "seeded",
    {"decision": "tuned", "seeds": 2, "score_epoch": "best", "keep": "losses", "trials": 2},
    train={"epochs": 12, "learning_rate": 0.05, "early_stopping": {"patience": 4}},
    # with this margin the baseline is recommended, whose first member would be best in another epoch
    verdict={"enabled": False, "outer": 0, "repeats": 2, "margin": 1.0},
)


@pytest.mark.long
def test_a_trial_that_is_trained_again_for_the_verdict_has_the_epoch_and_the_decision_of_its_record():
    x = load(SOURCE).validation.x
    result = lossreg.tune(SEEDED)
    before = {trial.number: lossreg.load_trial(SEEDED, trial.number).model.predict(x) for trial in result.trials}
    StudyFolder(Path(result.folder), "seeded").weights.forget(before)
    chosen = run.verdict(SEEDED, 2).recommended
    assert chosen.candidate == result.baseline
    model = keras.models.load_model(Path(result.folder) / "best.keras")
    assert model.get_layer("decision").offset == pytest.approx(-chosen.decision["threshold"], rel=1e-3)
    np.testing.assert_allclose(model.predict(x), before[chosen.number], rtol=1e-3, atol=1e-4)


class Stops(Observer):
    """Stops a study when its outer folds are searched."""

    def __init__(self):
        self.is_searched = False

    def phase(self, text):
        self.is_searched |= "the search again" in text

    def stopping(self):
        return self.is_searched


@pytest.mark.long
def test_decisions_are_tuned_where_a_repeat_leaves_out_enough_rows_whatever_the_search_has():
    """Of 315 development rows the search has 95 validation rows and a repeat leaves out 48: 50 are needed."""
    few = study("few", {"decision": "tuned"}, data={"source": SOURCE, "test": 0.65, "validation": 0.3})
    with pytest.raises(KeyboardInterrupt):
        lossreg.tune({**few, "verdict": {"repeats": 2, "outer": 2}}, progress=Stops())
    result = run.verdict({**few, "verdict": {"repeats": 2, "outer": 0}}).verdict
    assert (result.decision, result.openings) == ("default", 2)
    assert [note for note in result.notes if "too few rows to tune them" in note]


def test_the_decision_of_a_study_does_not_change(tuned):
    assert tuned.study == "tuned"
    with pytest.raises(InputError, match=r"search\.decision: tuned -> not set"):
        lossreg.tune(TUNED, ["search.decision=default"])


def test_a_metric_without_a_decision_is_noted():
    planned = outline.plan(study("ranking", {"metric": "roc_auc", "decision": "tuned"}))
    assert any('search.decision = "tuned" is left out: there is nothing to tune' in note for note in planned.notes)
    planned = outline.plan(study("precise", {"metric": "accuracy", "decision": "tuned"}))
    assert any("144 validation rows are too few for a threshold of accuracy" in note for note in planned.notes)
