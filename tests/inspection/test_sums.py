"""Columns of which the target is a weighted sum are found, and no others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lossreg
from lossreg.data import load
from lossreg.data.origin import Origin
from lossreg.data.raw_objects import from_object
from lossreg.inspection.sums import terms

N = 400


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.gamma(2, 9, (N, 6)).round(2), columns=list("abcdef"))
    return frame.assign(kind=rng.choice(["x", "y"], N), gaps=frame.a.where(frame.b > 5))


def found(frame, y):
    return terms(load(from_object(frame.assign(y=y), Origin("rows", "rows", "y")), task="regression"))


def test_a_sum_is_found_with_its_terms_alone(rows):
    assert found(rows, rows.b + rows.d) == ["b", "d"]
    assert found(rows, (1.19 * rows.c - 2 * rows.e + rows.f + 7).round(2)) == ["c", "e", "f"]


def test_what_is_nearly_a_sum_or_a_sum_of_all_is_none(rows):
    noise = np.random.default_rng(1).normal(size=N)
    assert found(rows, rows.b + rows.d + noise / 2) == []
    assert found(rows, rows[list("abcdef")].sum(axis=1)) == []  # an index of all, or a made-up table
    assert found(rows, rows.b * rows.d) == []
    assert found(rows.assign(huge=rows.a * 1e300, tiny=rows.a * 1e-300), rows.b + noise) == []
    assert found(rows.head(30), rows.b.head(30) + noise[:30]) == []  # as few rows as columns fit anything
    assert terms(load(from_object(rows.assign(y=rows.kind), Origin("rows", "rows", "y")))) == []


def test_init_proposes_to_leave_the_terms_out(rows):
    seen = lossreg.init(rows.assign(y=rows.b + rows.d), "y")
    assert '# drop = ["b", "d"]  # if known only after the target\n' in seen.text
    assert any(warning.startswith("b, d: the target is a sum of these") for warning in seen.warnings)
    assert seen.to_json()["terms"] == ["b", "d"]
