"""The number of trials that the scheduler asks for, and the times."""

from __future__ import annotations

import pytest

from lossreg.search import demand

# epochs left of the active trials, epochs of a trial, trials that fit, trials that wait: trials to ask for
AHEAD = [
    # a trial of one epoch each: all successors are needed at its end
    ([1, 1, 1, 1], 1, 4, 0, 4),
    ([1, 1, 1, 1], 1, 4, 3, 1),
    # two per epoch: of four that end together in two epochs, two are asked for now, the others in the next epoch
    ([2, 2, 2, 2], 2, 4, 0, 2),
    ([1, 1, 1, 1], 2, 4, 2, 2),
    # one per epoch: each has its successor just in time
    ([1, 2, 3, 4], 4, 4, 0, 1),
    ([1, 2, 3, 4], 4, 4, 1, 0),
    ([6, 6, 6], 6, 3, 0, 0),
    ([4, 4, 4], 6, 3, 0, 0),
    ([3, 3, 3], 6, 3, 0, 1),
    # free slots are filled whatever ends, those that wait count
    ([9, 9], 9, 4, 0, 2),
    ([9, 9], 9, 4, 5, 0),
    # more trials are active than fit by now: only what fits is succeeded
    ([1] * 8, 6, 3, 0, 3),
    ([5] * 8, 6, 3, 0, 0),
]


@pytest.mark.parametrize(("left", "epochs", "width", "waiting", "expected"), AHEAD)
def test_as_many_trials_are_asked_for_as_will_find_free_slots(left, epochs, width, waiting, expected):
    assert demand.ahead_of_time(left, epochs, width, waiting) == expected


@pytest.mark.parametrize("width", [1, 3, 8])
@pytest.mark.parametrize("epochs", [1, 2, 7])
def test_trials_asked_for_in_time_leave_no_slot_empty_and_wait_no_longer_than_needed(width, epochs):
    active, waiting = list(range(1, min(width, epochs) + 1)) + [epochs] * (width - min(width, epochs)), 0
    for _ in range(3 * epochs):
        waiting += demand.ahead_of_time(active, epochs, width, waiting)
        active = [left - 1 for left in active if left > 1]
        assert waiting >= width - len(active), "a slot is empty"
        waiting -= width - len(active)
        active += [epochs] * (width - len(active))
        assert waiting < width


@pytest.mark.parametrize(
    ("active", "width", "is_ahead", "expected"),
    [
        (0, 4, True, True), (0, 4, False, True), (3, 4, True, False), (3, 4, False, True), (2, 4, True, True),
        (12, 16, True, False), (11, 16, True, True), (4, 4, False, False), (8, 3, False, False), (8, 3, True, False),
    ],
)  # fmt: skip
def test_free_slots_are_filled_at_once_where_they_are_many_or_nothing_is_asked_ahead(active, width, is_ahead, expected):
    assert demand.is_due(active, width, is_ahead=is_ahead) is expected
