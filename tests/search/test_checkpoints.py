"""Whose weights are kept, in a run and after an interruption."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
import sample_study as sample

from lossreg.search.checkpoints import Checkpoints, KeepPolicy
from lossreg.storage.study_folder import StudyFolder

# trials in the order of their ends: number, loss, score
ENDS = [(1, "focal", 0.5), (0, "ce", 0.5), (3, "focal", 0.7), (2, "mae", None), (5, "focal", 0.6), (4, "ce", 0.5)]
KEPT = {"best": [{1}, {0}, {3}, {3}, {3}, {3}], "losses": [{1}, {0, 1}, {0, 3}, {0, 3}, {0, 3}, {0, 3}]}
KEPT["all"] = [{1}, {0, 1}, {0, 1, 3}, {0, 1, 3}, {0, 1, 3, 5}, {0, 1, 3, 4, 5}]


def records():
    for number, loss, score in ENDS:
        yield sample.trial(number, loss, "complete" if score else "diverged", score=score)


def study(trials=()):
    return sample.study(0, losses=dict.fromkeys(("ce", "focal", "mae"), "x"), baseline="ce", trials=list(trials))


@pytest.mark.parametrize("keep", KEPT)
def test_the_weights_in_the_folder_are_those_of_the_best_trials_whenever_a_trial_has_ended(tmp_path, keep):
    folder = StudyFolder(tmp_path, "s")
    checkpoints, policy, result = Checkpoints(folder, keep, study()), KeepPolicy(keep, study()), study()
    for record, kept in zip(records(), KEPT[keep], strict=True):
        if record.score and policy.wants(record.candidate, record.score, record.number):
            checkpoints.checkpoint(record, [np.zeros(1)])
        policy.add(record)
        result.add(record)
        checkpoints.trial(record, result)
        assert set(folder.weights.numbers) == kept == policy.numbers


@pytest.mark.parametrize("keep", KEPT)
def test_a_resumed_study_knows_whose_weights_are_kept(keep):
    assert KeepPolicy(keep, study(records())).numbers == KEPT[keep][-1]


CONTENDERS = [(0, "ce", 0.5), (1, "ce", 0.7), (2, "focal", 0.4), (3, "ce", 0.6), (4, "focal", 0.9), (5, "focal", 0.3)]


@pytest.mark.parametrize("keep", ["best", "losses"])
def test_the_two_best_of_each_loss_are_kept_until_the_verdict_has_chosen(tmp_path, keep):
    trials = [sample.trial(number, loss, "complete", score=score) for number, loss, score in CONTENDERS]
    folder = StudyFolder(tmp_path, "s")
    checkpoints, result = Checkpoints(folder, keep, study(), contenders=2), study()
    for record in trials:
        checkpoints.checkpoint(record, [np.zeros(1)])
        result.add(record)
        checkpoints.trial(record, result)
    # a trial that nobody wants is not written by the scheduler; here all are, and those that were surpassed are gone
    assert KeepPolicy(keep, study(trials), contenders=2).numbers == {1, 3, 2, 4}
    assert {0} & set(folder.weights.numbers) == set()


def test_a_trial_whose_weights_found_no_room_costs_no_other_its_weights(tmp_path, monkeypatch):
    folder = StudyFolder(tmp_path, "s")
    checkpoints, result = Checkpoints(folder, "best", study()), study()
    trials = [sample.trial(number, "focal", score=score) for number, score in enumerate((0.5, 0.9, 0.7))]

    def end(record):
        checkpoints.checkpoint(record, [np.zeros(1)])
        told(record)

    def told(record):
        result.add(record)
        checkpoints.trial(record, result)

    end(trials[0])
    with monkeypatch.context() as patch:
        patch.setattr(folder.weights, "save", fails)
        with pytest.raises(OSError, match="No space"):
            checkpoints.checkpoint(trials[1], [np.zeros(1)])
        told(trials[1])
    assert set(folder.weights.numbers) == {0}
    end(trials[2])
    assert set(folder.weights.numbers) == {2}


def fails(number, weights):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
