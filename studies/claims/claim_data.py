"""Data of the claims: made from a seed, with test rows of their own that are never spoilt."""

from __future__ import annotations

import numpy as np
from sklearn import datasets

Rows = tuple[np.ndarray, np.ndarray]
CLASSES, COMMONEST = 5, 800


def long_tailed(ratio: float, seed: int) -> tuple[Rows, Rows]:
    """Return five classes, the commonest with so many times as many rows as the rarest; test rows are balanced."""
    x, y = datasets.make_classification(
        24_000, 20, n_informative=8, n_redundant=4, n_classes=CLASSES, n_clusters_per_class=2, class_sep=1.2,
        flip_y=0.0, random_state=seed,
    )  # fmt: skip
    taken, tested = [], []
    for label in range(CLASSES):
        rows = np.flatnonzero(y == label)
        tested.append(rows[:600])
        taken.append(rows[600 : 600 + round(COMMONEST * ratio ** (-label / (CLASSES - 1)))])
    return tuple((x[rows], y[rows]) for rows in map(np.concatenate, (taken, tested)))  # type: ignore[return-value]


def imbalanced_10(seed: int = 0) -> tuple[Rows, Rows]:
    """Return long-tailed classes, 10 to 1."""
    return long_tailed(10, seed)


def imbalanced_50(seed: int = 0) -> tuple[Rows, Rows]:
    """Return long-tailed classes, 50 to 1."""
    return long_tailed(50, seed)


def imbalanced_100(seed: int = 0) -> tuple[Rows, Rows]:
    """Return long-tailed classes, 100 to 1."""
    return long_tailed(100, seed)


def slipped(share: float, seed: int) -> tuple[Rows, Rows]:
    """Return Friedman's first problem, of whose training targets a share is ten times too large."""
    x, y = datasets.make_friedman1(4200, 10, noise=1.0, random_state=seed)
    rng, train = np.random.default_rng(seed), y[:1200].copy()
    train[rng.choice(len(train), round(share * len(train)), replace=False)] *= 10
    return (x[:1200], train), (x[1200:], y[1200:])


def outliers_5(seed: int = 0) -> tuple[Rows, Rows]:
    """Return targets of which 5% are ten times too large."""
    return slipped(0.05, seed)


def outliers_20(seed: int = 0) -> tuple[Rows, Rows]:
    """Return targets of which 20% are ten times too large."""
    return slipped(0.2, seed)


def counted(zeros: float, shape: float, seed: int) -> tuple[Rows, Rows]:
    """Return negative binomial counts of which a share is replaced by 0; shape: small where they scatter much."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(5500, 8))
    mean = np.exp(0.8 + 0.6 * x[:, 0] - 0.4 * x[:, 1] + 0.4 * x[:, 2] * x[:, 3])
    y = rng.poisson(rng.gamma(shape, mean / shape)).astype(np.float64)
    y[rng.random(len(y)) < zeros] = 0
    return (x[:1500], y[:1500]), (x[1500:], y[1500:])


def zero_counts(seed: int = 0) -> tuple[Rows, Rows]:
    """Return counts of which 60% are replaced by 0."""
    return counted(zeros=0.6, shape=1.5, seed=seed)
