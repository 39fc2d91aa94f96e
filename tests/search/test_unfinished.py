"""A search that is cut off at a write to its journal, several times, ends as an unbroken one: a sample of writes."""

from __future__ import annotations

import random

import pytest
from fake_trainer import Fake
from quick import long_but
from searches import EPOCHS, curve, loop, optuna_study

from lossreg.search import history, pruners
from lossreg.search.learning_curve import Patience
from lossreg.storage.journal import Journal, StudyStorage

TRIALS = 36


class PowerLoss(BaseException):
    """The machine is off."""


class Failing(Journal):
    """A journal that takes a number of logs, and after that none."""

    def __init__(self, path, room):
        super().__init__(path)
        self.room = room

    def append_logs(self, logs):
        self.room -= 1
        if self.room < 0:
            raise PowerLoss
        super().append_logs(logs)


def uneven(plan, epoch):
    """A score by which trials that stop early end after different numbers of epochs."""
    return curve(plan, min(epoch, 2 + int(1000 * plan.learning_rate) % 4))


CASES = {
    "tpe": {}, "random": {"kind": "random"}, "one lane": {"slots": 1}, "early stopping": {"patience": Patience(1, 0.0)},
    "median": {"pruner": "median"},
}  # fmt: skip


def searched(path, room, case):
    """What a search leaves behind that has room for so many logs, whether it came to its end, and the logs it wrote."""
    pruner = pruners.build(case.get("pruner", "none"), EPOCHS)
    journal = Failing(path, room)
    search = None
    try:
        study = optuna_study(StudyStorage(journal), kind=case.get("kind", "tpe"), pruner=pruner)
        pruners.begin(study)
        options = {name: case[name] for name in ("patience",) if name in case}
        trainer = Fake(uneven, slots=case.get("slots", 4))
        search = loop(study, TRIALS, trainer, prune="pruner" in case, **options)
        search.run()
    except PowerLoss:
        return None, room
    finally:
        journal.close()
    told = {record.number: record for record in history.records(search.study)}
    assert len(told) == TRIALS
    names = ("number", "candidate", "params", "score", "state", "epochs")
    return [[getattr(record, name) for name in names] for record in told.values()], room - journal.room


@pytest.mark.parametrize("case", long_but({"tpe", "one lane"}, CASES))
def test_a_search_that_is_cut_off_ends_as_an_unbroken_one_ends(tmp_path, case):
    unbroken, logs = searched(tmp_path / "unbroken.log", 10**9, CASES[case])
    chance = random.Random(0)
    for attempt in range(8):
        path, ended, rooms = tmp_path / f"{attempt}.log", None, []
        while ended is None:
            rooms.append(chance.randint(1, logs) if len(rooms) < 4 else 10**9)
            ended, _ = searched(path, rooms[-1], CASES[case])
        assert ended == unbroken, rooms
