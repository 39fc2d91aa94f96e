"""Cuts in time: what is scored is newer than what was trained on, and rows of the same time are never on both sides."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rows = NDArray[np.int64]
Pair = tuple[Rows, Rows]
# parts of the rows that a fresh split trains on at least, and validates on; what is left is where it may begin
TRAINED, VALIDATED = 0.7, 0.15


class Course:
    """Rows in the order of their times; times: of all rows."""

    def __init__(self, rows: Rows, times: NDArray[np.int64], rng: np.random.Generator) -> None:
        # rows of the same time are in random order, since a part of them may be left out
        shuffled = rng.permutation(rows)
        self.rows = shuffled[np.argsort(times[shuffled], kind="stable")]
        self.boundaries = np.flatnonzero(np.diff(times[self.rows])) + 1

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, places: ArrayLike) -> NDArray[np.int64]:
        """Return the nearest places at which the time changes."""
        distances = np.abs(self.boundaries[None, :] - np.asarray(places)[:, None])
        return np.asarray(self.boundaries[distances.argmin(axis=1)])

    def pair(self, place: int, train: int, validation: int) -> Pair:
        """Return `train` rows before a place and `validation` rows from it on, each in ascending order."""
        return np.sort(self.rows[place - train : place]), np.sort(self.rows[place : place + validation])


def newest(course: Course, size: int) -> Pair | None:
    """Return the other rows and about `size` of the newest; None where all rows are of one time."""
    if not len(course.boundaries):
        return None
    place = int(course.at(np.array([len(course) - size]))[0])
    return course.pair(place, place, len(course) - place)


def folds(course: Course, number: int) -> list[Pair] | None:
    """Return folds of equal sizes: the newer half of the rows in blocks, each with as many rows before it to train on.

    None where there are too few times.
    """
    if not len(course.boundaries):
        return None
    half = len(course) // 2
    places = course.at(len(course) - half + half / number * np.arange(number))
    blocks = np.diff([*places, len(course)])
    if min(blocks) <= 0:
        return None
    return [course.pair(place, int(places[0]), int(min(blocks))) for place in places.tolist()]


def window(course: Course, rng: np.random.Generator) -> Pair | None:
    """Return the rows of a window in time that begins at random, the newer of which validate; None without any.

    Its sizes do not depend on where it begins.
    """
    places, length = course.boundaries, len(course)
    if not len(places):
        return None
    usual = places[(places >= TRAINED * length) & (places <= (1 - VALIDATED) * length)]
    usual = usual if len(usual) else course.at(np.array([(1 - VALIDATED) * length]))
    return course.pair(int(rng.choice(usual)), int(usual.min()), length - int(usual.max()))
