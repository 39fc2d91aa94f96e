"""The verdict at the end of a study: from real trainings of a small table to the answer, and after an interruption."""

from __future__ import annotations

import gc
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sample_study as sample
import sample_verdict
import small_study
from sklearn.metrics import mean_absolute_error

import lossreg
from lossreg.config import study as studies
from lossreg.data import load
from lossreg.data.dataset import Dataset
from lossreg.errors import ReplacedError
from lossreg.reporting import instructions, state
from lossreg.reporting.verdict import decision
from lossreg.runtime import system
from lossreg.search import completion, fresh_scores, nested, preparation, restore, run
from lossreg.search.arms import SAME_RATE, Arms
from lossreg.search.outline import plan
from lossreg.search.retrainer import Retrainer
from lossreg.storage.journal_keys import FROZEN
from lossreg.storage.observer import Observer
from lossreg.storage.prediction_files import PredictionFiles
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.trial_record import Outcome
from lossreg.storage.trials import ATTRIBUTE
from lossreg.storage.verdict import Answer
from lossreg.tracking import entities
from lossreg.training.population import Population
from lossreg.verdict import answers, shortage

REPEATS = 4


def study(**sections):
    return small_study.study(**{"verdict": {"repeats": REPEATS, "outer": 0}, **sections})


def written(folder, change=""):
    small_study.write_rows(folder, 300, change)


class CountsPopulations(Observer):
    """Counts the populations in memory while the best settings are trained again."""

    def __init__(self):
        gc.collect()  # one that is freed later would leave its id to another
        self.before, self.counts = {id(population) for population in populations()}, []

    def phase(self, text):
        if "settings, again on" in text and " 0 of" not in text:
            self.counts.append(len([population for population in populations() if id(population) not in self.before]))


def populations():
    return [thing for thing in gc.get_objects() if isinstance(thing, Population)]


@pytest.fixture(scope="module")
def watcher():
    return CountsPopulations()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, watcher):
    """The folder of a study that ran to its end, and its result."""
    folder = tmp_path_factory.mktemp("verdict")
    written(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, lossreg.tune(study(), progress=watcher)


@pytest.fixture
def again(finished, tmp_path, monkeypatch):
    """A copy of that study as the current folder."""
    shutil.copytree(finished[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")


def predictions(folder):
    with np.load(folder / ".lossreg" / "small" / "verdict.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_the_difference_is_that_of_the_stored_predictions_on_the_rows_that_were_cut_first(finished, monkeypatch):
    folder, result = finished
    monkeypatch.chdir(folder)
    verdict, stored = result.verdict, predictions(folder)
    y = load("table.py:rows").test.y
    errors = {
        name: np.array([mean_absolute_error(y, repeat) for repeat in stored[name]]) for name in ("winner", "baseline")
    }
    differences = errors["baseline"] - errors["winner"]
    assert (len(differences), verdict.repeats, verdict.test_rows, verdict.openings) == (REPEATS, REPEATS, 60, 1)
    assert verdict.against_baseline.difference == pytest.approx(differences.mean(), rel=1e-4)
    assert verdict.against_baseline.share_won == np.mean(differences > 0)
    assert verdict.winner.score == pytest.approx(errors["winner"].mean(), rel=1e-5)
    assert (verdict.winner.candidate, verdict.baseline.candidate) == ("huber", "mean_squared_error")
    assert verdict.recommended == (verdict.winner if differences.mean() > 0 else verdict.baseline)
    assert {(one.candidate, one.trial, len(one.scores)) for one in verdict.reevaluated} == {
        (arm.candidate, arm.trial, 5) for arm in (verdict.winner, verdict.baseline)
    }


@pytest.mark.usefixtures("finished")
def test_the_trainers_of_the_search_are_freed_before_settings_are_trained_again(watcher):
    assert set(watcher.counts) == {1}


def test_the_model_and_its_recipe_are_the_recommended_trials(finished, monkeypatch):
    folder, result = finished
    monkeypatch.chdir(folder)
    assert result.recommended.number == result.verdict.recommended.trial
    assert StudyFolder(folder / ".lossreg" / "small", "small").best.is_loadable(result.recommended.number)
    assert lossreg.results(study()).verdict == result.verdict


class Stops(Observer):
    """Stops the study at the first training of winner and baseline, when the test rows are open."""

    def __init__(self):
        self.is_open = False

    def phase(self, text):
        self.is_open = "winner and baseline" in text

    def stopping(self):
        return self.is_open


def test_a_verdict_that_was_cut_off_is_finished_with_the_same_answer(finished, tmp_path, monkeypatch):
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        lossreg.tune(study(), progress=Stops())
    assert lossreg.results(study()).verdict is None
    noted = StudyFolder(tmp_path / ".lossreg" / "small", "small").read().user_attrs[ATTRIBUTE][FROZEN][-1]
    assert (noted["repeats"], noted["openings"]) == (REPEATS, 1)
    resumed = lossreg.tune(study()).verdict
    whole = finished[1].verdict
    assert (resumed.answer, resumed.openings, resumed.winner.trial, resumed.recommended.trial) == (
        whole.answer, 1, whole.winner.trial, whole.recommended.trial,
    )  # fmt: skip
    assert resumed.against_baseline.interval == pytest.approx(whole.against_baseline.interval, rel=1e-4)


@pytest.mark.usefixtures("again")
def test_more_repeats_are_added_to_those_that_there_are(finished):
    before = predictions(finished[0])
    deeper = run.verdict(study(), REPEATS + 3).verdict
    after = predictions(Path.cwd())
    assert (deeper.repeats, deeper.openings, deeper.exploratory) == (REPEATS + 3, 2, False)
    assert lossreg.results(study()).seconds["verdict"] > finished[1].seconds["verdict"] > 0
    for name in ("winner", "baseline"):
        np.testing.assert_array_equal(after[name][:REPEATS], before[name])
        assert np.ptp(after[name], axis=0).any()


@pytest.mark.long
@pytest.mark.usefixtures("again")
def test_more_repeats_that_were_cut_off_are_a_look_at_the_test_rows(finished):
    with pytest.raises(KeyboardInterrupt):
        run.verdict(study(), REPEATS + 3, progress=Stops())
    looked_at = replace(finished[1].verdict, openings=2)
    assert lossreg.results(study()).verdict == looked_at
    assert lossreg.results(study()).reached.is_interrupted
    assert lossreg.tune(study()).verdict == looked_at
    assert lossreg.results(study()).reached.is_over
    assert run.verdict(study(), REPEATS + 2).verdict.openings == 2, "it is finished"


@pytest.mark.usefixtures("again")
def test_the_command_that_goes_on_with_a_verdict_has_what_its_run_was_given():
    with pytest.raises(KeyboardInterrupt):
        run.verdict(studies.of(study(), ["verdict.margin=0.01"]), REPEATS + 1, progress=Stops())
    cut = lossreg.results(study())
    assert "was interrupted" in state.sentence(cut)
    command = "lossreg tune small.toml --set verdict.margin=0.01 --set verdict.repeats={}"
    assert instructions.next_step(cut, "small.toml").command == command.format(REPEATS + 1)


@pytest.mark.usefixtures("again")
def test_a_verdict_that_others_took_over_is_neither_predicted_nor_noted_as_failed(finished, monkeypatch):
    def replaced(folder):
        raise ReplacedError("others do it")

    before, verdict = predictions(finished[0]), finished[1].verdict
    monkeypatch.setattr(StudyFolder, "require_turn", replaced)
    with pytest.raises(ReplacedError):
        run.verdict(study(), REPEATS + 1)
    result, after = lossreg.results(study()), predictions(Path.cwd())
    assert (result.verdict, result.failure) == (replace(verdict, openings=verdict.openings + 1), "")
    for name in ("winner", "baseline"):
        np.testing.assert_array_equal(after[name], before[name])


@pytest.mark.usefixtures("again")
def test_what_was_noted_and_predicted_before_there_was_a_note_per_kind_is_read(finished):
    with StudyFolder(Path(".lossreg/small"), "small").opened("minimize", None, None) as stored:
        attributes = stored.user_attrs[ATTRIBUTE]
        stored.set_user_attr(ATTRIBUTE, {**attributes, FROZEN: attributes[FROZEN][-1]})
    assert run.verdict(study(), REPEATS + 1).verdict.openings == finished[1].verdict.openings + 1


@pytest.mark.usefixtures("again")
def test_a_study_that_was_cut_off_before_its_verdict_decides_by_the_pace_of_its_trials(monkeypatch):
    """A power failure leaves the trials and no summary; the pace of those that are resumed alone would be none."""
    folder = StudyFolder(Path(".lossreg/small"), "small")
    with folder.opened("minimize", None, None) as stored:
        attributes = {**stored.user_attrs[ATTRIBUTE], "seconds": {}, "verdict": None}
        stored.set_user_attr(ATTRIBUTE, {name: attributes[name] for name in attributes if name != FROZEN})
    # minutes: shorter than such a verdict takes, longer than a run without trials
    monkeypatch.setattr(nested, "LONG", 0.005)
    verdict = lossreg.tune(study(verdict={"repeats": REPEATS})).verdict
    assert verdict.outer == 0
    assert [note for note in verdict.notes if "nested cross-validation" in note and "verdict.outer = 5" in note]


@pytest.mark.long
@pytest.mark.usefixtures("again")
def test_trials_added_after_the_test_rows_were_opened_make_a_verdict_exploratory():
    begun = lossreg.results(study())
    assert "exploratory" not in decision(begun, begun.verdict)
    planned, trials = plan(study(), more=3), len(begun.trials) + 3
    assert [note for note in planned.notes if f"{trials} in all" in note and "after them is exploratory" in note]
    more = lossreg.tune(study(), more=3)
    assert (more.verdict.exploratory, more.verdict.openings, more.verdict.trials) == (True, 2, trials)
    assert decision(more, more.verdict).endswith(" (exploratory).")
    assert more.to_json()["verdict"]["changed"] == ["trials"]
    tags = entities.study_tags(more)
    assert (tags["lossreg.exploratory"], entities.study_tags(begun)["lossreg.exploratory"]) == ("trials", "none")
    assert "(exploratory)" in tags[entities.NOTE]


@pytest.mark.usefixtures("again")
@pytest.mark.parametrize(
    ("sections", "options", "openings"),
    [
        pytest.param({}, {"fresh": True}, 2, marks=pytest.mark.long),
        ({"search": {**small_study.SEARCH, "score_epoch": "best"}}, {"allow_changed": True}, 2),
        # other test rows
        pytest.param({"data": {"source": "table.py:rows", "test": 0.3}}, {"fresh": True}, 1, marks=pytest.mark.long),
    ],
    ids=["fresh", "kept apart", "another cut"],
)
def test_a_run_that_is_moved_aside_leaves_its_looks_at_the_same_test_rows(sections, options, openings):
    begun_anew = study(verdict={"repeats": 2, "outer": 0}, **sections)
    verdict = lossreg.tune(begun_anew, **options).verdict
    assert (verdict.openings, verdict.exploratory) == (openings, openings > 1)
    assert len(list(Path(".lossreg").iterdir())) == 2, "a former run and this one"


def test_the_targets_of_the_test_rows_change_neither_search_nor_choice(finished, tmp_path, monkeypatch):
    folder, result = finished
    monkeypatch.chdir(folder)
    test = set(load("table.py:rows").test.y.tolist())
    # the test rows, and no others, have targets that are far off
    written(tmp_path, f"\ndef rows(before=rows):\n    x, y = before()\n    test = {sorted(test)}\n"
                      "    return x, np.where(np.isin(y, test), 1e6, y)")  # fmt: skip
    monkeypatch.chdir(tmp_path)
    changed = lossreg.tune(study())
    assert [trial.score for trial in changed.trials] == [trial.score for trial in result.trials]
    assert (changed.verdict.winner.trial, changed.verdict.baseline.trial) == (
        result.verdict.winner.trial, result.verdict.baseline.trial,
    )  # fmt: skip
    np.testing.assert_array_equal(predictions(tmp_path)["winner"], predictions(folder)["winner"])
    assert changed.verdict.winner.score > 1e5


@pytest.mark.long
def test_few_rows_are_not_enough(tmp_path, monkeypatch):
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    small_study.write_rows(tmp_path, 90)
    verdict = lossreg.tune(study()).verdict
    assert (verdict.answer, verdict.openings, verdict.recommended) == (Answer.NOT_ENOUGH_DATA, 0, verdict.baseline)
    assert verdict.reason == "90 rows, and a verdict needs at least 100"


def given(folder, y_test, outer=0, metric="f1_macro"):
    """A study of two classes, or as many labels as `y_test` has, with these test rows; none is trained."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 3)).astype("float32"), rng.integers(0, 2, (200, *y_test.shape[1:]))
    np.savez(folder / "rows.npz", x_train=x, y_train=y, x_test=x[: len(y_test)], y_test=y_test)
    return {
        "name": "given", "data": {"source": str(folder / "rows.npz")}, "verdict": {"outer": outer},
        "search": {"metric": metric, "trials": 4, "lanes": 2}, "model": {"hidden": [4]}, "train": {"epochs": 1},
        "losses": {"multilabel_bce": {}} if y.ndim == 2 else {"cross_entropy": {}, "focal": {}},
        "tracking": {"enabled": False},
    }  # fmt: skip


def short(sections):
    prepared = preparation.prepare(studies.of(sections), rehearsed=False)
    return shortage.of_test_rows(prepared.problem.dataset, prepared.metric)


@pytest.mark.parametrize(
    ("metric", "positive", "reason"),
    [
        ("f1_macro", 0, "no test row is of class '1'"),
        ("accuracy", 0, "no test row is of class '1'"),
        ("f1_macro", 1, "1 test row of class '1', and a verdict by f1_macro needs at least 5 of each"),
        ("roc_auc", 4, "4 test rows of class '1', and a verdict by roc_auc needs at least 5 of each"),
        ("d2_log_loss_score", 47, "3 test rows of class '0', and a verdict by d2_log_loss_score needs at least 5 of "
                                  "each"),
        ("roc_auc", 5, ""),
        ("accuracy", 1, ""),
        ("log_loss", 1, ""),
    ],
)  # fmt: skip
def test_few_given_test_rows_of_a_class_are_not_enough_for_metrics_that_hang_on_classes(
    metric, positive, reason, tmp_path
):
    assert short(given(tmp_path, (np.arange(50) < positive).astype(int), metric=metric)) == reason


@pytest.mark.parametrize(("metric", "is_short"), [("roc_auc", True), ("f1_macro", False), ("accuracy", False)])
def test_a_label_that_nearly_all_test_rows_have_is_not_enough_to_rank_by_it(metric, is_short, tmp_path):
    labels = np.stack([np.arange(50) < 48, np.arange(50) % 2], axis=1).astype(int)
    assert bool(short(given(tmp_path, labels, metric=metric))) is is_short


@pytest.mark.parametrize(("outer", "openings"), [(0, 0), pytest.param(2, 1, marks=pytest.mark.long)])
def test_too_few_test_rows_of_a_class_are_seen_before_any_is_opened(outer, openings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y = (np.arange(50) < 1).astype(int)
    verdict = lossreg.tune({**given(tmp_path, y), "verdict": {"outer": outer, "repeats": 2}}).verdict
    assert (verdict.openings, bool(verdict.reason)) == (openings, not openings)


class Heard(Observer):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def phase(self, text):
        self.lines.append(text)

    message = warn = phase

    @property
    def trainings(self):
        return [line for line in self.lines if "trainings" in line]


@pytest.mark.usefixtures("again")
def test_another_margin_needs_neither_training_nor_a_further_look_but_makes_a_verdict_exploratory(finished):
    heard, before = Heard(), finished[1].verdict
    verdict = lossreg.tune(study(verdict={"repeats": REPEATS, "outer": 0, "margin": 1e6}), progress=heard).verdict
    assert (verdict.answer, verdict.margin, verdict.openings) == (Answer.EQUAL, 1e6, before.openings)
    assert (verdict.exploratory, verdict.changed) == (True, ("margin",))
    assert verdict.against_baseline == before.against_baseline
    assert not heard.trainings
    deeper = run.verdict(study(verdict={"repeats": REPEATS, "outer": 0, "margin": 1e6}), REPEATS + 1).verdict
    assert (deeper.exploratory, deeper.changed) == (True, ("margin",)), "a further look does not freeze another margin"
    first = lossreg.tune(study(verdict={"repeats": REPEATS, "outer": 0})).verdict
    assert (first.exploratory, first.changed) == (False, ())


@pytest.mark.usefixtures("again")
def test_the_margin_that_an_older_version_did_not_note_is_that_of_its_verdict():
    with StudyFolder(Path(".lossreg/small"), "small").opened("minimize", None, None) as stored:
        attributes = stored.user_attrs[ATTRIBUTE]
        noted = [{name: value for name, value in one.items() if name != "margin"} for one in attributes[FROZEN]]
        stored.set_user_attr(ATTRIBUTE, {**attributes, FROZEN: noted})
    verdict = lossreg.tune(study(verdict={"repeats": REPEATS, "outer": 0, "margin": 1e6})).verdict
    assert verdict.changed == ("margin",)


@pytest.mark.usefixtures("again")
def test_without_a_comparison_a_verdict_is_exploratory_too_where_trials_were_added(monkeypatch):
    monkeypatch.setattr(shortage, "of_rows", lambda dataset: "too few")
    more = lossreg.tune(study(search={"trials": 7, "metric": "mean_absolute_error", "lanes": 4})).verdict
    assert (more.answer, more.exploratory, more.changed) == (Answer.NOT_ENOUGH_DATA, True, ("trials",))


@pytest.mark.long
@pytest.mark.usefixtures("again")
def test_what_fails_leaves_the_verdict_that_there_is_and_counts_one_look(finished, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    heard, before = Heard(), finished[1].verdict
    with monkeypatch.context() as patch:
        patch.setattr(PredictionFiles, "save", full)
        assert run.verdict(study(), REPEATS + 2, progress=heard).verdict == replace(before, openings=2)
    (line,) = [line for line in heard.lines if "there is no new verdict" in line and "No space left" in line]
    assert lossreg.results(study()).verdict == replace(before, openings=2)
    heard = Heard()
    assert line in lossreg.tune(study(verdict={"repeats": REPEATS + 2, "outer": 0}), progress=heard).notes
    assert not heard.trainings, "it is tried once"
    deeper = run.verdict(study(), REPEATS + 2)
    assert deeper.verdict.openings == before.openings + 1
    assert line not in deeper.notes


@pytest.mark.long
@pytest.mark.usefixtures("again")
def test_a_baseline_that_diverges_at_the_rate_of_the_winner_does_not_cost_the_verdict(finished, monkeypatch):
    def of(*args, before=Arms.of):
        arms = before(*args)
        return replace(arms, plans={**arms.plans, SAME_RATE: replace(arms.plans["baseline"], learning_rate=1e30)})

    Path(".lossreg/small/verdict.npz").unlink()
    monkeypatch.setattr(Arms, "of", of)
    verdict = run.verdict(study(verdict={"repeats": REPEATS, "outer": 0, "margin": 1e-6})).verdict
    assert verdict.against_same_rate is None
    assert verdict.against_baseline.interval == pytest.approx(finished[1].verdict.against_baseline.interval, rel=1e-4)


@pytest.mark.usefixtures("again")
def test_a_baseline_that_diverges_on_fresh_splits_is_neither_compared_nor_recommended(monkeypatch):
    def plan_of(prepared, trial, before=restore.plan_of):
        plan = before(prepared, trial)
        return replace(plan, learning_rate=1e30) if trial.candidate == "mean_squared_error" else plan

    more = study(search={"trials": 7, "metric": "mean_absolute_error", "lanes": 4})
    with monkeypatch.context() as patch:
        patch.setattr(restore, "plan_of", plan_of)
        # those that were trained before, and came to their end, are none of these
        patch.setattr(fresh_scores, "KEPT", "other")
        verdict = lossreg.tune(more).verdict
    assert verdict.answer == Answer.NOT_ENOUGH_DATA
    assert verdict.reason == (
        "no setting of mean_squared_error came to its end on 5 fresh splits (training went non-finite)"
    )
    assert (verdict.recommended, verdict.openings) == (verdict.winner, 1)
    heard = Heard()
    assert lossreg.tune(more, progress=heard).verdict == verdict
    assert not heard.trainings, "it is tried once"


@pytest.mark.usefixtures("again")
@pytest.mark.parametrize(("lost", "answered"), [(2, True), (3, False)])
def test_a_winner_that_survives_fewer_than_half_of_the_repeats_is_not_judged_by_them(lost, answered):
    stored = predictions(Path.cwd())
    stored["winner"][:lost] = np.nan
    np.savez(".lossreg/small/verdict.npz", **stored)
    verdict = run.verdict(study(verdict={"repeats": REPEATS, "outer": 0, "margin": 1e-6})).verdict
    assert (verdict.answer != Answer.NOT_ENOUGH_DATA) == answered
    assert verdict.recommended == verdict.baseline
    assert verdict.finished == verdict.scored == {"winner": REPEATS - lost, "baseline": REPEATS}
    if answered:
        assert verdict.answer not in (Answer.BETTER, Answer.EQUAL), "half of the trainings diverged"
        assert verdict.against_baseline.repeats == REPEATS - lost
        gain = verdict.baseline.score - verdict.winner.score
        assert gain == pytest.approx(verdict.against_baseline.difference), "of the same repeats"
        of_interval = answers.answer(verdict.against_baseline, verdict.margin, verdict.against_tuned_decision)
        assert bool(verdict.reason) == (verdict.answer != of_interval)
    else:
        assert verdict.reason == (
            "1 of 4 repeats has a score of both losses (1 of the winner, 4 of the baseline), and a comparison takes 2"
        )


@pytest.mark.usefixtures("again")
def test_where_the_trainings_of_the_baseline_are_lost_the_winner_is_recommended():
    stored = predictions(Path.cwd())
    stored["baseline"][1:] = np.nan
    np.savez(".lossreg/small/verdict.npz", **stored)
    verdict = run.verdict(study(verdict={"repeats": REPEATS, "outer": 0, "margin": 1e-6})).verdict
    assert (verdict.answer, verdict.recommended) == (Answer.NOT_ENOUGH_DATA, verdict.winner)
    assert verdict.scored == {"winner": REPEATS, "baseline": 1}


@pytest.mark.long
def test_splits_that_do_not_fit_into_memory_together_are_made_one_after_another(finished, tmp_path, monkeypatch):
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Dataset, "resampled_at_once", lambda self: 3)
    assert lossreg.tune(study()).verdict.winner.trial == finished[1].verdict.winner.trial
    for name, stored in predictions(tmp_path).items():
        if name != "key":
            np.testing.assert_allclose(stored, predictions(finished[0])[name], rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("again")
def test_predictions_that_do_not_fit_into_memory_are_refused_before_the_test_rows_are_opened(finished, monkeypatch):
    heard = Heard()
    monkeypatch.setattr(system, "free_memory", lambda: 2**20)
    assert run.verdict(study(), 1000, progress=heard).verdict == finished[1].verdict
    assert [line for line in heard.lines if "predictions of 60 test rows, 1000 times" in line]


@pytest.mark.usefixtures("again")
def test_a_recommended_trial_whose_weights_were_removed_is_trained_again(finished):
    number, x = finished[1].recommended.number, np.zeros((3, 4), np.float32)
    before = lossreg.load_trial(study()).model.predict(x, verbose=0)
    folder = StudyFolder(Path(".lossreg/small"), "small")
    folder.weights.forget([number])
    for file in folder.path.glob("best.*"):
        file.unlink()
    heard = Heard()
    lossreg.tune(study(), progress=heard)
    assert [line for line in heard.lines if f"the weights of trial {number}" in line and "trained again" in line]
    assert folder.best.is_loadable(number)
    np.testing.assert_allclose(lossreg.load_trial(study()).model.predict(x, verbose=0), before, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("again")
def test_a_trial_whose_weights_were_removed_is_trained_again_on_demand(finished):
    number, x = finished[1].recommended.number, np.zeros((3, 4), np.float32)
    before = lossreg.load_trial(study()).model.predict(x, verbose=0)
    StudyFolder(Path(".lossreg/small"), "small").weights.forget([number])
    with pytest.raises(lossreg.InputError, match=r"were not kept.*train=True. trains it again"):
        lossreg.load_trial(study())
    model = lossreg.load_trial(study(), train=True).model
    np.testing.assert_allclose(model.predict(x, verbose=0), before, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("again")
def test_repeats_that_fail_are_trained_again_later_with_the_reason_told(finished, monkeypatch):
    train_groups = Retrainer.train_groups

    def broken(self, groups, splits, task, *, wants_weights=False):
        for one in train_groups(self, groups, splits, task, wants_weights=wants_weights):
            failed = replace(one.training, outcome=Outcome.FAILED, weights=None, reason="RuntimeError: boom")
            yield one._replace(training=failed)

    before, more = finished[1].verdict, REPEATS + 1
    with monkeypatch.context() as patch:
        patch.setattr(Retrainer, "train_groups", broken)
        result = run.verdict(study(), more)
    assert completion.lacks_verdict(result)
    assert [note for note in result.notes if "most trainings of huber failed: RuntimeError: boom; " in note]
    result = run.verdict(study(), more)
    assert not completion.lacks_verdict(result)
    assert (result.verdict.repeats, result.verdict.openings) == (more, before.openings + 1)
    assert result.verdict.against_baseline.repeats == more


@pytest.mark.usefixtures("again")
def test_the_verdict_of_a_study_of_which_nothing_is_left_is_returned_as_it_is(finished, monkeypatch):
    assert run.reached_verdict(study()) is None  # with functions of the user's, the outcome may be another now
    monkeypatch.setattr(completion, "reached", lambda *args: finished[1])
    assert run.reached_verdict(study()) is finished[1] is run.verdict(study())
    failed = replace(finished[1], failure="boom")
    monkeypatch.setattr(completion, "reached", lambda *args: failed)
    assert run.reached_verdict(study()) is None


def test_the_trial_of_a_candidate_is_the_recommended_one_if_it_is_its_own():
    result = sample_verdict.study("better, at the same rate")
    verdict, top = result.verdict, replace(sample.trial(7, "focal"), score=1.0)
    result.add(top)
    assert restore.find(result, loss="focal").number == 7
    result.verdict = verdict
    assert restore.find(result, loss="focal").number == verdict.recommended.trial != 7
    assert restore.find(result, loss="cross_entropy").number == verdict.baseline.trial


@pytest.mark.usefixtures("again", "finished")
def test_a_folder_in_the_place_of_predictions_is_refused_before_the_training(monkeypatch):
    [file] = Path.cwd().glob(".lossreg/*/verdict*.npz")
    file.unlink()
    file.mkdir()
    monkeypatch.setattr(Retrainer, "train_groups", lambda *args, **kwargs: pytest.fail("trained"))
    result = run.verdict(study(), REPEATS + 1)
    assert completion.lacks_verdict(result)
    assert [note for note in result.notes if "is a folder, and predictions of the test rows belong there" in note]


@pytest.mark.long
@pytest.mark.usefixtures("again")
@pytest.mark.parametrize("damage", [lambda array: array[:, :-1], lambda array: array.astype(str)])
def test_stored_predictions_of_other_rows_are_not_used(damage, finished):
    [file] = Path.cwd().glob(".lossreg/*/verdict*.npz")
    with np.load(file) as stored:
        arrays = {name: damage(array) if array.ndim > 1 else array for name, array in stored.items()}
    np.savez(file, **arrays)
    margin = study(verdict={"repeats": REPEATS, "outer": 0, "margin": 1e-9})
    verdict, before = lossreg.tune(margin).verdict, finished[1].verdict
    assert (verdict.repeats, verdict.openings) == (REPEATS, before.openings)
    assert verdict.against_baseline.difference == pytest.approx(before.against_baseline.difference, rel=1e-4)
