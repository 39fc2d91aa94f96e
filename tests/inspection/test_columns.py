"""Copies, groups and times, against what pandas counts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lossreg.data.readings import Readings
from lossreg.inspection import columns, likely

N = 300
RNG = np.random.default_rng(0)
PERSON = RNG.integers(0, 60, N)
ROWS = pd.DataFrame({
    "a": RNG.normal(size=N),
    "age": RNG.integers(18, 80, 60)[PERSON],
    "income": RNG.normal(size=60)[PERSON],
    "visits": RNG.poisson(4, N),
})  # fmt: skip


def groups(frame):
    return columns.groups(frame, Readings.of(frame))


def test_copies_are_found_whatever_their_type():
    frame = ROWS.assign(b=ROWS.a, whole=ROWS.visits.astype(float), text=ROWS.visits.map(lambda v: f"v{v}"))
    frame = frame.assign(again=frame.text, nearly=ROWS.a.where(np.arange(N) != 7, 0.0), one=1, other=1)
    assert columns.copies(frame) == {"b": "a", "whole": "visits", "again": "text"}


def test_copies_with_gaps():
    gaps = ROWS.a.where(ROWS.a > 0)
    assert columns.copies(ROWS.assign(g=gaps, h=gaps)) == {"h": "g"}


def test_groups_are_known_by_name_or_by_what_their_rows_share():
    assert groups(ROWS.assign(customer_id=PERSON)) == {"customer_id": len(np.unique(PERSON))}
    assert groups(ROWS.assign(code=[f"p{p}" for p in PERSON])) == {"code": len(np.unique(PERSON))}
    assert groups(ROWS) == {}
    assert groups(ROWS.assign(code=RNG.permutation(PERSON))) == {}  # its rows share nothing
    assert groups(ROWS.assign(customer=np.arange(N) % 4)) == {}  # four are no persons
    assert groups(ROWS.assign(customer=RNG.normal(size=N))) == {}


def test_times_are_dates_and_numbers_in_order_that_are_called_so():
    frame = ROWS.assign(when=pd.date_range("2024-01-01", periods=N).astype(str), week=np.sort(RNG.integers(0, 40, N)))
    frame = frame.assign(year=RNG.integers(2000, 2020, N), sorted=np.arange(N))
    assert set(columns.times(frame, Readings.of(frame))) == {"when", "week"}


def test_likely_targets_are_called_so_or_stand_last():
    frame = ROWS.assign(id=np.arange(N), name=[f"n{i}" for i in range(N)], one=1)
    assert likely.targets(frame.assign(churned=PERSON % 2))[0] == "churned"
    assert likely.targets(frame.assign(zz=PERSON % 2))[0] == "zz"
    found = likely.targets(frame)
    assert not {"id", "name", "one"} & set(found)
    assert likely.describe(ROWS.visits, "visits") == f"{ROWS.visits.nunique()} classes"
    assert likely.describe(ROWS.a, "a") == "numbers"
