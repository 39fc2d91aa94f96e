"""The number of trials to ask Optuna for: late, so that its sampler knows much, yet in time for free slots."""

from __future__ import annotations

from collections.abc import Sequence

MOST_WAITING = 8
# ended trials that the sampler should know for each active one before it is asked ahead of their end
KNOWN_ENOUGH = 2


def ahead_of_time(epochs_left: Sequence[int], epochs: int, width: int, waiting: int) -> int:
    """Return the number of trials to ask for while an epoch is trained: as late as possible, few in any one epoch.

    epochs_left: epochs to the end of each active trial, this one included; epochs: how many the longest of them has in
    all; width: trials that fit into the slots; waiting: trials asked for already. With `rate` trials asked for per
    epoch, the i-th trial to end, in `left` epochs, has its successor in time if free + i + 1 - rate (left - 1)
    are ready by the end of this epoch.
    """
    free, rate = width - len(epochs_left), -(-width // epochs)
    ready = max(free + i + 1 - rate * (left - 1) for i, left in enumerate(sorted(epochs_left)))
    return max(0, ready - waiting, free - waiting)


def is_due(active: int, width: int, *, is_ahead: bool) -> bool:
    """Return whether free slots are to be filled at once rather than in an epoch: many are free, or nothing is gained.

    is_ahead: whether trials are asked for ahead of time at all.
    """
    free = width - active
    return free > 0 and (not active or not is_ahead or 4 * free > width)
