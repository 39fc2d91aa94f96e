"""Constraints of a study: who keeps them, how that ranks trials, and what the verdict says of them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
import problems
import pytest
import sample_study as sample
import sample_verdict
from rich.console import Console
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss, recall_score

import lossreg
from lossreg.config import study as studies
from lossreg.errors import InputError
from lossreg.metrics import catalogue
from lossreg.reporting import leaderboard, progress, trial_table, watcher
from lossreg.reporting.verdict import decision, evidence
from lossreg.search import confirming, judgement, preparation, study_metrics
from lossreg.search.arms import BASELINE, WINNER
from lossreg.search.ask_tell import AskTell
from lossreg.search.checkpoints import KeepPolicy
from lossreg.search.constraints import Constraints
from lossreg.search.outline import plan
from lossreg.search.sampler import SeededSampler
from lossreg.storage.constraints import Constraint, are_kept
from lossreg.tracking import entities, messages
from lossreg.training import scoring
from lossreg.verdict import one_arm

RECALL, BRIER = Constraint("recall", 0.9, "maximize"), Constraint("brier_score", 0.2, "minimize")
ARMS = (WINNER, BASELINE)
ROWS = """
from sklearn.datasets import make_classification
def rows():
    return make_classification(400, 8, n_informative=4, weights=[0.7], class_sep=0.8, random_state=0)
"""
STUDY = {
    "name": "kept",
    "data": {"source": "table.py:rows"},
    "model": {"hidden": [4]},
    "train": {"epochs": 2},
    "search": {
        "trials": 6,
        "confirm": 2,
        "metric": "precision",
        "constraints": {"recall": 0.5, "brier": 0.9},
        "lanes": 4,
    },
    "losses": {"cross_entropy": {}, "focal": {"gamma": "search", "alpha": "per_class"}},
    "verdict": {"repeats": 2, "outer": 0},
    "tracking": {"enabled": False},
}


@pytest.mark.parametrize(
    ("constraint", "value", "is_kept"),
    [
        (RECALL, 0.9, True),
        (RECALL, 0.95, True),
        (RECALL, 0.89, False),
        (BRIER, 0.2, True),
        (BRIER, 0.1, True),
        (BRIER, 0.21, False),
        (RECALL, 0.8999999999999999, True),
        (RECALL, 0.89999999, False),
        (BRIER, None, False),
        (RECALL, float("nan"), False),
    ],
)
def test_a_metric_is_kept_at_least_where_it_is_maximised_and_at_most_where_it_is_minimised(constraint, value, is_kept):
    assert constraint.is_kept(value) is is_kept
    assert are_kept([constraint], {constraint.metric: value}) is is_kept
    assert are_kept([], {})


def test_the_mean_of_folds_that_each_have_the_bound_keeps_it():
    folds = [0.7] * 3
    constraint = Constraint("recall", 0.7, "maximize")
    assert constraint.is_kept(sum(folds) / 3)
    assert constraint.violation(sum(folds) / 3) == 0


def test_a_value_that_is_rounded_stays_on_its_side_of_the_bound():
    assert [RECALL.text(value, 3) for value in (0.8996, 0.9, 0.9004, 0.899999)] == ["0.8996", "0.9", "0.9", "0.899999"]
    assert [BRIER.text(value, 3) for value in (0.2004, 0.1996, 0.2)] == ["0.2004", "0.2", "0.2"]


def test_a_trial_without_a_value_is_farther_off_than_any_with_one():
    mse = Constraint("mean_squared_error", 1.0, "minimize")
    assert mse.violation(None) > mse.violation(4.5e10)


# number, candidate, score, recall in the search, recall on two fresh splits, None where it was not trained there
TRIALS = [
    (0, "ce", 0.80, 0.92, None),
    (1, "ce", 0.95, 0.70, None),
    (2, "focal", 0.99, 0.89, None),
    (3, "focal", 0.70, 0.95, None),
    (4, "mae", 0.90, 0.10, None),
]


def study(trials=TRIALS, direction="maximize"):
    sign = 1 if direction == "maximize" else -1
    records = [
        sample.trial(number, name, "complete", score=sign * score, metrics={"recall": recall})
        for number, name, score, recall, _ in trials
    ]
    losses = dict.fromkeys(("ce", "focal", "mae"), "x")
    result = sample.study(0, losses=losses, baseline="ce", direction=direction, trials=records)
    result.constraints = (RECALL,)
    if any(splits for *_, splits in trials):
        scores = {number: [sign * score] * 2 for number, _, score, _, splits in trials if splits}
        recalls = {number: splits for number, *_, splits in trials if splits}
        result.confirmation = confirming.confirmed(result, scores, 2, ratio=1 / 4, metrics={"recall": recalls})
    return result


def test_values_of_a_constraint_have_the_same_decimals_unless_more_are_needed_to_be_on_their_side_of_the_bound():
    result = study()
    recalls = {0: 0.95, 3: 0.9123456, 4: 0.899999999}
    result.trials = [replace(one, metrics={"recall": recalls.get(one.number, 0.5)}) for one in result.trials]
    assert [cells[-4] for cells in leaderboard.cells(result)] == ["0.95000", "0.91235", "0.899999999 (violated)"]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_trials_that_violate_a_constraint_stand_behind_all_that_keep_it_and_are_marked(direction):
    result = study(direction=direction)
    rows = result.ranking()
    order = [(row.candidate, row.best.number, result.keeps(row.best)) for row in rows]
    assert order == [("ce", 0, True), ("focal", 3, True), ("mae", 4, False)]
    assert [row.rank for row in rows] == [1, 2, 3]
    assert result.best == rows[0].best
    marked = ["(violated)" in " ".join(cells) for cells in leaderboard.cells(result)]
    assert marked == [False, False, True]
    assert "recall >= 0.9" in leaderboard.markdown(result)
    assert [row["keeps"] for row in leaderboard.rows(result)] == [True, True, False]
    assert [row["keeps"] for row in trial_table.rows(result)] == [True, False, False, True, False]
    assert [trial.number for trial, _ in result.best_so_far()] == [0, 3]
    assert [trial.number for trial in result.ranked("focal")] == [3, 2]
    assert not result.unkept


def test_settings_that_were_trained_on_fresh_splits_are_held_against_it_there():
    trials = [
        (0, "ce", 0.80, 0.92, (0.93, 0.95)),
        (1, "focal", 0.90, 0.95, (0.80, 0.90)),  # kept it in the search by luck
        (2, "focal", 0.70, 0.85, (0.90, 0.96)),
        (3, "mae", 0.99, 0.95, (0.95, float("nan"))),
    ]
    result = study(trials)
    assert [row.best.number for row in result.ranking()] == [0, 2, 3]
    assert [result.keeps(trial) for trial in result.trials] == [True, False, True, False]
    assert result.confirmation == type(result.confirmation).of_stored(result.confirmation.stored())
    assert tuple(trial.number for trial in confirming.choose(result)) == (2, 0)


def test_where_no_trial_keeps_the_constraints_that_is_said_and_the_scores_rank():
    result = study([(number, name, score, recall / 2, None) for number, name, score, recall, _ in TRIALS])
    assert result.best.number == 2
    assert result.unkept == "no trial keeps recall of at least 0.9; the nearest is trial 3 (recall 0.475)"
    assert result.best_so_far() == []
    assert watcher.standing(result) == "highest accuracy 0.99 (focal, which violates a constraint)"
    assert "violates" not in watcher.standing(study())


def test_the_nearest_to_several_constraints_is_so_by_shares_of_their_bounds():
    trials = [
        sample.trial(0, "ce", metrics={"recall": 0.45, "mean_absolute_error": 100.0}),  # half of the recall
        sample.trial(1, "ce", metrics={"recall": 0.9, "mean_absolute_error": 110.0}),  # a tenth more of the error
    ]
    result = sample.study(0, trials=trials)
    result.constraints = (RECALL, Constraint("mean_absolute_error", 100.0, "minimize"))
    assert "the nearest is trial 1 (recall 0.9, mean_absolute_error 110)" in result.unkept


def test_the_display_while_trials_run_marks_those_that_violate_a_constraint():
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    display, result = progress.Display(console), study()
    display.trial(result.trials[0], result)
    console.print(display.render())
    lines = console.file.getvalue().splitlines()
    assert any("recall >= 0.9" in line for line in lines)
    marked = {name: "(violated)" in line for line in lines for name in ("ce", "focal", "mae") if f"{name} " in line}
    assert marked == {"ce": False, "focal": False, "mae": True}


def test_a_loss_that_alone_violates_a_constraint_is_not_called_as_good_as_the_first():
    def ranks(recall):
        pairs = [("ce", (0.80, 0.90), 0.95), ("focal", (0.79, 0.89), recall)]
        result = study()
        result.trials = [
            sample.trial(i, name, score=sum(scores) / 2, scores=scores, spread=0.07, metrics={"recall": kept})
            for i, (name, scores, kept) in enumerate(pairs)
        ]
        return [leaderboard.rank(result, row) for row in result.ranking()[:2]]

    assert ranks(0.95) == ["1", "~2"]
    assert ranks(0.5) == ["1", "2"]


def test_tables_have_the_metrics_of_the_search_and_those_on_fresh_splits_in_columns_of_their_own():
    result = study([(0, "ce", 0.80, 0.92, (0.93, 0.95)), (1, "focal", 0.90, 0.95, None)])
    expected = [(0.92, pytest.approx(0.94), True), (0.95, None, True)]
    for rows in (trial_table.rows(result), leaderboard.rows(result)[:2]):
        assert [(row["recall"], row["confirmed_recall"], row["keeps"]) for row in rows] == expected


def test_a_kill_between_two_constraints_of_a_trial_loses_none():
    trials = optuna.create_study(sampler=SeededSampler(0))
    proposer = SimpleNamespace(suggest=lambda trial: SimpleNamespace(candidate="ce"))
    # the order of a file that was changed since
    ask_tell = AskTell(trials, proposer, 1, "ce", constraints=[RECALL, BRIER])
    trial, _ = ask_tell.ask()
    trial.set_constraint("brier_score", 0.1)
    metrics = {"recall": 0.8, "brier_score": 0.3}
    ask_tell.tell(sample.trial(0, "ce", "complete", score=0.5, metrics=metrics), 0.5)
    assert list(trials.trials[0].constraints.items()) == [("brier_score", 0.1), ("recall", pytest.approx(0.1))]


def test_weights_of_trials_that_keep_the_constraints_are_kept_first():
    result = study()
    policy = KeepPolicy("losses", result)
    assert policy.numbers == {0, 3, 4}
    assert not policy.wants("ce", 0.99, 9, {"recall": 0.5})
    assert policy.wants("ce", 0.81, 9, {"recall": 0.9})


def test_the_sampler_learns_from_trials_that_keep_the_constraints():
    """The score is highest at x = 1 and kept up to x = 0.5 alone: what TPE asks for ends below."""

    class Suggests:
        def suggest(self, trial):
            trial.suggest_float("x", 0.0, 1.0)
            return SimpleNamespace(candidate="ce")

    def asked(constraints):
        trials = optuna.create_study(direction="maximize", sampler=SeededSampler(0))
        ask_tell = AskTell(trials, Suggests(), 60, "ce", constraints=constraints)
        while ask_tell.left:
            trial, _ = ask_tell.ask()
            x = trial.params["x"]
            record = sample.trial(trial.number, "ce", "complete", score=x, metrics={"recall": 1.4 - x})
            ask_tell.tell(record, x)
        return trials.trials

    with_constraint, without = asked([RECALL]), asked([])
    assert np.mean([trial.params["x"] <= 0.5 for trial in with_constraint[-20:]]) >= 0.5
    assert np.mean([trial.params["x"] <= 0.5 for trial in without[-20:]]) < 0.2
    assert [trial.constraints for trial in with_constraint] == [
        {"recall": pytest.approx(trial.params["x"] - 0.5)} for trial in with_constraint
    ]


def test_a_value_on_test_rows_is_that_of_scikit_learn_and_its_interval_covers_as_often_as_it_says():
    metric, rng, truth, inside = catalogue.resolve("recall", "binary"), np.random.default_rng(0), 0.8, 0
    for seed in range(30):
        y = (rng.random(200) < 0.5).astype(int)
        predicted = np.where(y == 1, rng.random((1, 200)) < truth, 0).astype(int)
        value = one_arm.value(metric, y, predicted, seed=seed)
        assert value.mean == pytest.approx(recall_score(y, predicted[0]))
        inside += value.low <= truth <= value.high
    assert 26 <= inside <= 30
    grouped = one_arm.value(metric, y, predicted, units=np.arange(200) // 50)
    assert grouped.mean == value.mean
    assert grouped.high - grouped.low > 0
    assert one_arm.value(metric, y, predicted[:0]) is None


@pytest.mark.parametrize("found", [5, 4, 0])
def test_an_interval_of_few_rows_reaches_as_far_as_that_of_clopper_and_pearson(found):
    """Resamples of five rows that are all right, or all wrong, are all the same."""
    y, metric = np.repeat([1, 0], [5, 95]), catalogue.resolve("recall", "binary")
    value = one_arm.value(metric, y, (np.arange(100) < found).astype(int)[None])
    exact = binomtest(found, 5).proportion_ci(method="exact")
    assert value.mean == found / 5
    assert 0 <= value.low <= exact.low
    assert exact.high - 0.01 <= value.high <= 1


def test_resamples_without_a_row_of_the_class_do_not_count():
    """One in twenty has none of three rows, and a precision of 0 by definition."""
    y = np.repeat([1, 0], [3, 37])
    value = one_arm.value(catalogue.resolve("precision", "binary"), y, y[None])
    assert 0.1 < value.low < value.mean == value.high == 1


def test_bounds_and_metrics_belong_together_in_whatever_order_a_file_has_them():
    result = sample_verdict.study("no difference, ahead")
    result.trials = [replace(trial, metrics={"recall": 0.95, "brier_score": 0.1}) for trial in result.trials]
    result.constraints = (RECALL, BRIER)
    metrics = tuple(catalogue.resolve(name, "binary") for name in ("brier_score", "recall"))
    prepared = SimpleNamespace(problem=SimpleNamespace(also=metrics), spec=studies.of(STUDY))
    told = Constraints(prepared, result, None, {}).completed(result.verdict)
    assert [(one.constraint, one.winner.validation) for one in told.constraints] == [(RECALL, 0.95), (BRIER, 0.1)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that ran to its end, and its folder."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "table.py").write_text(ROWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, lossreg.tune(STUDY)


@pytest.mark.long
def test_every_trial_has_the_metrics_of_its_constraints_and_so_have_the_settings_on_fresh_splits(finished):
    _, result = finished
    assert [str(one) for one in result.constraints] == ["recall of at least 0.5", "brier_score of at most 0.9"]
    assert all(trial.metrics.keys() == {"recall", "brier_score"} for trial in result.trials)
    assert all(0 <= trial.metrics["recall"] <= 1 for trial in result.trials)
    assert result.confirmation.metrics.keys() == {"recall", "brier_score"}
    document = result.to_json()
    assert document["constraints"][0] == {"metric": "recall", "bound": 0.5, "direction": "maximize"}
    assert {"recall", "brier_score"} == document["best"]["metrics"].keys()
    assert document["best"]["keeps"] == result.keeps(result.best)


@pytest.mark.long
def test_the_metrics_of_a_trial_are_those_of_its_model_on_the_validation_rows(finished, monkeypatch):
    folder, result = finished
    monkeypatch.chdir(folder)

    trained = lossreg.load_trial(STUDY, result.recommended.number)
    validation = data_of(STUDY).validation
    probabilities = np.asarray(trained.model.predict(validation.x, verbose=0))[:, -1]
    metrics = result.recommended.metrics
    assert metrics["recall"] == pytest.approx(recall_score(validation.y, probabilities > 0.5))
    assert metrics["brier_score"] == pytest.approx(brier_score_loss(validation.y, probabilities), rel=1e-4)


@pytest.mark.long
def test_the_verdict_says_what_the_test_rows_say_of_the_constraints(finished, monkeypatch):
    folder, result = finished
    monkeypatch.chdir(folder)
    verdict = result.verdict
    with np.load(folder / ".lossreg" / "kept" / "verdict.npz") as stored:
        predicted = stored["winner_of_recall"]

    one = verdict.constraints[0]
    assert (one.constraint.metric, one.constraint.bound, len(predicted)) == ("recall", 0.5, 2)
    y = data_of(STUDY).test.y
    assert one.winner.tested.mean == pytest.approx(np.mean([recall_score(y, repeat) for repeat in predicted]))
    assert one.winner.tested.low <= one.winner.tested.mean <= one.winner.tested.high
    said = " ".join(evidence(result, verdict))
    assert "The constraint recall of at least 0.5: " in said
    assert "The constraint brier_score of at most 0.9: " in said
    assert verdict.to_json()["constraints"][0]["winner"]["kept_in_test"] == (one.winner.tested.mean >= 0.5)
    assert type(verdict).of_stored(verdict.stored()) == verdict
    assert "recall >= 0.5: " in entities.study_tags(result)["lossreg.constraints"]
    points = {point.name for point in entities.trial_points(result.trials[0], result.metric)}
    assert {"recall", "brier_score"} <= points
    kept = lossreg.results(STUDY)
    assert (kept.constraints, kept.verdict, kept.ranking()) == (result.constraints, verdict, result.ranking())
    sent = messages.study(messages.decode(messages.encode(messages.of_study(result))), result.trials)
    assert (sent.constraints, sent.verdict, sent.ranking()) == (result.constraints, verdict, result.ranking())


@pytest.mark.parametrize(
    ("recalls", "recommended", "tested"),
    [
        ((0.95, 0.85), "winner", (0.5, 1.0)),
        ((0.85, 0.95), "baseline", (0.5, 1.0)),
        ((0.95, 0.91), "", (1.0, 0.5)),
        ((0.5, 0.4), "", (0.5, 0.5)),
    ],
)
@pytest.mark.parametrize("case", ["better, because of the loss", "no difference, behind", "worse"])
def test_one_that_alone_keeps_the_constraints_in_validation_is_recommended(case, recalls, recommended, tested):
    """The winner and the baseline of two repeats find these shares of ten positive test rows."""
    result, verdict = sample_verdict.study(case), sample_verdict.study(case).verdict
    trials = zip(result.trials, recalls[::-1], strict=True)
    result.trials = [replace(trial, metrics={"recall": recall}) for trial, recall in trials]
    result.constraints, metric = (RECALL,), catalogue.resolve("recall", "binary")
    y = np.repeat([1, 0], 10)
    found = {arm: np.tile(y * (np.arange(20) < 10 * share), (2, 1)) for arm, share in zip(ARMS, tested, strict=True)}
    prepared = SimpleNamespace(problem=SimpleNamespace(also=(metric,)), spec=studies.of(STUDY))
    predictions = {f"{arm}_of_recall": values.astype(np.float32) for arm, values in found.items()}
    told = Constraints(prepared, result, judgement.Tested(20, y, None, None), predictions).completed(verdict)
    assert told.recommended == (getattr(verdict, recommended) if recommended else verdict.recommended)
    (one,) = told.constraints
    assert (one.winner.tested.mean, one.baseline.tested.mean) == tested
    result.verdict = told
    assert ("of the two it alone keeps recall >= 0.9 (" in decision(result, told)) is bool(recommended)
    (said,) = [line for line in evidence(result, told) if line.startswith("The constraint recall of at least 0.9: ")]
    assert ("neither of the two keeps it in validation" in said) is (recalls == (0.5, 0.4))
    assert said.count("which keeps it") == tested.count(1.0)
    assert said.count("which violates it") == tested.count(0.5)
    assert type(told).of_stored(told.stored()) == told


def test_further_metrics_are_those_of_the_same_predictions():
    setup = problems.problem("binary", {"ce": "cross_entropy", "squentropy": "squentropy"})
    setup = replace(setup, also=tuple(catalogue.resolve(name, "binary") for name in ("recall", "brier_score")))
    y = setup.dataset.validation.y
    logits = np.random.default_rng(0).normal(size=(2, len(y), 1)).astype(np.float32)
    for lane, scored in enumerate(scoring.of_validation(setup, ["ce", "ce"], logits)):
        probability = 1 / (1 + np.exp(-logits[lane, :, 0].astype(float)))
        assert scored.also["recall"] == pytest.approx(recall_score(y, probability > 0.5))
        assert scored.also["brier_score"] == pytest.approx(brier_score_loss(y, probability))
    logits[0, 0] = np.nan
    diverged, other = scoring.of_validation(setup, ["ce", "ce"], logits)
    assert not RECALL.is_kept(diverged.also["recall"])
    assert np.isfinite(other.also["recall"])


def data_of(document):
    return preparation.prepare(studies.of(document)).problem.dataset


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ({"constraints": {"recal": 0.9}}, r"search.constraints.recal: unknown metric 'recal'. Did you mean"),
        ({"constraints": {"recall": 90}}, "recall is at most 1, so no trial can keep 90"),
        ({"constraints": {"recall": 0}}, "recall is at least 0, so every trial keeps 0. Give a number from 0 to 1"),
        ({"constraints": {"mcc": -1}}, "every trial keeps -1. Give a number from -1 to 1"),
        ({"constraints": {"brier": 2}}, "brier_score is at most 2, so every trial keeps 2. Give a number from 0 to 2"),
        ({"constraints": {"brier": -1}}, "brier_score is at least 0, so no trial can keep -1"),
        ({"constraints": {"r2": 0.5}}, r"constraints.r2: r2 is for .* this one is binary\. For binary: accuracy"),
        ({"constraints": {"log_loss": 1, "logloss": 2}}, "log_loss is there twice"),
        ({"constraints": {"neg_brier": 0.2}}, r"at most 0, .* keep 0\.2\. Write -0\.2, or brier_score = 0\.2"),
        ({"constraints": {"brier": 0.2, "neg_brier": -0.2}}, "neg_brier_score is brier_score with the other sign"),
        ({"metric": "brier", "constraints": {"neg_brier": -0.2}}, r"other sign.*\{ brier_score = 0\.2 \}"),
        ({"metrics": ["precision", "neg_brier"], "constraints": {"brier": 0.2}}, r"\{ neg_brier_score = -0\.2 \}"),
        ({"constraints": {"recall": "high"}}, "search.constraints.recall"),
        ({"constraints": {"recall": True}}, "search.constraints.recall"),
        ({"constraints": ["recall"]}, "search.constraints"),
        ({"constraints": {"recall": 0.5}, "decision": "tuned"}, "held against default decisions"),
        ({"sampler": "cmaes"}, "do not go with the sampler cmaes, which does not learn from them"),
        ({"sampler": "gp"}, "do not go with the sampler gp, which learns nothing from them once a trial has diverged"),
    ],
)
def test_wrong_constraints_are_refused_in_words(tmp_path, monkeypatch, search, told):
    monkeypatch.chdir(tmp_path)
    Path("table.py").write_text(ROWS)
    with pytest.raises(InputError, match=told):
        plan({**STUDY, "search": {**STUDY["search"], **search}})


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ({"metric": "acuracy"}, r"^search.metric: unknown metric 'acuracy'. Did you mean accuracy\?"),
        ({"metrics": ["f1", "recal"]}, r"^search.metrics: unknown metric 'recal'"),
        ({"constraints": {"recal": 0.9}}, r"^search.constraints.recal: unknown metric 'recal'"),
        ({"constraints": {"recall": 1.5}}, r"^search.constraints.recall: recall is at most 1"),
        ({"constraints": {"recall": 0}}, r"^search.constraints.recall: recall is at least 0"),
    ],
)
def test_metrics_that_no_task_has_are_refused_without_the_data(search, told):
    with pytest.raises(InputError, match=told):
        study_metrics.require_known(studies.from_dict({"data": {"source": "nowhere.csv"}, "search": search}))


def test_metrics_of_some_task_and_losses_wait_for_the_data():
    for search in ({"metric": "focal"}, {"metric": "r2"}, {"constraints": {"rmse": 3}}, {"metrics": ["f1", "brier"]}):
        study_metrics.require_known(studies.from_dict({"data": {"source": "nowhere.csv"}, "search": search}))


def test_losses_without_probabilities_have_no_constraint_that_needs_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("table.py").write_text(ROWS)
    with pytest.raises(InputError, match="hinge yields no probabilities, and brier_score needs them"):
        plan({**STUDY, "losses": {"hinge": {}}})


def test_a_dry_run_shows_the_constraints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("table.py").write_text(ROWS)
    assert plan(STUDY).asked["constraints"] == "recall >= 0.5, brier_score <= 0.9"
