"""Random mistakes in study documents, the same ones in every run."""

from __future__ import annotations

import copy
import datetime
import math
from pathlib import Path

VALUES = (
    None, True, False, 0, 1, -1, 2**31, 10**30, 10**400, -(10**400), 0.0, -0.0, 0.5, 1.0, 1e-320, 1e308, math.inf,
    -math.inf, math.nan, "", " ", "x", "search", "default", "none", "auto", "\0", "\x1b[31m", "\ud800", "é" * 9,
    "n" * 5000,
    "a.py:f", ":", "../..", b"bytes", [], [[]], {}, (), [0], [None], ["a", "a"], [math.nan], [10**400], (1, 2),
    {"low": 0},
    {"low": 0.0, "high": 1.0}, {"low": 1, "high": 0}, {"low": "a", "high": "b"}, {"low": None, "high": 1},
    {"low": math.nan, "high": 1.0}, {"low": 0, "high": 10**400}, {"choices": []}, {"choices": [1, "a", None, True]},
    {"choices": [[1], [2]]}, {"choices": {"a": 1}}, {"choices": 3}, {"choices": [{}]}, {"name": "sgd"}, {"name": 3},
    {"name": None}, {"": ""}, {1: 2}, {None: 1}, {(1, 2): 3}, {"patience": 3}, {1, 2}, 1 + 2j, Path("x"),
    datetime.date(2020, 1, 1),
    datetime.time(12), range(3), object, len,
)  # fmt: skip


def paths(value, path=()):
    """The places of a document, its sections and their keys."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*path, key))


def mutated(document, rng, known):
    """A copy of a document with one to three mistakes: values, keys, what is left out, what stands elsewhere."""
    document = copy.deepcopy(document)
    for _ in range(rng.randint(1, 3)):
        *parents, key = rng.choice([path for path in paths(document) if path])
        table = document
        for parent in parents:
            table = table[parent]
        kind = rng.randrange(5)
        if kind == 0:
            del table[key]
        elif kind == 1:
            table[rng.choice(known)] = table.pop(key)
        elif kind == 2:
            table[rng.choice((*known, "", "x", "\0", 3))] = copy.deepcopy(rng.choice(VALUES))
        else:
            table[key] = copy.deepcopy(rng.choice(VALUES))
    return document


def scrambled(text, rng):
    """A copy of a text with one to three mistakes of characters and lines."""
    for _ in range(rng.randint(1, 3)):
        at, to = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
        kind = rng.randrange(4)
        if kind == 0:
            text = text[:at] + text[min(to, at + 20) :]
        elif kind == 1:
            text = text[:at] + rng.choice("[]{}=\"'#.,\n\0\x1b-+e_0é") + text[at:]
        elif kind == 2:
            text = text[:at] + text[at : at + 30] + text[at:]
        else:
            text = text[:at] + text[to:] + text[at:to]
    return text
