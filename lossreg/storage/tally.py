"""`Tally`: what several workers have to know of the first trials of a study, and `Tallies`, which count each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from optuna.trial import FrozenTrial

from lossreg.storage import trials as states
from lossreg.storage.trials import FIXED, RETRY_OF, START

Mark = tuple[str, int]


@dataclass(slots=True)
class Tally:
    """Counts of trials: those with a place in the budget, those with an outcome, and each loss.

    `asked` counts the trials of each loss, `tried` those that have not failed, `marks` what only one trial may have.
    """

    placed: int = 0
    ended: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    marks: set[Mark] = field(default_factory=set)

    def add(self, trials: Iterable[FrozenTrial]) -> None:
        """Count some more."""
        for trial in trials:
            self.ended += states.has_outcome(trial)
            if states.stands(trial):
                self.marks |= marks(trial)
            if states.has_place(trial):
                self.placed += 1
                self.asked[loss(trial)] += 1
                self.tried[loss(trial)] += not states.has_failed(trial)

    def copy(self) -> Tally:
        """Return one that counts on by itself."""
        return Tally(self.placed, self.ended, Counter(self.asked), Counter(self.tried), set(self.marks))


class Tallies:
    """The tallies of the trials below one that has not ended; those below `first`, which all have, are counted once."""

    def __init__(self) -> None:
        self._trials: Sequence[FrozenTrial] = ()
        self._ended, self.first = Tally(), 0

    def read(self, trials: Sequence[FrozenTrial]) -> None:
        """Take the trials of a study, by number, as they are now; ended ones are as they were."""
        self._trials = trials
        first = self.first
        while first < len(trials) and trials[first].state.is_finished():
            first += 1
        self._ended.add(trials[self.first : first])
        self.first = first

    def below(self, number: int | None = None) -> Tally:
        """Return the tally of the trials with smaller numbers, or of all; none of them has ended after that one."""
        tally = self._ended.copy()
        tally.add(self._trials[self.first : number])
        return tally


def excess(below: Tally, trial: FrozenTrial, budget: int) -> str:
    """Return why a trial that a worker just took is one too many; empty where it is not.

    It follows from the trials below it, which all workers know: the budget is spent, or an earlier one has the same
    place in the fair start or is a copy of the same trial.
    """
    if marks(trial) & below.marks:
        return states.TWICE
    return states.BEYOND if RETRY_OF not in trial.user_attrs and below.placed >= budget else ""


def marks(trial: FrozenTrial) -> set[Mark]:
    """Return what only one trial may have: its place in the fair start, or the number of the trial that it repeats."""
    name = RETRY_OF if RETRY_OF in trial.user_attrs else START
    return {(name, trial.user_attrs[name])} if name in trial.user_attrs else set()


def loss(trial: FrozenTrial) -> str:
    """Return the candidate that a trial tries, or will try; empty where that is not chosen yet."""
    given = trial.params or trial.system_attrs.get(FIXED, {})
    return str(given.get("loss", ""))
