"""Columns that alone predict the target are found, and no others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lossreg.data import load
from lossreg.data.origin import Origin
from lossreg.data.raw_objects import from_object
from lossreg.inspection.betrayal import betrayers
from lossreg.inspection.suspects import Suspects

N = 600


def load_raw(frame, target="y", **aside):
    columns = target if isinstance(target, str) else tuple(target)
    return load(from_object(frame, Origin("rows", "rows", columns, aside=aside)))


def found(frame, target="y"):
    return betrayers(load_raw(frame, target))


@pytest.fixture
def rows():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(N, 4)), columns=list("abcd"))
    return frame.assign(y=np.where(frame.a + 0.3 * rng.normal(size=N) > 1.0, "yes", "no"))


def test_good_features_betray_nothing(rows):
    assert found(rows) == {}


LEAKS = {
    "text": lambda y, rng: np.where(y == "yes", "gone", "here"),
    "text of many values": lambda y, rng: [f"{'g' if label == 'yes' else 'h'}{rng.integers(9)}" for label in y],
    "numbers": lambda y, rng: np.where(y == "yes", 5.0, 0.0) + rng.normal(size=len(y)) / 10,
    "bands of numbers": lambda y, rng: np.where(y == "yes", 1.0, rng.choice([0.0, 2.0], len(y))),
    "gaps": lambda y, rng: np.where(y == "yes", rng.normal(size=len(y)), np.nan),
    "dates": lambda y, rng: np.where(y == "yes", "2024-05-01", "2024-06-01"),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_column_that_follows_from_the_class_is_found(rows, leak):
    betraying = found(rows.assign(leak=LEAKS[leak](rows.y.to_numpy(), np.random.default_rng(2))))
    assert list(betraying) == ["leak"]
    assert betraying["leak"] >= 0.99


@pytest.mark.parametrize("wrong", [0.05, 0.5])
def test_a_column_that_is_often_wrong_is_none(rows, wrong):
    rng = np.random.default_rng(3)
    told = np.where(rng.random(N) < wrong, rng.permutation(rows.y), rows.y)
    assert found(rows.assign(told=told)) == {}


def test_rare_classes_count_as_much_as_others(rows):
    """A column that never tells the rare class is right in 97% of the rows, and betrays nothing."""
    rare = rows.assign(y=np.where(np.arange(N) % 33 == 0, "rare", "usual"))
    assert found(rare.assign(constant="usual", nearly=np.where(np.arange(N) % 66 == 0, "rare", "usual"))) == {}
    assert list(found(rare.assign(told=rare.y))) == ["told"]


def test_sixty_classes():
    rng = np.random.default_rng(4)
    y = rng.integers(0, 60, 3000)
    frame = pd.DataFrame({"a": rng.normal(size=3000), "code": y * 7 % 61, "y": [f"k{c}" for c in y]})
    assert list(found(frame)) == ["code"]


@pytest.mark.parametrize("scale", [lambda v: 1.2 * v, np.exp, lambda v: -(v**3)])
def test_a_target_of_numbers_is_betrayed_in_any_monotone_scale(rows, scale):
    rng = np.random.default_rng(5)
    price = rows.a + rows.b
    frame = rows.assign(y=price, other=scale(price), near=price + rng.normal(size=N))
    assert list(found(frame)) == ["other"]


def test_one_of_several_labels_is_betrayed(rows):
    rng = np.random.default_rng(6)
    labels = rows.assign(y1=rng.integers(0, 2, N), y2=rng.integers(0, 2, N)).drop(columns="y")
    assert list(found(labels.assign(leak=labels.y2 * 3), ["y1", "y2"])) == ["leak"]


def test_numbers_of_rows_sorted_by_class():
    y = np.repeat(["no", "yes"], [3000, 1000])
    frame = pd.DataFrame({"a": np.random.default_rng(8).normal(size=4000), "turn": 2 * np.arange(4000), "y": y})
    assert list(found(frame)) == ["turn"]


def test_few_rows_and_images_are_left_alone(rows):
    assert found(rows.head(24).assign(y=["no", "yes"] * 12, told=["no", "yes"] * 12)) == {}
    y = np.arange(60) % 2
    pictures = (np.ones((60, 4, 4)) * y[:, None, None], y)
    assert betrayers(load(from_object(pictures, Origin("rows", "rows")))) == {}


def test_of_very_many_columns_the_one_that_betrays_is_found():
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(200, 500)), np.arange(200) % 2
    x[:, 321] = y + rng.normal(size=200) / 50
    assert list(betrayers(load(from_object((x, y), Origin("rows", "rows"))))) == ["x321"]


def test_the_test_rows_are_not_looked_at(rows):
    told = rows.assign(told=rows.y)
    dataset = load(from_object(told, Origin("rows", "rows", "y")))
    told.loc[dataset.rows.test, "told"] = "other"
    again = load(from_object(told, Origin("rows", "rows", "y")))
    assert list(again.rows.test) == list(dataset.rows.test)
    assert list(betrayers(again)) == ["told"]


def grouped(column="customer", **further):
    """Rows of 60 customers, each of one class; `code` tells customers apart, and nothing of a new one."""
    rng = np.random.default_rng(9)
    customer = rng.integers(0, 60, N)
    told = rng.permutation(np.arange(60) % 2)[customer]
    return pd.DataFrame({
        "a": rng.normal(size=N), "code": [f"c{c}" for c in customer], "size": rng.permutation(60)[customer],
        column: customer, "y": told, **further,
    })  # fmt: skip


def test_rows_of_one_group_are_held_out_together():
    said = load_raw(grouped("x"), group="x")
    assert betrayers(said) == {}
    assert list(betrayers(load_raw(grouped("x").assign(leak=grouped().y * 2), group="x"))) == ["leak"]


def test_rows_of_one_likely_group_are_held_out_together():
    frame = grouped()
    assert "code" in found(frame)  # nobody said that rows depend on each other
    assert Suspects.of(load_raw(frame)).betraying == {}
    assert list(Suspects.of(load_raw(frame.assign(leak=frame.y * 2))).betraying) == ["leak"]
