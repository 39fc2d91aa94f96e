"""The selection of `make test` from `make test-all`: the quick checks, and one loss per kind of target."""

import pytest

import lossreg
from lossreg.conformance import CHECKS

# tenths of a second each
SLOW = {"descent", "finite", "fuzz", "gradient", "graph", "lanes", "minimum", "optimum", "precision", "saving"}
QUICK = tuple(name for name in CHECKS if name not in SLOW)
ONE_PER_TARGET = {spec.name for spec in {spec.target: spec for spec in reversed(lossreg.losses())}.values()}


def long_but(kept, values):
    """The values as parameters of a test, long but for those whose names are kept."""
    names = [getattr(value, "name", value) for value in values]
    marks = [() if name in kept else pytest.mark.long for name in names]
    return [pytest.param(value, id=name, marks=mark) for value, name, mark in zip(values, names, marks, strict=True)]
