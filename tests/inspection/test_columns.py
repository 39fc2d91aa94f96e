"""Copies, groups and times, against what pandas counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from inputs import INPUTS
from quick import long_but

from lossreg.data import identifiers
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
    assert groups(ROWS.assign(individual=PERSON)) == {"individual": len(np.unique(PERSON))}
    assert groups(ROWS.assign(code=[f"p{p}" for p in PERSON])) == {"code": len(np.unique(PERSON))}
    assert groups(ROWS) == {}
    assert groups(ROWS.assign(code=RNG.permutation(PERSON))) == {}  # its rows share nothing
    assert groups(ROWS.assign(customer=np.arange(N) % 4)) == {}  # four are no persons
    assert groups(ROWS.assign(customer=RNG.normal(size=N))) == {}
    assert groups(ROWS.assign(color_id=RNG.permutation(PERSON))) == {}  # a code of a kind


@pytest.mark.parametrize("name", ["cust id", "Customer ID", "cust.nr", "order_id", "id", "Kundennr", "SubjectId"])
def test_groups_under_names_with_blanks_and_of_identifiers_that_repeat(name):
    assert groups(ROWS.assign(**{name: RNG.permutation(PERSON)})) == {name: len(np.unique(PERSON))}


@pytest.mark.parametrize(
    "name",
    [
        "driver_age", "vehicleAge", "customer age", "age_of_driver", "patient_visits", "employee_salary_k",
        "store_rating", "session_length", "customer_type", "avg_per_user", "household_size",
    ],
)  # fmt: skip
def test_measures_of_persons_are_no_groups(name):
    assert groups(ROWS.assign(**{name: RNG.permutation(PERSON)})) == {}


@pytest.mark.parametrize("name", ["customer_name", "patient no", "id_client", "customer2", "storeKey", "main user"])
def test_persons_and_their_numbers_are_groups(name):
    assert groups(ROWS.assign(**{name: RNG.permutation(PERSON)})) == {name: len(np.unique(PERSON))}


@pytest.mark.parametrize(
    "words", [("train", "test"), ("Training", "VAL", "Test"), ("train", "validation"), (" trn", "dev ", "holdout")]
)
def test_a_column_of_the_parts_is_known_by_its_words(words):
    part = np.array(words)[RNG.integers(0, len(words), N)]
    [(name, rows)] = columns.splits(ROWS.assign(part=part, one="train", word="left")).items()
    assert name == "part"
    assert list(rows.values()) == [int((part == word).sum()) for word in words]
    assert columns.splits(ROWS.assign(part=np.where(np.arange(N) == 7, "other", part))) == {}
    assert columns.splits(ROWS.assign(part=np.where(part == words[0], words[1], part))) == {}  # no training rows


def test_times_are_dates_and_numbers_in_order_that_are_called_so():
    frame = ROWS.assign(when=pd.date_range("2024-01-01", periods=N).astype(str), week=np.sort(RNG.integers(0, 40, N)))
    frame = frame.assign(year=RNG.integers(2000, 2020, N), sorted=np.arange(N))
    assert set(columns.times(frame, Readings.of(frame))) == {"when", "week"}


def test_times_are_texts_such_as_weeks_and_quarters_too():
    week = RNG.integers(1, 53, N)
    frame = ROWS.assign(kw=[f"2024-W{w:02}" for w in week], quarter=[f"{1990 + w}Q{1 + w % 4}" for w in week])
    frame = frame.assign(part=[f"24-W{w:02}" for w in week], few=[f"2024Q{1 + w % 4}" for w in week])
    frame.loc[::7, "quarter"] = None
    assert set(columns.times(frame, Readings.of(frame))) == {"kw", "quarter"}


def test_likely_targets_are_called_so_or_stand_last():
    frame = ROWS.assign(id=np.arange(N), name=[f"n{i}" for i in range(N)], one=1)
    assert likely.targets(frame.assign(churned=PERSON % 2))[0] == "churned"
    assert likely.targets(frame.assign(zz=PERSON % 2))[0] == "zz"
    found = likely.targets(frame)
    assert not {"id", "name", "one"} & set(found)
    assert likely.describe(ROWS.visits, "visits") == f"{ROWS.visits.nunique()} classes"
    assert likely.describe(ROWS.a, "a") == "numbers"


def test_a_likely_target_of_text_is_described_as_it_would_be_read():
    number = np.arange(3000)
    for text, kind in {"{:,} %": "numbers", "2024-01-{:02}": "", "k{}": "1,500 classes"}.items():
        column = pd.Series([text.format(value % (28 if "-" in text else 1500) + 1) for value in number])
        assert likely.describe(column, "y") == kind


@pytest.mark.parametrize(
    "given",
    long_but(
        {one.name for one in INPUTS} - {"docstrings"}, [one for one in INPUTS if one.there and one.name != "large"]
    ),
)
def test_no_measurement_of_real_tables_is_asked_about_as_an_identifier(given):
    frame = given.frame()
    features = frame.drop(columns=[given.target] if isinstance(given.target, str) else list(given.target))
    assert identifiers.shuffled(features, {}) == []


def test_individuals_of_a_survey_are_a_group():
    frame = next((one.frame() for one in INPUTS if one.name == "statsmodels_modechoice" and one.there), None)
    if frame is not None:
        assert groups(frame) == {"individual": 210}
