"""`Fake`: a trainer without a model, so that search is tested without Keras."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from lossreg.storage.trial_record import Weights
from lossreg.training.interface import EpochReport, Plan

Curve = Callable[[Plan, int], float]


class Fake:
    """Reports `curve(plan, epoch)` as score and its negative as loss; NaN makes a plan diverge.

    opened: `(slot, plan)` in the order in which they were opened.
    """

    name = "fake"

    def __init__(self, curve: Curve, slots: int = 4, refused: tuple[str, ...] = ()) -> None:
        self.curve, self.slots, self.refused = curve, slots, refused
        self.opened: list[tuple[int, Plan]] = []
        self._open: dict[int, tuple[Plan, int]] = {}

    def refuses(self, candidate: str) -> str:
        """Return a reason for the candidates in `refused`."""
        return f"{candidate} is refused" if candidate in self.refused else ""

    def prepare(self) -> None:
        """Do nothing."""

    def open(self, slot: int, plan: Plan) -> None:
        """Put a plan into a free slot; raises `ValueError` when it is taken or out of range."""
        if slot in self._open or not 0 <= slot < self.slots:
            raise ValueError(f"slot {slot} is not free")
        self._open[slot] = (plan, 0)
        self.opened.append((slot, plan))

    def advance(self) -> dict[int, EpochReport]:
        """Report one more epoch of every open plan."""
        self._open = {slot: (plan, epoch + 1) for slot, (plan, epoch) in sorted(self._open.items())}
        return {slot: self._report(plan, epoch) for slot, (plan, epoch) in self._open.items()}

    def weights(self, slot: int) -> Weights:
        """Return one number: the epochs trained so far."""
        return [np.array([float(self._open[slot][1])])]

    def close(self, slot: int) -> None:
        """Free a slot, if it is open."""
        self._open.pop(slot, None)

    def shutdown(self) -> None:
        """Do nothing."""

    def _report(self, plan: Plan, epoch: int) -> EpochReport:
        score = self.curve(plan, epoch)
        return EpochReport(epoch, -score, -score, score, score)


class Waiting(Fake):
    """A trainer whose epochs take so many seconds of waiting, as those of a GPU do."""

    def __init__(self, curve: Curve, seconds: float, slots: int) -> None:
        super().__init__(curve, slots)
        self.seconds = seconds

    def advance(self) -> dict[int, EpochReport]:
        """Wait, and report one more epoch of every open plan."""
        time.sleep(self.seconds)
        return super().advance()
