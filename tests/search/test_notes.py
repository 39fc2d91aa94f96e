"""Notes of a study: few trials per loss, losses without a gradient, models of one class."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import problems
import pytest
import searches
from fake_trainer import Fake

import lossreg
from lossreg import Choice, InputError, LossSpec, data, ops
from lossreg.registry import registry
from lossreg.reporting import description, report, tables
from lossreg.reporting.progress import Lines
from lossreg.search import notes
from lossreg.search.outline import plan
from lossreg.search.sampler import FAIR_START, one_wave_note, undirected, undirected_note, untried_note
from lossreg.storage.observer import Observer
from lossreg.training import scoring
from lossreg.training.scoring import predicts_only


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def study(trials, losses, name="small", **sections):
    document = {
        "name": name,
        "data": {"source": "sklearn:iris"},
        "model": {"hidden": [4]},
        "train": {"epochs": 1},
        "search": {"trials": trials, "metric": "accuracy", "confirm": 0},
        "losses": losses,
        "tracking": {"enabled": False},
        "verdict": {"enabled": False},
    }
    return {**document, **{key: {**document.get(key, {}), **values} for key, values in sections.items()}}


def test_thousands_have_commas_before_and_after_of():
    assert notes.resumed(1500, 2000, 1200) == (
        "resuming: 1,500 of 2,000 trials are done; 500 that were interrupted run again"
    )
    printed = []
    Lines(printed.append).begin(2000, 500, ["cross_entropy"], 8)
    assert printed == ["1,500 trials of 2,000 to run over 1 loss, 8 at a time"]


# ------------------------------------------------------------------------- the fair start


def asked(labels, sign):
    """The settings of 24 trials in turn, where a loss's scores count as they are or turned round."""
    reordered = searches.proposer()
    reordered = replace(reordered, candidates={label: reordered.candidates[label] for label in labels})
    loop = searches.loop(
        searches.optuna_study(),
        24,
        Fake(lambda plan, epoch: sign * searches.curve(plan, epoch), slots=1),
        proposals=reordered,
    )
    loop.run()
    records = sorted(loop.heard.records, key=lambda record: record.number)
    published = {name: reordered.published(name)[0] for name in reordered.names}
    return [(record.candidate, *record.params.items()) for record in records], undirected(published)


@pytest.mark.parametrize("labels", [["cross_entropy", "focal", "mixed"], ["cross_entropy", "focal"]])
def test_no_setting_follows_from_a_score_before_the_trial_that_is_named(labels):
    one, before = asked(labels, 1)
    other, _ = asked(labels, -1)
    assert before == {3: 12, 2: 10}[len(labels)]
    assert one[:before] == other[:before]
    assert one[before:] != other[before:]


@pytest.mark.parametrize(
    ("losses", "trials", "message"),
    [
        (7, 24, "from trial 29 on: none of 24 trials. Set search.trials to 56, or search at most 3 losses"),
        (7, 30, "from trial 29 on: 2 of 30 trials. Set search.trials to 56"),
        (2, 12, "from trial 11 on: 2 of 12 trials. Set search.trials to 20"),
        (1, 6, "With 1 loss it chooses from trial 11 on: none of 6 trials"),
        (7, 55, "from trial 29 on: 27 of 55 trials. Set search.trials to 56, or search at most 6 losses"),
        (7, 56, ""),
        (7, 64, ""),
    ],
)
def test_the_note_names_the_number_of_trials_that_would_do(losses, trials, message):
    published = {f"loss_{n}": {"learning_rate": 1e-3} for n in range(losses)}
    note = undirected_note(published, trials)
    assert message in note
    assert bool(note) == bool(message)
    assert not undirected_note(published, 2 * undirected(published))


@pytest.mark.parametrize("trials", range(2, 60))
def test_the_number_of_losses_that_is_advised_needs_no_other_advice(trials):
    published = {f"loss_{n}": {"learning_rate": 1e-3} for n in range(7)}
    if "at most" in (note := undirected_note(published, trials)):
        fewer = int(re.search(r"at most (\d+) losses", note)[1])
        assert not undirected_note(dict(list(published.items())[:fewer]), trials)


PUBLISHED = {name: {"learning_rate": 1e-3} for name in ("a", "b", "c")}


@pytest.mark.parametrize(
    ("trials", "lanes", "members", "message"),
    [
        (16, 16, 1, "all 16 trials run at once, so the sampler learns from no score. With search.lanes = 12"),
        (16, 80, 5, "With search.lanes = 60 it chooses the last 4"),
        (16, 15, 1, ""),
        (16, 16, 5, ""),
        (12, 12, 1, ""),  # it would choose none anyway, as another note says
    ],
)
def test_a_study_of_one_wave_says_how_many_lanes_let_the_sampler_learn(trials, lanes, members, message):
    note = one_wave_note(PUBLISHED, trials, lanes, members)
    assert message in note
    assert bool(note) == bool(message)


def test_losses_without_a_trial_are_named():
    assert "so c gets none, and no loss can be called the best" in untried_note(PUBLISHED, 2)
    assert "so b, c get none" in untried_note(PUBLISHED, 1)
    assert untried_note(PUBLISHED, 3) == ""


def test_no_loss_is_crowned_where_another_got_no_trial():
    result = lossreg.tune(study(2, {"cross_entropy": {}, "focal": {}, "poly1_ce": {}}), trainers=[Fake(searches.curve)])
    assert result.untried == ["poly1_ce"]
    assert any("so poly1_ce gets none" in note for note in result.notes)
    assert "poly1_ce got no trial, so nothing is known of how they compare" in report.caveat(result)
    assert not any(cell.style for cell in tables.leaderboard(result).rows)
    enough = lossreg.tune(
        study(24, {"cross_entropy": {}, "focal": {}, "poly1_ce": {}}, "enough"), trainers=[Fake(searches.curve)]
    )
    assert enough.untried == []
    assert "no trial" not in report.caveat(enough)
    assert [bool(row.style) for row in tables.leaderboard(enough).rows].count(True) >= 1


@pytest.mark.long
def test_few_trials_per_loss_are_said_before_during_and_after_and_no_longer_once_there_are_more():
    few = study(8, {"cross_entropy": {}, "focal": {}, "poly1_ce": {}})
    notes = [note for note in plan(few).notes if note.startswith(FAIR_START)]
    assert "With 3 losses it chooses from trial 13 on: none of 8 trials" in notes[0]
    result = lossreg.tune(few)
    assert notes[0] in result.notes
    assert notes[0] in description.markdown(result)
    assert not [note for note in lossreg.tune(few, ["search.trials=24"]).notes if note.startswith(FAIR_START)]
    at_random = study(8, few["losses"], "at_random", search={"sampler": "random"})
    assert not [note for note in plan(at_random).notes if note.startswith(FAIR_START)]


def test_a_study_that_has_more_trials_than_it_is_asked_for_says_so_and_nothing_of_a_fair_start():
    class Heard(Observer):
        messages = ()

        def message(self, text):
            self.messages += (text,)

    few, heard = study(8, {"cross_entropy": {}, "focal": {}, "poly1_ce": {}}), Heard()
    before = lossreg.tune(few, trainers=[Fake(searches.curve)])
    after = lossreg.tune(few, ["search.trials=6"], progress=heard, trainers=[Fake(searches.curve)])
    assert "8 trials are done, 6 were asked for: nothing to train" in heard.messages
    assert not any(FAIR_START in text for text in heard.messages)
    assert after.notes == before.notes, "the former note still says what was true of the 8 trials"


# ---------------------------------------------------------------------- losses without a gradient

FLAT = """
from lossreg import ops

def rounded(y_true, y_pred):
    return ops.mean(ops.abs(y_true - ops.round(y_pred)), axis=-1)

def unconnected(y_true, y_pred):
    return ops.mean(ops.square(y_true), axis=-1)

def counted(y_true, y_pred):
    return ops.cast(ops.argmax(y_true, axis=-1) != ops.argmax(y_pred, axis=-1), "float32")

def far(y_true, y_pred):
    return ops.mean(ops.relu(ops.abs(y_pred) - 50.0), axis=-1)
"""


@pytest.mark.parametrize("name", ["rounded", "unconnected", "counted"])
def test_a_loss_without_a_gradient_is_refused_before_anything_is_written(name):
    Path("flat.py").write_text(FLAT)
    losses = {"mine": {"function": f"flat.py:{name}", "activation": "softmax"}}
    with pytest.raises(
        InputError, match=r"losses\.mine: has no gradient: its value does not change with the raw scores"
    ):
        lossreg.tune(study(4, losses))
    assert not Path(".lossreg").exists()


def either(y_true, y_pred, *, mode):
    return ops.mean(ops.square(y_true - (ops.round(y_pred) if mode == "hard" else y_pred)), axis=-1)


def test_a_setting_without_a_gradient_is_noted_and_a_plateau_is_none(monkeypatch):
    spec = LossSpec(
        name="either", function=either, tasks=("multiclass",), summary="s", reference="r", target="onehot",
        activation="identity", outputs="k", params=(Choice("mode", "soft", ("soft", "hard")),),
    )  # fmt: skip
    known = registry.default().add(spec)
    monkeypatch.setattr(registry, "default", lambda block=(): known)
    notes = plan(study(4, {"either": {"mode": "search"}})).notes
    assert "either has no gradient with mode = hard: such trials learn nothing" in notes
    assert not [note for note in notes if "mode = soft" in note]
    Path("flat.py").write_text(FLAT)
    far = {"function": "flat.py:far", "activation": "identity", "target": "onehot"}
    assert not [note for note in plan(study(4, {"far": far})).notes if "no gradient" in note]


# ---------------------------------------------------------------------- data that need a warning


def test_warnings_on_data_stand_in_the_dry_run_the_result_and_the_page_for_mlflow():
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{i % 9 == 0:d},{'yes' if i % 9 == 0 else 'no'}" for i, a in enumerate(rng.normal(size=180))]
    Path("rows.csv").write_text("\n".join(["a,told,y", *rows]))
    document = study(24, {"cross_entropy": {}, "binary_focal": {}}, search={"metric": "f1"})
    document |= {"data": {"source": "rows.csv", "target": "y"}}
    result = lossreg.tune(document, trainers=[Fake(searches.curve)])
    for start in (
        "told alone predicts the target (balanced accuracy 1.000",
        "validation has 29 rows, 3 of them of class",
    ):
        [line] = [note for note in result.notes if note.startswith(start)]
        assert line in plan(document).notes
        assert start in description.markdown(result)
    again = lossreg.tune(document, ["search.trials=26"], trainers=[Fake(searches.curve)])
    assert len(again.notes) == len(set(again.notes))


# ---------------------------------------------------------------------- models of one prediction


def rare(trainer):
    """A study whose rows are nearly all of class no, and whose models have hardly been trained."""
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{'yes' if i % 30 == 0 else 'no'}" for i, (a, b) in enumerate(rng.normal(size=(240, 2)))]
    Path("rows.csv").write_text("\n".join(["a,b,y", *rows]))
    document = study(2, {"cross_entropy": {}, "binary_focal": {}}, train={"epochs": 12, "learning_rate": 0.03},
                     search={"trainer": trainer, "metric": "accuracy"})  # fmt: skip
    return {**document, "data": {"source": "rows.csv", "target": "y"}}


@pytest.mark.parametrize("trainer", ["population", pytest.param("fit", marks=pytest.mark.long)])
def test_a_model_that_predicts_one_class_is_said(trainer):
    asked = rare(trainer)
    result = lossreg.tune(asked)
    dataset = data.load("rows.csv", target="y", seed=0)
    for row in result.ranking():
        model, _ = lossreg.load_trial(asked, loss=row.candidate)
        classes = {
            dataset.classes[c]
            for c in (model.predict(dataset.validation.x, verbose=0)[..., -1] > 0.5).ravel().astype(int)
        }
        message = f"{row.candidate}: the model of trial {row.best.number} predicts class 'no' for every validation row"
        assert (message in report.failures(result)) == (classes == {"no"})
        assert (message in description.markdown(result)) == (classes == {"no"})
    assert any("predicts class 'no'" in line for line in report.failures(result))
    assert lossreg.results(asked).best == result.best


SCORES = np.array([[[2.0, 0.0, 1.0]] * 4, [[0.0, 3.0, 1.0]] * 4, [[0.0, 3.0, 1.0]] * 3 + [[3.0, 0.0, 0.0]]])


@pytest.mark.parametrize(
    ("task", "loss", "scores", "expected"),
    [
        ("multiclass", "cross_entropy", SCORES, [0, 1, -1]),
        ("multiclass", "cross_entropy", np.where(SCORES == 2, np.nan, SCORES), [-1, 1, -1]),
        ("multiclass", "cross_entropy", SCORES[:, :1], [-1, -1, -1]),
        ("binary", "binary_crossentropy", np.array([[[1.0], [2.0]], [[-1.0], [-2.0]], [[-1.0], [2.0]]]), [1, 0, -1]),
        ("multilabel", "multilabel_bce", SCORES - 0.5, [0, 0, -1]),
        ("regression", "mean_squared_error", np.array([[[1.0], [1.0]], [[1.0], [1.1]]]), [0, -1]),
    ],
)
def test_what_every_row_is_predicted_to_be(task, loss, scores, expected):
    problem = problems.problem(task, {"own": loss})
    assert predicts_only(problem, ["own"] * len(scores), scores.astype(np.float32)).tolist() == expected


def test_few_rows_are_looked_at_where_predictions_vary_and_all_where_they_may_not(monkeypatch):
    problem, rows, asked = problems.problem("multiclass", {"own": "cross_entropy"}), 5000, []
    scores = np.zeros((3, rows, 3), np.float32)
    scores[..., 1] = 1.0
    scores[0, ::2, 2] = 2.0
    scores[1, -1, 2] = 2.0
    plain = scoring.predictions

    def counted(*args):
        asked.append(args[3].shape[:2])
        return plain(*args)

    monkeypatch.setattr(scoring, "predictions", counted)
    assert predicts_only(problem, ["own"] * 3, scores).tolist() == [-1, -1, 1]
    assert sum(lanes * seen for lanes, seen in asked) < 2 * rows + 3 * 200
