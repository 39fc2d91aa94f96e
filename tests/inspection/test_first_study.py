"""`init`: what it sees, against pandas and NumPy, and the study file, which runs as it is."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from decimal import Decimal
from pathlib import Path

import commands
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import lossreg
from lossreg import InputError
from lossreg.cli.inspecting import page
from lossreg.config import study as studies
from lossreg.config.schema import Data
from lossreg.contract.data_options import Options
from lossreg.contract.targets import TASKS
from lossreg.data import load
from lossreg.data.origin import Origin
from lossreg.data.raw_objects import from_object
from lossreg.inspection import recommendation, warnings
from lossreg.inspection.target import Numbers
from lossreg.metrics import catalogue
from lossreg.registry import registry
from lossreg.search import study_data, study_losses, study_metrics

N = 400


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def command(monkeypatch, capfd):
    return commands.runner(monkeypatch, capfd)


def table(seed=0):
    rng = np.random.default_rng(seed)
    customer = rng.integers(0, 80, N)
    frame = pd.DataFrame({
        "ticket_id": rng.permutation(N) + 7, "customer": customer, "age": rng.integers(18, 80, 80)[customer],
        "city": rng.choice(["Ulm", "Köln", "Bonn"], N), "spent": rng.gamma(2, 50, N).round(2),
        "since": pd.date_range("2020-01-01", periods=N).astype(str), "one": 1,
    })  # fmt: skip
    frame["spent_again"] = frame.spent
    frame.loc[rng.random(N) < 0.1, "age"] = np.nan
    return frame.assign(left=np.where(rng.random(N) < 0.06, "yes", "no"))


def prepared(text, folder=Path()):
    """The study of a text, resolved as far as a dry run resolves it before a model is built."""
    (folder / "written.toml").write_text(text, encoding="utf-8")
    spec = studies.load(folder / "written.toml")
    dataset, _ = study_data.load_data(spec)
    metric, _ = study_metrics.choose_metric(spec, dataset)
    candidates, notes = study_losses.choose_losses(spec, registry.default(), dataset, metric, stored={}, missing={})
    return spec, dataset, metric, candidates, notes


def test_what_is_seen_is_what_pandas_counts():
    frame = table()
    frame.to_csv("churn.csv", index=False)
    seen = lossreg.init("churn.csv", "left").to_json()
    assert seen["classes"] == frame.left.value_counts().to_dict()
    assert seen["positive"] == "yes"
    assert seen["missing"] == {"age": frame.age.isna().sum()}
    assert seen["constant"] == ["one"]
    assert seen["copies"] == {"spent_again": "spent"}
    assert seen["identifiers"] == ["ticket_id"]
    assert seen["groups"] == {"customer": frame.customer.nunique()}
    assert seen["times"] == ["since"]
    assert seen["betraying"] == {}
    assert seen["repeated_rows"] == 0
    assert sum(seen["data"]["rows"].values()) == N
    assert seen["numbers"] is None
    json.dumps(seen)


def test_the_file_has_the_reasons_and_keys_that_only_the_user_can_decide():
    text = lossreg.init(table(), "left").text
    assert tomllib.loads(text)["data"] == {"source": "data.parquet", "target": "left", "task": "binary"}
    assert 'frame.to_parquet("data.parquet", index=False)' in text
    assert '# drop = ["spent_again"]  # the same as another column\n' in text
    assert '# group = "customer"  # rows of one customer stay together\n' in text
    assert '# time = "since"  # the newest rows are the test rows\n' in text
    assert '# positive = "yes"' in text
    assert max(map(len, text.splitlines())) <= 120


def test_keys_for_what_was_read():
    frame = table().assign(price=[f"{i},5" for i in range(N)])
    frame.loc[:9, "left"] = None
    text = lossreg.init(frame, "left").text
    assert "drop_unlabelled = true  # 10 rows have no label\n" in text
    assert '# decimal = ","  # the decimal mark, as it was read\n' in text
    assert '# columns = { "since" = "date", "price" = "number" }' in text


def test_a_column_of_parts_is_offered_as_split():
    frame = table().assign(
        part=np.array(["Train", "Val", "Test"])[np.random.default_rng(5).choice(3, N, p=[0.6, 0.2, 0.2])]
    )
    frame.to_csv("rows.csv", index=False)
    inspection = lossreg.init("rows.csv", "left")
    counts = frame.part.value_counts()
    said = f"{counts['Train']} train, {counts['Val']} validation, {counts['Test']} test"
    line = f'part: names the part of each row ({said}), and is a feature like any other: data.split = "part"'
    assert line in inspection.warnings
    assert inspection.to_json()["splits"] == {
        "part": {"train": counts["Train"], "validation": counts["Val"], "test": counts["Test"]}
    }
    [key] = [line for line in proposals(inspection.text) if line.startswith("# split")]
    assert key == '# split = "part"  # the column says which rows train, validate and test'
    uncommented = prepared(inspection.text.replace(key, key[2:]))[1]
    assert [len(uncommented.train), len(uncommented.validation), len(uncommented.test)] == [
        counts["Train"], counts["Val"], counts["Test"]
    ]  # fmt: skip
    assert not any(line.startswith("part:") for line in warnings.of(uncommented, catalogue.resolve("f1", "binary")))


@pytest.mark.parametrize("shape", [(N, 3), (N, 4, 4)])
def test_arrays_beside_the_features_are_offered_too(shape):
    rng = np.random.default_rng(6)
    customer, part = rng.integers(0, 60, N), rng.choice(["train", "test"], N, p=[0.8, 0.2])
    beside = {"customer": customer, "part": part, "week": np.arange(N) // 8, "noise": rng.normal(size=N)}
    np.savez("rows.npz", x=rng.normal(size=shape), y=np.arange(N) % 2, **beside)
    inspection = lossreg.init("rows.npz")
    keys = [line.partition("  #")[0] for line in proposals(inspection.text)]
    assert [key for key in keys if "drop" not in key and "positive" not in key and "folds" not in key] == [
        '# split = "part"', '# group = "customer"', '# time = "week"'
    ]  # fmt: skip
    assert any(line.endswith(': data.group = "customer"') for line in inspection.warnings)
    assert any(line.endswith('is used for nothing: data.split = "part"') for line in inspection.warnings)
    for line in proposals(inspection.text):
        assert prepared(inspection.text.replace(line, line[2:]))[1].task == "binary"
    assert prepared(inspection.text)[1].digest == inspection.dataset.digest


@pytest.mark.parametrize("kind", ["M8[D]", "U", "S", "O", "f4", "?", "V4"])
def test_arrays_beside_the_features_of_any_type(kind):
    values = np.arange(N) // 8
    array = np.zeros(N, "V4") if kind == "V4" else values.astype("M8[D]") if kind == "M8[D]" else values.astype(kind)
    inspection = lossreg.init({"x": np.arange(2.0 * N).reshape(N, 2), "y": np.arange(N) % 2, "visitor": array})
    is_group = kind not in ("?", "V4", "M8[D]")
    assert ("# group" in inspection.text) == is_group
    assert ('numpy.savez("data.npz", x=x, y=y, visitor=visitor)' in inspection.text) == (kind not in ("?", "V4"))


@pytest.mark.parametrize("value", [[1, 2], {1}, None, 1j, object(), np.nan])
def test_arrays_of_objects_beside_the_features_are_left_alone(value):
    odd = np.empty(N, object)
    odd[:] = [value] * N
    who = np.arange(N) // 8
    inspection = lossreg.init({"x": np.arange(2.0 * N).reshape(N, 2), "y": np.arange(N) % 2, "odd": odd, "who": who})
    assert inspection.to_json()["groups"] == {}


def test_arrays_of_train_and_test_bring_groups_too():
    rng = np.random.default_rng(7)
    customer, x, y = np.arange(N) // 5, rng.normal(size=(N, 3)), np.arange(N) % 2
    parts = {"train": slice(0, 300), "test": slice(300, N)}
    arrays = {f"{name}_{part}": values[rows] for part, rows in parts.items()
              for name, values in {"x": x, "y": y, "customer": customer}.items()}  # fmt: skip
    np.savez("rows.npz", **arrays)
    inspection = lossreg.init("rows.npz")
    assert '# group = "customer"' in inspection.text
    assert any(line.endswith(': data.group = "customer"') for line in inspection.warnings)
    # a group that stands in both parts is warned of, and cannot be named
    np.savez("rows.npz", **{**arrays, "customer_test": customer[200:300]})
    inspection = lossreg.init("rows.npz")
    assert "# group" not in inspection.text
    assert any(line.endswith("better than they will be for a new one") for line in inspection.warnings)


@pytest.mark.parametrize("key", ["", "group", "time"])
def test_a_key_that_the_study_excludes_is_not_advised(key):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=N), "shop": rng.integers(0, 30, N), "user": rng.integers(0, 60, N),
                          "day": np.arange(N), "y": rng.integers(0, 2, N)})  # fmt: skip
    frame.to_csv("rows.csv", index=False)
    named = {"group": "shop", "time": "day"}.get(key)
    told = warnings.of(load("rows.csv", target="y", **({key: named} if key else {})), catalogue.resolve("f1", "binary"))
    [line] = [line for line in told if line.startswith("user: ")]
    assert ("data.group" in line) == (key == "")


def test_the_noise_of_the_largest_error_has_no_advice_on_folds():
    rng = np.random.default_rng(0)
    dataset = load(from_object((rng.normal(size=(90, 2)), rng.normal(size=90)), Origin("rows", "rows")))
    [line] = warnings.of_noise(dataset, catalogue.resolve("max_error", "regression"))
    assert "the standard error of max_error is" in line
    assert "data.folds" not in line


def awkward():
    """Columns under names and with values for which two rules about identifiers had two answers."""
    rng, frame = np.random.default_rng(3), table()
    return frame.assign(
        t=range(N), nr=range(N), num_inhabitants=rng.permutation(N) * 17, rooms_number=rng.permutation(N) + 3,
        year=range(1600, 1600 + N), customer2=frame.customer, again=frame.since,
    )  # fmt: skip


def test_what_tune_leaves_out_is_said_and_the_rest_only_proposed():
    inspection = lossreg.init(awkward(), "left")
    kept = 't: numbers of the rows, in order, kept; in data.columns "drop" leaves them out.'
    assert kept in inspection.notes
    assert not any(line.startswith(("t:", "nr", "ticket_id", "num_", "year")) for line in inspection.warnings)
    assert sum(line.startswith("rooms_number: all 400 values differ") for line in inspection.warnings) == 1
    assert inspection.to_json()["identifiers"] == ["ticket_id", "nr"]
    lines = inspection.text.splitlines()
    assert '# drop = ["t", "rooms_number", "spent_again", "customer2", "again"]' in {
        line.partition("  #")[0] for line in lines
    }
    assert "drop" not in tomllib.loads(inspection.text)["data"]
    assert [line.partition("  #")[0] for line in lines if line.startswith(("# group", "# time"))] == [
        '# group = "customer"', '# time = "since"', '# time = "year"'
    ]  # fmt: skip


def test_whole_numbers_that_all_differ_are_asked_about():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "ticket": 100_000 + rng.permutation(N), "sampled": rng.choice(2 * N - 20, N, replace=False),
        "salary": rng.choice(90_000, N, replace=False), "rooms": rng.integers(1, 9, N),
        "year": rng.permutation(N) + 1600,
        "square": rng.permutation(N) ** 2, "left": np.arange(N) % 2,
    })  # fmt: skip
    frame.to_csv("rows.csv", index=False)
    inspection = lossreg.init("rows.csv", "left")
    end = "differ, and are whole numbers close together: is it an identifier? New rows have others"
    wanted = [f'{name}: all {N} values {end}: data.drop = ["{name}"]' for name in ("ticket", "sampled")]
    assert [line for line in inspection.warnings if "identifier" in line] == wanted
    assert '# drop = ["ticket", "sampled"]  # whole numbers that differ in every row\n' in inspection.text
    told = load("rows.csv", target="left", options=Options(columns={"ticket": "number", "sampled": "category"}))
    assert not [line for line in warnings.of(told, catalogue.resolve("accuracy", "binary")) if "identifier" in line]


def test_a_test_file_in_which_numbers_begin_again_has_the_same_suspects_as_the_run():
    rng, accuracy = np.random.default_rng(0), catalogue.resolve("accuracy", "binary")
    part = pd.DataFrame(
        {"turn": range(2, 402), "ticket": rng.permutation(N), "a": rng.normal(size=N), "y": [0, 1] * 200}
    )
    part.to_csv("rows.csv", index=False)
    part.head(200).assign(a=0.5, ticket=rng.permutation(200)).to_csv("more.csv", index=False)
    told = warnings.of(load("rows.csv", target="y", test="more.csv"), accuracy)
    said = [line.partition(" differ")[0] for line in told if "identifier" in line]
    assert said == ["turn: the values of each part", "ticket: the values of each part"]


def test_a_date_that_betrays_the_target_is_proposed_to_be_left_out():
    """It looks like a time, and is known only after the target."""
    frame = table().assign(cancelled_on=lambda rows: np.where(rows.left == "yes", rows.since, ""))
    frame.to_csv("rows.csv", index=False)
    inspection = lossreg.init("rows.csv", "left")
    assert inspection.warnings[0].endswith('leave it out: data.drop = ["cancelled_on"]')
    assert '# drop = ["spent_again", "cancelled_on"]' in inspection.text
    keys = [line for line in proposals(inspection.text) if line.startswith("# columns")]
    assert keys == ['# columns = { "since" = "date" }  # how columns are read; say so where a guess is wrong']


def test_of_keys_that_exclude_each_other_the_file_says_which_to_take():
    text = lossreg.init(table(), "left").text
    assert "# Not both group and time: group if new ones are predicted" in text
    assert "Not both" not in lossreg.init(table().drop(columns="since"), "left").text


@pytest.mark.parametrize("key", ["", "time"])
def test_with_times_a_likely_group_can_be_dropped(key):
    table().to_csv("rows.csv", index=False)
    told = warnings.of(
        load("rows.csv", target="left", time="since" if key else None), catalogue.resolve("f1", "binary")
    )
    [line] = [line for line in told if line.startswith("customer: ")]
    assert line.endswith(': data.drop = ["customer"]' if key else ': data.group = "customer"')


def test_the_file_says_what_its_comments_are_and_what_the_task_follows_from():
    lines = lossreg.init(table(), "left").text.splitlines()
    assert "remove their #" in lines[1]
    assert 'task = "binary"  # text with 2 distinct values' in lines


@pytest.mark.parametrize("change", ["", "unlabelled", "twice"])
def test_init_reports_what_the_written_study_loads(change):
    frame = awkward()
    if change == "unlabelled":
        frame.loc[[0, 5, 9], "left"] = None
    if change == "twice":
        frame = pd.concat([frame, frame.head(10)], ignore_index=True)
    frame.to_csv("rows.csv", index=False)
    inspection = lossreg.init("rows.csv", "left")
    dataset = prepared(inspection.text)[1]
    assert dataset.digest == inspection.dataset.digest
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(dataset, part).y, getattr(inspection.dataset, part).y)
        assert np.array_equal(getattr(dataset, part).x, getattr(inspection.dataset, part).x, equal_nan=True)
    assert inspection.to_json()["repeated_rows"] == frame.duplicated(keep=False).sum() == 20 * (change == "twice")
    assert any("20 of 410 rows occur more than once" in note for note in inspection.notes) == (change == "twice")


def proposals(text):
    return [line for line in text.splitlines() if any(line.startswith(f"# {key} = ") for key in Data.model_fields)]


@pytest.mark.parametrize("gaps", [False, pytest.param(True, marks=pytest.mark.long)])
def test_each_proposed_key_is_taken(gaps):
    frame = awkward().assign(price=[f"{i},5" for i in range(N)], known=lambda rows: rows.left + "!")
    if gaps:
        frame.loc[::50, ["since", "again", "customer", "customer2"]] = None
    frame.to_csv("rows.csv", index=False)
    text = lossreg.init("rows.csv", "left").text
    keys = [line.split()[1] for line in proposals(text)]
    wanted = {"drop", "positive", "decimal", "columns", "folds", "time"} | (set() if gaps else {"group"})
    assert set(keys) == wanted
    for line in proposals(text):
        assert prepared(text.replace(line, line[2:]))[1].task == "binary"


@pytest.mark.parametrize("way", ["file", "time", "few groups", "test file"])
def test_folds_are_advised_only_where_they_score_every_row(way):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=250), "when": range(250), "y": np.arange(250) % 2})
    frame["shop"] = rng.integers(0, 5, 250)
    frame.to_csv("rows.csv", index=False)
    frame.head(40).assign(a=lambda rows: rows.a + 9).to_csv("more.csv", index=False)
    cut = {"file": {"validation": "more.csv"}, "time": {"time": "when"}, "few groups": {"group": "shop"},
           "test file": {"test": "more.csv"}}[way]  # fmt: skip
    line = warnings.of_noise(load("rows.csv", target="y", **cut), catalogue.resolve("accuracy", "binary"))[0]
    assert "may be chance" in line
    assert ("data.folds" in line) == (way == "test file")


def test_a_kind_that_the_study_says_silences_the_question_on_groups():
    rng, accuracy = np.random.default_rng(0), catalogue.resolve("accuracy", "binary")
    frame = pd.DataFrame({"a": rng.normal(size=N), "user": rng.integers(0, 60, N), "y": rng.integers(0, 2, N)})
    frame.to_csv("rows.csv", index=False)
    for columns, number in [({}, 1), ({"user": "number"}, 0)]:
        told = warnings.of(load("rows.csv", target="y", options=Options(columns=columns)), accuracy)
        assert sum(line.startswith("user: ") for line in told) == number


def test_few_groups_are_noise_and_the_remedy_for_groups_is_named():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=6000), "customer": np.arange(6000) % 60, "y": rng.integers(0, 2, 6000)})
    frame.to_csv("rows.csv", index=False)
    accuracy = catalogue.resolve("accuracy", "binary")
    [line] = warnings.of(load("rows.csv", target="y"), accuracy)
    assert line.endswith(': data.group = "customer"')
    [line] = warnings.of(load("rows.csv", target="y", group="customer"), accuracy)
    assert re.match(r"validation has [\d,]+ rows of (9|10) groups, (9|10) of these groups have rows of class ", line)
    assert "may be chance" in line


@pytest.mark.parametrize("way", ["group", "time"])
def test_groups_and_times_of_a_class_are_counted(way):
    """Each of 60 weeks has 5 rows of one class; every fifth is of the rare one."""
    week = np.arange(300) // 5
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=300), "week": week, "y": 1 * (week % 5 == 0)})
    frame.to_csv("rows.csv", index=False)
    dataset = load("rows.csv", target="y", **{way: "week"})
    [line] = warnings.of_noise(dataset, catalogue.resolve("f1_macro", "binary"))
    rows, units = dataset.validation.y, np.unique(dataset.validation.units)
    rare = len(np.unique(dataset.validation.units[rows == 1]))
    start = "validation" if way == "group" else "validation, the newest rows before the test,"
    of = f"{len(units)} {way}s, {rare} of these {way}s have rows of class 1: the standard error "
    assert line.startswith(f"{start} has {len(rows)} rows of {of}")
    assert 1 < rare < len(units) < len(rows) / 4


def test_the_same_data_give_the_same_file():
    assert lossreg.init(table(), "left").text == lossreg.init(table(), "left").text


def targets():
    rng = np.random.default_rng(1)
    rate = np.exp(rng.normal(size=N))
    return {
        "two classes": (rng.choice(["a", "b"], N), "binary", "accuracy"),
        "a rare class": (np.where(np.arange(N) % 20 == 0, "rare", "usual"), "binary", "f1_macro"),
        "classes": (rng.integers(0, 4, N), "multiclass", "accuracy"),
        "unequal classes": (rng.choice(["a", "b", "c"], N, p=[0.8, 0.15, 0.05]), "multiclass", "f1_macro"),
        "normal numbers": (rng.normal(size=N), "regression", "r2"),
        "numbers with outliers": (np.where(np.arange(N) % 50 == 0, 90.0, rng.normal(size=N)), "regression",
                                  "mean_absolute_error"),
        "sizes": (rng.gamma(0.5, 10, N), "positive", None),
        "counts": (rng.poisson(30 * rate), "count", None),
        "small counts": (rng.poisson(2 * rate).clip(0, 15), "count", None),
        "claims": (np.where(rng.random(N) < 0.7, 0.0, rng.gamma(2, 100, N)), "positive", "r2"),
        "whole sums, of which many are 0": (np.where(rng.random(N) < 0.3, 0, rng.gamma(2, 400, N).round()), "positive",
                                            None),
        "round sums": (rng.gamma(2, 300, N).round() * 10 + 90, "positive", None),
        "large sums": (rng.gamma(2, 20_000, N).round() + 9_000, "positive", None),
        "a count that is there once": (np.r_[rng.poisson(1, N - 1), 40], "count", None),
        "codes of classes": (rng.choice([0, 1, 2, 3], N, p=[0.7, 0.1, 0.1, 0.1]), "multiclass", "f1_macro"),
    }  # fmt: skip


@pytest.mark.parametrize("name", targets())
def test_task_and_metric_fit_the_target_and_the_file_is_a_sound_study(name, tmp_path):
    y, task, metric = targets()[name]
    pd.DataFrame({"a": np.random.default_rng(2).normal(size=N), "y": y}).to_csv("rows.csv", index=False)
    inspection = lossreg.init("rows.csv", "y")
    spec, dataset, chosen, candidates, notes = prepared(inspection.text, tmp_path)
    assert (inspection.task.value, dataset.task) == (task, task)
    assert metric in (None, inspection.metric.value)
    assert chosen.name == inspection.metric.value
    assert set(candidates) == set(inspection.losses)  # the baseline is among them, and none is left out
    assert not notes
    assert spec.search.trials >= 8 * len(candidates)
    assert inspection.dataset.digest == dataset.digest
    assert list(inspection.dataset.validation.y) == list(dataset.validation.y)


def claims():
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"age": rng.integers(18, 80, N), "Exposure": rng.uniform(0.1, 1, N)})
    return frame.assign(ClaimNb=rng.choice(4, N, p=[0.7, 0.2, 0.07, 0.03]))


@pytest.mark.parametrize("name", ["Exposure", "days_insured"])
def test_an_exposure_is_proposed_with_the_losses_that_go_with_it(name, tmp_path):
    claims().rename(columns={"Exposure": name}).to_csv("rows.csv", index=False)
    text = lossreg.init("rows.csv", "ClaimNb").text
    [key] = [line for line in proposals(text) if line.startswith("# exposure")]
    with pytest.raises(InputError) as refused:
        prepared(text.replace(key, key[2:]))
    blocks = re.split(r"(?m)^(?=\[)", text.replace(key, key[2:]))
    unfit = [block for block in blocks if "not with exposure" in block and block.startswith("[losses.")]
    names = [re.match(r"\[losses\.(\w+)\]", block)[1] for block in unfit]
    assert "mean_squared_error" in names
    assert all(f"losses.{name}: {name} has no log link" in str(refused.value) for name in names)
    assert blocks[-len(unfit) :] == unfit  # those that go with it come first
    spec, dataset, _, candidates, notes = prepared("".join(block for block in blocks if block not in unfit))
    assert dataset.exposure == name
    assert set(candidates) == set(spec.losses) == {"poisson", "negative_binomial", "tweedie"}
    assert notes == []


@pytest.mark.parametrize("name", ["ClaimNb", "n_visits", "claims", "y", "num"])
def test_small_numbers_of_events_are_counts_by_name_and_otherwise_offered_as_such(name):
    frame = claims().rename(columns={"ClaimNb": name})
    inspection = lossreg.init(frame, name)
    is_called = name not in ("y", "num")
    assert inspection.task.value == ("count" if is_called else "multiclass")
    assert ('# task = "count"' in inspection.text) == (not is_called)
    frame.to_parquet("data.parquet")
    blocks = re.split(r"(?m)^(?=\[)", re.sub(r"(?m)^(task|metric) = .*$", "", inspection.text))
    text = "".join(block for block in blocks if not block.startswith("[losses."))
    text = text.replace('# task = "count"', 'task = "count"') if not is_called else text
    assert prepared(text)[1].task == ("multiclass" if is_called else "count")


def test_balanced_classes_of_numbers_are_not_offered_as_counts():
    digits = pd.DataFrame({"a": np.arange(N) % 7, "y": np.arange(N) % 5})
    assert '# task = "count"' not in lossreg.init(digits, "y").text


def test_the_reason_for_accuracy_fits_the_rows():
    frame = pd.DataFrame({"a": np.arange(N) % 7, "y": np.where(np.arange(N) % 16 < 5, "yes", "no")})
    seen = lossreg.init(frame, "y")
    assert seen.metric.reason == "no class is rare: the commonest has 2.2 times as many rows as the rarest"
    assert seen.text.count("2.2 times") == 1
    assert f"about {64 // len(seen.losses)} for each of {len(seen.losses)} losses" in seen.text


def test_losses_follow_from_the_target():
    def losses(name):
        found = lossreg.init(pd.DataFrame({"a": np.arange(N) % 7, "y": targets()[name][0]}), "y")
        return found.losses, found.left_out

    rare, none_out = losses("a rare class")
    assert not none_out
    assert "rare classes" in rare["logit_adjusted_ce"]
    assert set(losses("two classes")[1]) == {"class_balanced_ce", "logit_adjusted_ce"}
    assert "tweedie" in losses("claims")[0]
    assert "tweedie" not in losses("normal numbers")[0]
    assert losses("sizes")[1] == {"tweedie": "no value is 0"}
    assert "variance" in losses("counts")[0]["negative_binomial"]
    assert "beyond delta" in losses("numbers with outliers")[0]["huber"]


def test_every_loss_that_is_recommended_is_registered_for_the_task():
    known = registry.default()
    named = {**recommendation.FOR_RARE_CLASSES, **recommendation.FOR_FAR_VALUES, **recommendation.FOR_ZEROS,
             **recommendation.FOR_DISPERSION}  # fmt: skip
    assert all(known.get(name).name == name for name in named)
    assert all(len(known.recommended(task)) for task in TASKS)
    usual = {entry.spec.name for task in TASKS for entry in known.recommended(task)}
    assert set(named) <= usual


@pytest.mark.parametrize("seed", range(3))
def test_the_distribution_of_numbers_is_that_of_scipy_and_pandas(seed):
    from scipy import stats

    y = np.random.default_rng(seed).gamma(0.7, 3, 500).round(1)
    numbers = Numbers.of(y)
    assert numbers.skewness == pytest.approx(stats.skew(y))
    assert numbers.kurtosis == pytest.approx(stats.kurtosis(y))
    assert numbers.zeros == (y == 0).mean()
    assert numbers.dispersion == pytest.approx(y.var() / y.mean())
    far = np.abs(y - np.median(y)) > 5 * 1.4826 * stats.median_abs_deviation(y)
    assert numbers.far == far.sum()
    squares = (y - np.median(y)) ** 2
    assert numbers.far_share == pytest.approx(squares[far].sum() / squares.sum())


# -------------------------------------------------------------------------------- warnings


def test_a_run_warns_of_what_init_warns_of():
    frame = table().assign(cancelled=lambda rows: np.where(rows.left == "yes", "x", "y"))
    frame.to_csv("churn.csv", index=False)
    inspection = lossreg.init("churn.csv", "left")
    assert inspection.warnings[0].startswith("cancelled alone predicts the target (balanced accuracy 1.000")
    assert any(line.startswith("customer: ") for line in inspection.warnings)
    assert any("the standard error of f1_macro is" in line for line in inspection.warnings)
    shown = Console(width=1000, file=io.StringIO())
    shown.print(page(inspection))
    lines = [line.rstrip() for line in shown.file.getvalue().splitlines()]
    assert {f"note: {line}" for line in inspection.warnings} <= {*lines}, "as a dry run has them"
    _, dataset, metric, *_ = prepared(inspection.text)
    assert [*warnings.of(dataset, metric), *warnings.of_verdict(dataset, metric)] == inspection.warnings
    assert "# folds = 5  # advised, as scores are noisy: " in inspection.text
    few = f"{(frame.left == 'yes').sum()} rows of class 'yes', and a verdict needs at least 30 of each"
    assert few in inspection.warnings[-1]


@pytest.mark.parametrize("folds", [None, 5])
def test_noise_is_said_with_its_rows_and_what_folds_would_do(folds):
    y = np.where(np.arange(250) % 25 == 0, "yes", "no")
    rows = pd.DataFrame({"a": np.random.default_rng(0).normal(size=250), "y": y})
    dataset = load(from_object(rows, Origin("rows", "rows", "y")), folds=folds)
    line = warnings.of_noise(dataset, catalogue.resolve("f1", "binary"))[0]
    validated = [fold.validation for fold in dataset.folds]
    positives = sum(int(part.y.sum()) for part in validated)
    assert line.startswith(f"validation has {sum(map(len, validated))} rows, {positives} of them of class yes: ")
    size = float(line.partition("the standard error of f1 is ")[2].partition(",")[0])
    assert size == pytest.approx(0.3 / positives**0.5, rel=0.15)
    assert ("data.folds = 5" in line) == (folds is None)


def test_columns_of_several_inputs_are_named_with_their_input():
    y = np.arange(120) % 2
    table = pd.DataFrame({"id": range(120), "told": y, "a": np.random.default_rng(0).normal(size=120)})
    dataset = load(from_object(({"t": table, "image": np.ones((120, 4, 4))}, y), Origin("rows", "rows")))
    lines = warnings.of(dataset, catalogue.resolve("accuracy", "binary"))
    assert lines[0].startswith("t.told alone predicts the target")
    assert lines[1] == "t.id: whole numbers that differ in every row, as identifiers do; new rows have others"


@pytest.mark.parametrize("values", [pd.arrays.SparseArray, lambda v: pd.array(v, "Int64"), lambda v: v > 3])
def test_columns_that_are_used_as_they_are_may_be_of_any_numeric_type(values):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=60), "b": values(rng.integers(0, 9, 60)), "y": np.arange(60) % 2})
    dataset = load(from_object(frame.assign(told=frame.y), Origin("rows", "rows", "y")), preprocess="none")
    assert warnings.of(dataset, catalogue.resolve("roc_auc", "binary"))[0].startswith("told alone predicts")


def test_many_rows_are_not_noisy():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=5000), "y": rng.integers(0, 2, 5000)})
    inspection = lossreg.init(frame, "y")
    assert inspection.warnings == []
    assert "# folds = 5  # not needed without a note on noise: " in inspection.text


# -------------------------------------------------------------------------------- sources


def test_paths_in_the_file_start_at_its_folder(tmp_path):
    Path("data").mkdir()
    Path("studies").mkdir()
    table().to_parquet("data/churn.parquet")
    text = lossreg.init("data/churn.parquet", "left", folder="studies").text
    assert tomllib.loads(text)["data"]["source"] == "../data/churn.parquet"
    assert prepared(text, tmp_path / "studies")[1].name == "churn"


def test_arrays_bring_their_labels():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 3)), np.arange(90) % 3
    np.savez("rows.npz", x=x, y=y)
    inspection = lossreg.init("rows.npz")
    assert (inspection.target, inspection.task.value) == (None, "multiclass")
    assert prepared(inspection.text)[1].n_classes == 3
    assert 'numpy.savez("data.npz", x=x, y=y)' in lossreg.init((x, y)).text
    assert "accuracy" in lossreg.init("sklearn:digits").text


def test_functions_several_labels_and_odd_names():
    Path("rows.py").write_text(
        "import numpy as np, pandas as pd\n"
        "def make():\n"
        "    rng = np.random.default_rng(0)\n"
        "    names = ['a\"b', 'c\\\\d', 'é #', 'y1', 'y2']\n"
        "    return pd.DataFrame(rng.integers(0, 2, (200, 5)), columns=names).assign(ticket=rng.permutation(200))\n"
    )
    inspection = lossreg.init("rows.py:make", ["y1", "y2"])
    assert inspection.task.value == "multilabel"
    spec, dataset, *_ = prepared(inspection.text)
    assert spec.data.target == ("y1", "y2")
    assert dataset.classes == ("y1", "y2")
    odd = table().rename(columns={"spent": 'sp"ent\\', "spent_again": "tab\tand\nline"})
    [line] = [line for line in proposals(lossreg.init(odd, "left").text) if line.startswith("# drop")]
    assert tomllib.loads(line[2:])["drop"] == ["tab\tand\nline"]


def odd():
    n, rng = 60, np.random.default_rng(0)
    whole = rng.integers(0, 9, n)
    yield "lists", [[i] for i in range(n)]
    yield "mixed", [*range(30), *"abcdefghijklmnopqrstuvwxyzABCD"]
    yield "decimals", [Decimal(int(i)) / 4 for i in whole]
    yield "durations", pd.to_timedelta(whole, "h")
    yield "periods", pd.period_range("2020-01", periods=n, freq="M")
    yield "intervals", pd.cut(whole, 3)
    yield "ordered", pd.Categorical(whole, ordered=True)
    yield "bytes", [b"a", b"b"] * 30
    yield "nothing", [None] * n
    yield "large", whole * 1e300
    yield "infinite", np.where(whole == 0, np.inf, whole)
    yield "sparse", pd.arrays.SparseArray(whole)
    yield "arrow", pd.array(whole, "int64[pyarrow]")
    yield "nullable", pd.array([None, *whole[1:]], "Int64")
    yield "flags", pd.array([None, *(whole[1:] > 3)], "boolean")
    yield "complex text", [f"{i},5 EUR" for i in whole]


@pytest.mark.parametrize(("name", "values"), odd(), ids=[name for name, _ in odd()])
@pytest.mark.parametrize("target", ["classes", "numbers"])
def test_columns_of_any_kind_are_looked_at(name, values, target):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2 if target == "classes" else rng.normal(size=60)
    inspection = lossreg.init(pd.DataFrame({"a": rng.normal(size=60), name: values, "y": y}), "y")
    json.dumps(inspection.to_json(), default=str)
    assert tomllib.loads(inspection.text)["data"]["target"] == "y"


def test_only_identifiers_are_not_all_left_out():
    ticket = np.random.default_rng(0).permutation(60)
    frame = pd.DataFrame({"ticket_id": ticket, "y": np.arange(60) % 2})
    inspection = lossreg.init(frame, "y")
    assert "drop = " not in inspection.text.replace("data.drop", "")
    assert any("identifiers" in line for line in inspection.warnings)


def test_tables_of_other_libraries_are_written_as_tables():
    pa = pytest.importorskip("pyarrow")
    assert lossreg.init(pa.table(table()), "left").text == lossreg.init(table(), "left").text


# ---------------------------------------------------------------------------- the command


def test_the_command_writes_a_file_that_is_never_overwritten(command):
    table().to_csv("churn.csv", index=False)
    code, out, err = command("init", "churn.csv", "--target", "left")
    assert (code, err) == (0, "")
    assert "wrote churn.toml; next: lossreg tune churn.toml" in out
    rare = table().left.value_counts()["yes"]
    assert f"yes {rare} ({rare / N:.1%})" in out
    is_told = "remove its # to leave these columns out" in " ".join(out.split())
    assert is_told is ("\n# drop = [" in Path("churn.toml").read_text())
    written = Path("churn.toml").read_text()
    assert written == lossreg.init("churn.csv", "left").text
    code, out, err = command("init", "churn.csv", "--target", "left")
    assert (code, out) == (2, "")
    assert err.startswith("Error: churn.toml: already exists. Run it with `lossreg tune churn.toml`")
    assert Path("churn.toml").read_text() == written
    with pytest.raises(InputError, match="already exists"):
        lossreg.init("churn.csv", "left").write("churn.toml")
    Path("my study.toml").write_text("")
    code, out, err = command("init", "churn.csv", "--target", "left", "-o", "my study.toml")
    assert (code, out, Path("my study.toml").read_text()) == (2, "", "")
    assert "Run it with `lossreg tune 'my study.toml'`, or write another one with --out" in err


def test_a_study_file_has_its_name_only_once_it_is_whole(monkeypatch):
    table().to_csv("churn.csv", index=False)
    draft = lossreg.init("churn.csv", "left")

    def cut(number):
        assert not Path("churn.toml").exists()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", cut)
        with pytest.raises(KeyboardInterrupt):
            draft.write("churn.toml")
    assert [path.name for path in Path().iterdir()] == ["churn.csv"]
    assert draft.write("churn.toml").read_text() == draft.text


def test_a_file_without_the_target_is_told_what_may_be_wrong_with_it(command):
    rows = [f"{i / 2},{i % 3},{'ja' if i % 2 else 'nein'}" for i in range(40)]
    Path("title.csv").write_text("\n".join(["Report 2024,,", "a,b,y", *rows]))
    Path("none.csv").write_text("\n".join(rows))
    for name, advice in {
        "title": "if it is a title, remove the lines above the names",
        "none": "holds numbers",
    }.items():
        code, _, err = command("init", f"{name}.csv", "--target", "y")
        assert code == 2
        assert f"{name}.csv: no column 'y'. The first line " in err
        assert advice in err


def test_a_time_or_group_that_is_not_offered_has_the_reason(command):
    frame = table().assign(ended=lambda rows: rows.since)
    frame.loc[::50, ["ended", "customer"]] = None
    frame.loc[1, "ended"] = "2030-01-01"
    frame.to_csv("churn.csv", index=False)
    _, out, _ = command("init", "churn.csv", "--target", "left")
    said = " ".join(out.split())
    assert "may be time since, ended (but has 8 gaps, so it cannot be used)" in said
    assert re.search(r"may be group customer \(\d+ values, but has 8 gaps, so it cannot be used\)", said)


def test_one_json_document(command):
    table().to_csv("churn.csv", index=False)
    code, out, err = command("init", "churn.csv", "--target", "left", "--out", "a.toml", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["written"] == "a.toml"
    assert document["study"] == Path("a.toml").read_text()
    assert document["warnings"] == lossreg.init("churn.csv", "left").warnings


WRONG = {
    "no target": (("churn.csv",), "churn.csv: a table needs --target COLUMN. Likely: left (2 classes)"),
    "misspelt": (("churn.csv", "--target", "leftt"), "no column 'leftt'. Did you mean left? Likely: left (2 classes)"),
    "unknown": (("churn.csv", "--target", "zzzzz"), "no column 'zzzzz'. Likely: left (2 classes)"),
    "no file": (("churm.csv", "--target", "left"), "Error: churm.csv: no such file. Did you mean churn.csv?"),
    "no file at all": (
        ("zzzzz.csv", "--target", "left"),
        "Error: zzzzz.csv: no such file. Relative paths start at the current folder.",
    ),
    "no file of code": (("zzzzz.py:rows",), "zzzzz.py. Relative paths start at the current folder."),
    "no toml": (("churn.csv", "--target", "left", "--out", "a.txt"), "a.txt: must end in .toml"),
    "no folder": (("churn.csv", "--target", "left", "--out", "b/a.toml"), "b: no such folder"),
    "text": (("notes.txt", "--target", "left"), "unsupported file type .txt"),
    "one class": (("churn.csv", "--target", "one"), "churn.csv: one class only (1)"),
    "one text": (("churn.csv", "--target", "same"), "churn.csv: one class only (x)"),
    "dates": (("churn.csv", "--target", "since"), "the target holds dates"),
    "code in safe mode": (("churn.py:rows", "--safe"), "names code, which safe mode does not run"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_message_and_nothing_is_written(case, command):
    table().assign(same="x").to_csv("churn.csv", index=False)
    Path("notes.txt").touch()
    arguments, message = WRONG[case]
    code, out, err = command("init", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not list(Path().rglob("*.toml"))


def test_keras_is_not_imported():
    table().to_csv("churn.csv", index=False)
    script = """
    import contextlib, sys
    from lossreg import cli
    sys.argv = ["lossreg", "init", "churn.csv", "--target", "left"]
    with contextlib.suppress(SystemExit):
        cli.main()
    assert not {"keras", "tensorflow", "jax", "mlflow", "optuna", "matplotlib"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, capture_output=True)
    assert Path("churn.toml").is_file()


@pytest.mark.long
def test_a_written_study_runs_and_its_warnings_stand_in_notes_and_mlflow():
    import mlflow

    table().to_csv("churn.csv", index=False)
    inspection = lossreg.init("churn.csv", "left")
    inspection.write("churn.toml")
    store = ["tracking.uri=sqlite:///mlflow.db", "search.trials=8", "train.epochs=2"]
    result = lossreg.tune("churn.toml", store)
    assert result.best is not None
    assert result.untried == []
    assert any("may be chance" in line for line in inspection.warnings)
    assert set(inspection.warnings) <= set(result.notes)
    client = mlflow.MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db")
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    told = parent.data.tags["mlflow.note.content"].replace("\\", "")
    assert all(f"- {line}" in told for line in inspection.warnings)


def test_an_exposure_of_counts_is_proposed_and_of_others_not():
    rng = np.random.default_rng(4)
    rows = pd.DataFrame({
        "age": rng.integers(18, 80, N), "days_insured": rng.uniform(10, 365, N).round(1), "population": 0, "insured": 1,
        "exposure": rng.uniform(-1, 1, N),
    })  # fmt: skip
    rows["claims"] = rng.poisson(rows.days_insured / 365 * 10 * rng.gamma(0.5, 2, N))
    text = lossreg.init(rows, target="claims").text
    assert re.findall(r"^# exposure = (.*?)  #", text, re.MULTILINE) == ['"days_insured"']
    said = text.replace('# exposure = "days_insured"', 'exposure = "days_insured"').replace("# ", "#")
    assert tomllib.loads(said)["data"]["exposure"] == "days_insured"
    again = lossreg.init(rows.assign(claims=rng.normal(size=N)), target="claims").text
    assert "exposure =" not in again
