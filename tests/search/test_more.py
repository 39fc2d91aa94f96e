"""Trials that are added with `--more`: how many a study has then, and what its verdict is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_trainer import Fake
from searches import Stops

import lossreg
from lossreg.errors import InputError
from lossreg.search.outline import plan
from lossreg.search.run_state import RunState
from lossreg.storage.study_folder import StudyFolder
from lossreg.storage.trials import ATTRIBUTE

BEGUN = {
    "name": "small",
    "data": {"source": "sklearn:iris"},
    "model": {"hidden": [4]},
    "train": {"epochs": 3, "batch_size": 16},
    "search": {"trials": 8, "metric": "accuracy", "lanes": 4},
    "losses": {"cross_entropy": {}, "focal": {}},
    "verdict": {"enabled": False},
    "tracking": {"enabled": False},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def trainer():
    return Fake(lambda plan, epoch: 0.5 + 0.01 * epoch - 0.01 * plan.params.get("gamma", 1.0))


def faked(overrides=(), document=BEGUN, **options):
    """The study run by a trainer that stands in for Keras."""
    return lossreg.tune(document, overrides, trainers=[trainer()], **options)


def numbered(result):
    return {trial.number: (trial.candidate, dict(trial.params)) for trial in result.trials}


def journal():
    return Path(".lossreg/small/journal.log").read_bytes()


def created(lines):
    """The number of trials that a journal says were created."""
    return lines.count(b'"op_code":4')


def test_added_trials_stay_without_the_option():
    faked()
    added = faked(more=5)
    assert len(added.trials) == 13
    assert [note for note in added.notes if "5 trials added, 13 in all" in note]
    before = journal()
    assert len(faked().trials) == 13
    assert created(journal()) == created(before) == 13


@pytest.mark.long
def test_added_trials_are_those_of_a_study_with_so_many(tmp_path, monkeypatch):
    faked()
    faked(more=4)
    added = faked(more=1)
    (tmp_path / "whole").mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    faked()
    faked(["search.trials=12"])
    assert numbered(faked(["search.trials=13"])) == numbered(added)


def test_added_trials_that_were_cut_off_are_trained_without_the_option():
    faked()
    assert not lossreg.results(BEGUN).reached.is_interrupted
    with pytest.raises(KeyboardInterrupt):
        faked(more=8, progress=Stops(0))
    assert lossreg.results(BEGUN).reached.is_interrupted, "although no added trial has ended"
    with pytest.raises(KeyboardInterrupt):
        faked(progress=Stops(2))
    done = len(lossreg.results(BEGUN).trials)
    assert 8 < done < 16
    assert plan(BEGUN).trials == 16
    assert plan(BEGUN, [f"search.trials={done}"]).trials == done, "a number in an override holds for its run"
    assert len(faked().trials) == 16


def test_trials_whose_addition_was_cut_off_at_once_are_still_noted(monkeypatch):
    def cut(*given, **options):
        raise KeyboardInterrupt

    faked()
    with monkeypatch.context() as patch:
        patch.setattr(RunState, "begin", cut)
        with pytest.raises(KeyboardInterrupt):
            faked(more=8)
    notes = faked().notes
    assert len(notes) == len(set(notes))
    assert "8 trials added, 16 in all" in notes


def test_times_of_stages_that_a_cut_off_run_did_not_reach_are_kept():
    faked()
    with StudyFolder(Path(".lossreg/small"), "small").opened(["maximize"], None, None) as stored:
        attributes = stored.user_attrs[ATTRIBUTE]
        seconds = {**attributes["seconds"], "total": 100.0, "confirm": 40.0, "verdict": 50.0}
        stored.set_user_attr(ATTRIBUTE, {**attributes, "seconds": seconds})
    with pytest.raises(KeyboardInterrupt):
        faked(more=8, progress=Stops(0))
    after = lossreg.results(BEGUN).seconds
    assert (after["confirm"], after["verdict"]) == (40.0, 50.0)
    assert after["training"] > seconds["training"]
    assert after["total"] > 100.0


@pytest.mark.parametrize(
    ("before", "overrides", "trials"),
    [
        pytest.param(["search.trials=3"], [], 8 + 2, marks=pytest.mark.long),  # an unfinished study
        (["search.trials=10"], [], 10 + 2),  # it has more than the file says
        pytest.param([], ["search.trials=11"], 11 + 2, marks=pytest.mark.long),
    ],
)
def test_trials_are_added_to_as_many_as_the_study_has_or_is_to_have(before, overrides, trials):
    faked(before)
    assert plan(BEGUN, overrides, more=2).trials == trials
    assert len(faked(overrides, more=2).trials) == trials


def test_a_change_that_keeps_trials_apart_begins_with_as_many_as_were_added():
    faked()
    faked(more=5)
    changed = {**BEGUN, "search": {**BEGUN["search"], "metric": "f1_macro"}}
    result = faked(document=changed, allow_changed=True)
    assert len(result.trials) == 13
    assert [note for note in result.notes if "13 trials in all, as asked of the former run with more" in note]
    assert len(faked(document=changed).trials) == 13


@pytest.mark.parametrize(
    ("options", "is_begun", "told"),
    [
        ({"more": 4}, False, "was never run"),
        ({"more": 4, "fresh": True}, True, "starts over"),
        *(({"more": wrong}, True, "must be a whole number of trials from 1 on") for wrong in (0, -1, True, "4", 2.5)),
        ({"more": 1_000_000}, True, "and may have 1,000,000"),
    ],
)
def test_what_cannot_be_added_is_refused_in_words_and_changes_nothing(options, is_begun, told):
    if is_begun:
        faked()
    before = journal() if is_begun else b""
    with pytest.raises(InputError, match=told):
        faked(**options)
    assert (journal() if is_begun else b"") == before


def test_a_study_that_searches_nothing_takes_no_more_trials():
    fixed = {**BEGUN, "train": {**BEGUN["train"], "learning_rate": 0.01}}
    fixed["losses"] = {"cross_entropy": {}, "focal": {"gamma": 2.0, "alpha": "none"}}
    faked(document=fixed)
    for run in (lambda: faked(document=fixed, more=3), lambda: plan(fixed, more=3)):
        with pytest.raises(InputError, match="each loss is trained once"):
            run()
