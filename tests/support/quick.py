"""The selection of `make test` from `make test-all`: the quick checks, and one loss per kind of target or family."""

import pytest

import lossreg
from lossreg.conformance import CHECKS

# tenths of a second each
SLOW = {"descent", "finite", "fuzz", "gradient", "graph", "lanes", "minimum", "optimum", "precision", "saving"}
QUICK = tuple(name for name in CHECKS if name not in SLOW)
# of losses of several classes a second each; test_zoo.py has very wrong samples and soft labels of every loss
SLOW_ON_CLASSES = {"finite", "confidently_wrong", "gradient", "permutation", "soft_labels"}
OF_CLASSES = ("onehot", "multihot")


def first_of_each(kind):
    """The names of the first loss of each kind."""
    return {spec.name for spec in {kind(spec): spec for spec in reversed(lossreg.losses())}.values()}


ONE_PER_TARGET = first_of_each(lambda spec: spec.target)
ONE_PER_FAMILY = first_of_each(lambda spec: (spec.target, spec.function.__module__))


def quick_checks(spec):
    """The names of the checks of a loss in `make test`."""
    if spec.target in OF_CLASSES and spec.name not in ONE_PER_FAMILY:
        return set(QUICK) - SLOW_ON_CLASSES
    return {*QUICK, *SLOW_ON_CLASSES}


def long_but(kept, values):
    """The values as parameters of a test, long but for those whose names are kept."""
    names = [getattr(value, "name", value) for value in values]
    marks = [() if name in kept else pytest.mark.long for name in names]
    return [pytest.param(value, id=name, marks=mark) for value, name, mark in zip(values, names, marks, strict=True)]
