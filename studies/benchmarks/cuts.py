"""Rows that belong together: the interval of a verdict with and without groups, and equal rows on one side or on both.

python studies/benchmarks/cuts.py groups
python studies/benchmarks/cuts.py twins
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit

from lossreg.metrics import catalogue
from lossreg.verdict.comparison import compare

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
ROWS, SETS, REPEATS, RIGHT, FLIPPED = 300, 400, 20, 0.8, 0.03
TABLE, FURTHER, TABLES = 500, 4000, 40


def groups() -> None:
    """Two equally good models, several rows per patient that are right or wrong together: how often 0 is left out."""
    metric = catalogue.resolve("accuracy", "binary")
    for rows in (1, 3, 10):
        patient = np.repeat(np.arange(ROWS // rows), rows)
        outcomes: dict[str, list[tuple[float, float]]] = {"rows": [], "groups": []}
        for _ in range(SETS):
            y = RNG.integers(0, 2, ROWS // rows)[patient]
            arms = [_predicted(y, patient) for _ in range(2)]
            for unit, given in (("rows", None), ("groups", patient)):
                one = compare(metric, y, *arms, groups=given)
                assert one is not None
                outcomes[unit].append((one.low, one.high))
        for unit, intervals in outcomes.items():
            low, high = np.array(intervals).T
            print(f"{rows} rows per patient, {unit}: 0 left out {np.mean((low > 0) | (high < 0)):.3f}, "
                  f"better {np.mean(low > 0):.3f}, half width {np.mean(high - low) / 2:.3f}")  # fmt: skip


def _predicted(y: Array, patient: Array) -> Array:
    is_right = (RNG.random(patient.max() + 1) < RIGHT)[patient]
    return np.where(is_right ^ (RNG.random((REPEATS, len(y))) < FLIPPED), y, 1 - y)


def twins() -> None:
    """Test accuracy minus that on further rows, of tables of few categories and of tables with copies."""
    shapes = [(4, 7), (4, 6), (3, 7), (4, 5), (3, 6), (3, 5), (4, 4), (3, 4), (2, 6), (3, 3), (2, 4)]
    made: list[tuple[str, Callable[[], list[float]]]] = [
        (
            f"{columns} columns of {levels} categories",
            lambda levels=levels, columns=columns: _categories(levels, columns),
        )
        for levels, columns in shapes
    ]
    made += [
        (f"{share:.0%} copies", lambda share=share: _copies(share)) for share in (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
    ]
    for name, bias in made:
        twice, apart, together = np.mean([bias() for _ in range(TABLES)], axis=0)
        print(f"{name}: {twice:.2f} occur more than once, bias {apart:+.3f} at random, {together:+.3f} kept together")


def _categories(levels: int, columns: int) -> list[float]:
    weights = RNG.normal(size=(columns, levels))
    codes = RNG.integers(0, levels, (TABLE + FURTHER, columns))
    scores = weights[np.arange(columns), codes].sum(axis=1) + RNG.logistic(size=len(codes))
    x = np.eye(levels)[codes].reshape(len(codes), -1)
    return _bias(x[:TABLE], (scores[:TABLE] > 0).astype(int), x[TABLE:], (scores[TABLE:] > 0).astype(int))


def _copies(share: float) -> list[float]:
    again = int(share * TABLE / 2)
    x = RNG.normal(size=(TABLE - again + FURTHER, 6))
    y = (x @ RNG.normal(size=6) + 2 * RNG.logistic(size=len(x)) > 0).astype(int)
    rows = np.concatenate([np.arange(TABLE - again), np.arange(again)])
    return _bias(x[rows], y[rows], x[TABLE - again :], y[TABLE - again :])


def _bias(x: Array, y: Array, further_x: Array, further_y: Array) -> list[float]:
    """Return the share of rows that occur more than once, and the bias of both cuts."""
    codes = np.unique(np.column_stack([x, y]), axis=0, return_inverse=True)[1].reshape(-1)
    biases = [float((np.bincount(codes)[codes] > 1).mean())]
    for kind in (ShuffleSplit, GroupShuffleSplit):
        cut = kind(1, test_size=0.2, random_state=int(RNG.integers(2**31)))
        train, test = next(cut.split(x, y, codes if kind is GroupShuffleSplit else None))
        model = RandomForestClassifier(20, random_state=0).fit(x[train], y[train])
        biases.append(model.score(x[test], y[test]) - model.score(further_x, further_y))
    return biases


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["groups", "twins"])
    {"groups": groups, "twins": twins}[parser.parse_args().what]()
