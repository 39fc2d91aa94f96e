"""Columns that a metric takes: how their values are read, and that they are the same data whoever takes them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lossreg import data
from lossreg.contract.data_options import Options
from lossreg.errors import InputError

N = 60
RNG = np.random.default_rng(0)
DAYS = [f"{day:02d}/{month:02d}/2024" for day in range(1, 13) for month in range(1, 6)]
TABLE = pd.DataFrame({
    "x": np.arange(N), "amount": [f"{value}" for value in RNG.random(N)], "when": RNG.permutation(DAYS),
    "code": [f"{value}" for value in range(10, 10 + N)], "y": ["a", "b"] * (N // 2),
})  # fmt: skip


def loaded(rows: pd.DataFrame = TABLE, *beside: str, **keys: Any) -> data.Dataset:
    return data.load("data=", given=rows, target="y", beside=beside, **keys)


def taken(rows: pd.DataFrame, name: str, kind: str) -> Any:
    """The values that a metric gets, in the order of the rows."""
    dataset = loaded(rows, name, "x", options=Options(columns={name: kind}))
    scored = np.concatenate([part.scored for part in (dataset.train, dataset.validation, dataset.test)])
    return scored[name][np.argsort(scored["x"])]


def test_a_metric_gets_a_column_as_the_kind_that_the_study_names() -> None:
    words = TABLE.assign(amount=["one", "two", *TABLE.amount[2:50], *["three"] * 10])
    for kind in ("number", "drop"):
        assert taken(TABLE, "amount", kind).tolist() == TABLE.amount.astype(float).tolist()
    with pytest.raises(InputError, match=r"takes 'amount': 12 of 60 rows have none, the first in rows 1, 2.*\('one'\)"):
        taken(words, "amount", "number")
    assert taken(words, "amount", "drop").tolist() == words.amount.tolist()
    assert taken(TABLE, "code", "category").tolist() == TABLE.code.tolist()
    for kind, form in {"date:dmy": "%d/%m/%Y", "date:mdy": "%m/%d/%Y"}.items():
        days = [dt.datetime.strptime(text, form).toordinal() - dt.date(1970, 1, 1).toordinal() for text in TABLE.when]
        assert taken(TABLE, "when", kind).tolist() == days
    with pytest.raises(InputError, match="column y2: is to be a number, and no value is one"):
        taken(TABLE.assign(y2="word"), "y2", "number")


def test_a_column_that_is_data_anyway_is_the_same_data_where_a_metric_takes_it() -> None:
    plain, kept = {"drop": ["code"]}, {"drop": ["code"], "group": "when"}
    assert loaded(TABLE, "x", "amount", **plain).digest == loaded(TABLE, **plain).digest
    assert loaded(TABLE, "when", **kept).digest == loaded(TABLE, **kept).digest
    other = TABLE.assign(code=TABLE.code[::-1].to_numpy())
    assert loaded(TABLE, **plain).digest == loaded(other, **plain).digest
    assert loaded(TABLE, "code", **plain).digest != loaded(other, "code", **plain).digest
