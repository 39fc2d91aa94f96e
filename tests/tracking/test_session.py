"""The session of a study with its store: when the parent's page is brought up to date."""

from __future__ import annotations

import pytest
import sample_study as sample

from lossreg.storage.reached import Reached
from lossreg.tracking import messages, new_database, session, writer
from lossreg.tracking.session import REFRESH, Session


class Written:
    """Stands in for what writes into MLflow; `trials` are those of each refresh of the parent's page."""

    run_id, experiment_id = "run", "1"

    def __init__(self, *args, **options):
        self.trials, self.reached = [], []

    def open(self, result, **known):
        self.reached.append(result.reached)

    def close(self, result, status):
        """Do nothing."""

    def missing(self, trials):
        return list(trials)

    def write(self, trials, metric):
        yield from trials

    def refresh(self, result):
        self.trials.append(len(result.trials))
        self.reached.append(result.reached)


@pytest.fixture
def opened(monkeypatch):
    """A session at the beginning of a study, its clock, and what it has written."""
    written, clock = Written(), [0.0]
    monkeypatch.setattr(writer, "Writer", lambda *args, **options: written)
    monkeypatch.setattr(session, "ping", lambda uri: None)
    monkeypatch.setattr(new_database, "make", lambda uri, ready: None)
    begun = Session(lambda **answer: None, lambda: clock[0])
    begun.open(messages.of_study(sample.study(0, budget=9)) | {"folder": ""}, [], "run", "key")
    return begun, clock, written


def test_the_page_of_the_parent_is_due_seconds_after_a_trial_though_nothing_more_comes(opened):
    begun, clock, written = opened
    assert begun.patience is None
    clock[0] = 1.0
    begun.add([sample.trial(0)])
    assert begun.patience == REFRESH - 1.0
    begun.rest()
    assert written.trials == []
    clock[0] = REFRESH
    assert begun.patience == 0.0
    begun.rest()
    assert written.trials == [1]
    assert begun.patience is None
    clock[0] = 60.0
    begun.add([sample.trial(1)])
    assert begun.patience == 0.0


def test_the_page_of_the_parent_says_whether_the_study_still_runs(opened):
    begun, clock, written = opened
    begun.add([sample.trial(0)])
    clock[0] = REFRESH
    begun.rest()
    begun.interrupt()
    assert written.reached == [Reached(0, 9, True, False), Reached(1, 9, True, False), Reached(1, 9, False, False)]
