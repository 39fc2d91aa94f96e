"""`Frozen`: what a verdict notes before it opens the test rows, and `Notes`, those of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from lossreg.storage.journal_keys import FROZEN
from lossreg.storage.verdict import MARGIN, TRIALS, Reevaluated

if TYPE_CHECKING:
    from lossreg.search.nested import Settings

# keys of a study: how often its test rows were opened before it began or changed, and what identifies them
BEFORE, TESTED = "openings_before", "test_rows"


@dataclass(frozen=True, slots=True)
class Frozen:
    """A note that is written before the test rows are opened.

    trials: the number of trials that were considered; winner, baseline: numbers of trials; openings: how often the
    test rows were opened, this time included; exploratory: whether trials were run since the first; repeats: the
    largest number that was asked for, 0 where an older version did not note it; decision: `tuned` where all arms have
    their decision tuned; reevaluated: the candidates on fresh splits; outer: the number of outer folds, 0 without;
    settings: what each of them chose, empty as long as they are searched; margin: the verdict's when the test rows
    were first opened, None where an older version did not note it.
    """

    trials: int
    winner: int
    baseline: int
    openings: int = 0
    exploratory: bool = False
    repeats: int = 0
    decision: str = "default"
    reevaluated: tuple[Reevaluated, ...] = ()
    outer: int = 0
    settings: Sequence[Settings] = ()
    margin: float | None = None

    def changed(self, margin: float) -> tuple[str, ...]:
        """Return what of a verdict with this margin was changed since the test rows were first opened."""
        is_other = self.margin not in (None, margin)
        return (TRIALS,) * self.exploratory + (MARGIN,) * is_other

    @classmethod
    def of_stored(cls, values: Mapping[str, Any]) -> Self:
        """Return what was noted."""
        return cls(**{**values, "reevaluated": tuple(map(Reevaluated.of_stored, values.get("reevaluated", ())))})

    @property
    def key(self) -> str:
        """A text that is equal where predictions of the test rows can be used again."""
        return f"{self.trials}-{self.winner}-{self.baseline}" + (f"-{self.outer}" if self.outer else "")


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes of the verdicts of a study: one per number of outer folds, the last one at the end.

    trials: the number that the study has now; before: how often the test rows were opened for former trials, which
    have no notes here.
    """

    frozen: tuple[Frozen, ...]
    trials: int
    before: int = 0

    @classmethod
    def of_stored(cls, stored: Any, trials: int, before: int = 0) -> Self:
        """Return the notes of a study, of which older versions kept the last one alone."""
        notes = [stored] if isinstance(stored, Mapping) else stored or []
        return cls(tuple(map(Frozen.of_stored, notes)), trials, before)

    def stored(self) -> list[dict[str, Any]]:
        """Return the form that `of_stored` reads."""
        return [asdict(frozen) for frozen in self.frozen]

    @property
    def last(self) -> Frozen | None:
        """The last note, of these trials or of fewer."""
        return self.frozen[-1] if self.frozen else None

    @property
    def choice(self) -> Frozen | None:
        """Winner and baseline setting of the present trials, also if noted for another number of outer folds."""
        return self.last if self.last and self.last.trials == self.trials else None

    @property
    def openings(self) -> int:
        """The number of times that the test rows were opened."""
        return self.last.openings if self.last else self.before

    @property
    def is_exploratory(self) -> bool:
        """True if trials were run since the test rows were first opened."""
        return self.last.exploratory or self.last.trials != self.trials if self.last else bool(self.before)

    def of_outer(self, outer: int) -> Frozen | None:
        """Return what was noted of the present trials and so many outer folds."""
        return next((one for one in self.frozen if (one.outer, one.trials) == (outer, self.trials)), None)

    def opened(self, choice: Frozen, outer: int, repeats: int, decision: str, margin: float) -> Frozen:
        """Return what to note before rows are opened for so many repeats; margin: of the first time.

        This is a further opening unless it was noted before, and is now finished after it was cut off.
        """
        if frozen := self.of_outer(outer):
            openings = self.openings + (repeats > frozen.repeats)
            return replace(frozen, openings=openings, repeats=max(repeats, frozen.repeats), margin=margin)
        return replace(
            choice, openings=self.openings + 1, exploratory=self.is_exploratory, repeats=repeats, decision=decision,
            outer=outer, settings=(), margin=margin,
        )  # fmt: skip

    def noting(self, frozen: Frozen) -> Self:
        """Return the notes of these trials with this one as the last, in place of that of as many outer folds."""
        others = (one for one in self.frozen if one.outer != frozen.outer and one.trials == frozen.trials)
        return replace(self, frozen=(*others, frozen))


def openings(attributes: Mapping[str, Any]) -> int:
    """Return how often the test rows of a study with these attributes were opened."""
    return Notes.of_stored(attributes.get(FROZEN), 0, attributes.get(BEFORE, 0)).openings


def is_outdated(attributes: Mapping[str, Any], trials: int) -> bool:
    """Return whether the test rows were last opened for another number of trials; False if that is unreadable."""
    stored = attributes.get(FROZEN)
    last = stored if isinstance(stored, Mapping) else stored[-1] if isinstance(stored, list) and stored else {}
    noted = last.get("trials") if isinstance(last, Mapping) else None
    return noted not in (None, trials)
