"""The progress of a study: its trials that have ended, and whether a process still runs it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reached:
    """The progress of a study.

    ended: the trials that have ended and use up its budget; trials: the budget; is_running: whether a process runs the
    study now; is_over: whether its last run came to its end; work: what a run does now other than the search, in words.
    """

    ended: int
    trials: int
    is_running: bool
    is_over: bool
    work: str = ""

    @property
    def is_interrupted(self) -> bool:
        """True if nobody runs the study, and something is left of it."""
        return not self.is_running and not self.is_over
