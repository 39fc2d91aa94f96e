"""Notes of a study: few trials per loss, losses without a gradient, models of one class."""

from __future__ import annotations

from dataclasses import replace

import pytest
import searches

import lossreg
from lossreg import report, search
from lossreg.sampler import FAIR_START, undirected, undirected_note
from lossreg.trainers.fake import Fake


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def study(trials, losses, name="small", **sections):
    document = {
        "name": name,
        "data": {"source": "sklearn:iris"},
        "model": {"hidden": [4]},
        "train": {"epochs": 1},
        "search": {"trials": trials, "metric": "accuracy"},
        "losses": losses,
        "tracking": {"enabled": False},
    }
    return {**document, **{key: {**document.get(key, {}), **values} for key, values in sections.items()}}


# ------------------------------------------------------------------------- the fair start


def asked(labels, sign):
    """The settings of 24 trials in turn, where a loss's scores count as they are or turned round."""
    own = searches.proposer()
    own = replace(own, candidates={label: own.candidates[label] for label in labels})
    made = searches.loop(
        searches.optuna_study(), 24, Fake(lambda plan, epoch: sign * searches.curve(plan, epoch), slots=1), own=own
    )
    made.run()
    records = sorted(made.heard.records, key=lambda record: record.number)
    published = {label: own.published(label)[0] for label in own.labels}
    return [(record.label, *record.params.items()) for record in records], undirected(published)


@pytest.mark.parametrize("labels", [["cross_entropy", "focal", "mixed"], ["cross_entropy", "focal"]])
def test_no_setting_follows_from_a_score_before_the_trial_that_is_named(labels):
    one, before = asked(labels, 1)
    other, _ = asked(labels, -1)
    assert before == {3: 12, 2: 10}[len(labels)]
    assert one[:before] == other[:before]
    assert one[before:] != other[before:]


@pytest.mark.parametrize(
    ("losses", "trials", "said"),
    [
        (7, 24, "from trial 29 on: none of 24 trials. Set search.trials to 56, or search at most 3 losses"),
        (7, 30, "from trial 29 on: 2 of 30 trials. Set search.trials to 56"),
        (2, 12, "from trial 11 on: 2 of 12 trials. Set search.trials to 20"),
        (7, 38, ""),
        (7, 64, ""),
    ],
)
def test_the_note_names_the_number_of_trials_that_would_do(losses, trials, said):
    published = {f"loss_{n}": {"learning_rate": 1e-3} for n in range(losses)}
    note = undirected_note(published, trials)
    assert said in note
    assert bool(note) == bool(said)
    assert not undirected_note(published, 2 * undirected(published))


def test_few_trials_per_loss_are_said_before_during_and_after_and_no_longer_once_there_are_more():
    few = study(8, {"cross_entropy": {}, "focal": {}, "poly1_ce": {}})
    said = [note for note in search.plan(few).notes if note.startswith(FAIR_START)]
    assert "With 3 losses it chooses from trial 13 on: none of 8 trials" in said[0]
    result = lossreg.tune(few)
    assert said[0] in result.notes
    assert said[0] in report.markdown(result)
    assert not [note for note in lossreg.tune(few, ["search.trials=24"]).notes if note.startswith(FAIR_START)]
    at_random = study(8, few["losses"], "at_random", search={"sampler": "random"})
    assert not [note for note in search.plan(at_random).notes if note.startswith(FAIR_START)]
