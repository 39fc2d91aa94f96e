"""Columns of groups and times: how their values are read, and that the same value is the same in every file."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lossreg import data
from lossreg.contract.data_options import Options
from lossreg.data import group_keys
from lossreg.data.preprocessor_file import load_preprocessor, save_preprocessor
from lossreg.errors import DataError, InputError

N = 60
RNG = np.random.default_rng(0)
# no date of these excludes one of the two orders
TEXTS = RNG.permutation([f"{day:02d}/{month:02d}/2024" for day in range(1, 13) for month in range(1, 6)]).tolist()
ORDERS = {"date:dmy": "%d/%m/%Y", "date:mdy": "%m/%d/%Y"}


def table(**columns: Any) -> pd.DataFrame:
    """Rows that bear their number."""
    return pd.DataFrame({"x": np.arange(N), **columns, "y": ["a", "b"] * (N // 2)})


def loaded(rows: Any, *, preprocess: str = "none", said: Options | None = None, **keys: Any) -> data.Dataset:
    return data.load("data=", given=rows, target="y", options=said, preprocess=preprocess, **keys)


def of_test(made: data.Dataset) -> set[int]:
    """The numbers of the test rows."""
    return set(made.test.x[:, 0].astype(int).tolist())


def newest(values: Any, size: int) -> set[int]:
    return set(np.argsort(np.asarray(values), kind="stable")[-size:].tolist())


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("suffix", ["", ".csv", ".parquet"])
def test_the_order_of_day_and_month_is_said_and_can_be_set(tmp_path: Path, kind: str, suffix: str) -> None:
    rows = table(when=TEXTS)
    days = [dt.datetime.strptime(text, ORDERS[kind]).toordinal() for text in TEXTS]
    if suffix == ".csv":
        rows.to_csv(tmp_path / "a.csv", index=False)
    if suffix == ".parquet":
        rows.to_parquet(tmp_path / "a.parquet")
    source = {"source": f"a{suffix}", "base": tmp_path} if suffix else {"source": "data=", "given": rows}
    keys = {"target": "y", "time": "when", "preprocess": "none"}
    made = data.load(**source, **keys, options=Options(columns={"when": kind}))
    assert of_test(made) == newest(days, len(made.test))
    assert any("when: dates" in note and "as data.columns says" in note for note in made.notes)
    guessed = data.load(**source, **keys)
    assert any("month before day is assumed" in note and '"date:dmy" in data.columns' in note for note in guessed.notes)
    assert of_test(guessed) == newest([dt.datetime.strptime(text, "%m/%d/%Y") for text in TEXTS], len(made.test))


@pytest.mark.parametrize("kind", ORDERS)
def test_the_order_of_a_feature_holds_for_new_rows_too(tmp_path: Path, kind: str) -> None:
    made = loaded(table(when=TEXTS), preprocess="standard", said=Options(columns={"when": kind}))
    assert any("when: dates" in note and "as data.columns says" in note for note in made.notes)
    save_preprocessor(made.preprocessor, tmp_path / "p.json")
    fresh = pd.DataFrame({"x": 0.0, "when": ["02/03/2024", "02.03.2024", "2024-03-02", "2024-02-03"]})
    slash, dot, march, february = load_preprocessor(tmp_path / "p.json").transform(fresh)[:, 1]
    assert slash == dot == (march if kind == "date:dmy" else february)
    assert march > february


def test_dates_that_need_another_order_than_is_said_are_counted_or_refused() -> None:
    rows, said = table(when=["13/01/2024", *TEXTS[1:]]), Options(columns={"when": "date:mdy"})
    made = loaded(rows, preprocess="standard", said=said)
    assert any("1 dates ('13/01/2024') are missing for it" in note for note in made.notes)
    with pytest.raises(
        DataError, match=r"1 of 60 values is no time \('13/01/2024' in row 1 of the data\).*month before"
    ):
        loaded(rows, time="when", said=said)


GERMAN = [f"{number:,}".replace(",", ".") for number in RNG.permutation(np.arange(900, 900 + 5 * N, 5))]
NUMBERS = [int(text.replace(".", "")) for text in GERMAN]


@pytest.mark.parametrize("suffix", ["", ".csv", ".parquet"])
def test_times_have_the_marks_in_numbers_that_the_study_names(tmp_path: Path, suffix: str) -> None:
    rows = table(when=GERMAN)
    if suffix == ".csv":
        rows.to_csv(tmp_path / "a.csv", index=False)
    if suffix == ".parquet":
        rows.to_parquet(tmp_path / "a.parquet")
    source = {"source": f"a{suffix}", "base": tmp_path} if suffix else {"source": "data=", "given": rows}
    made = data.load(**source, target="y", time="when", preprocess="none", options=Options(thousands="."))
    assert of_test(made) == newest(NUMBERS, len(made.test))


def test_times_that_may_be_two_numbers_are_noted() -> None:
    made = loaded(table(when=[text.replace(".", ",") for text in GERMAN]), time="when")
    assert any("when: " in note and "could mean" in note and "data.thousands" in note for note in made.notes)
    assert of_test(made) == newest(NUMBERS, len(made.test))


# ------------------------------------------------------------ groups of several files

IDS = [int(number) for number in RNG.integers(1, 16, N)]
FORMS = {
    "numbers": lambda ids: ids,
    "text": lambda ids: [str(number) for number in ids],
    "real numbers": lambda ids: [float(number) for number in ids],
    "objects": lambda ids: pd.Series([str(i) if i % 2 else float(i) for i in ids], dtype=object),
    "wide text": lambda ids: [f"{number:03d}" for number in ids],
}


PAIRS = [pair for pair in itertools.product(FORMS, FORMS) if set(pair) != {"text", "wide text"}]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_group_is_the_same_in_any_form(first: str, second: str) -> None:
    """The groups of two parts are disjoint, but for one where it is refused; in text alone 01 and 1 differ."""
    others = [number + 15 for number in IDS]
    made = loaded({"train": table(who=FORMS[first](IDS)), "test": table(who=FORMS[second](others))}, group="who")
    assert len(made.test) == N
    assert len(set(made.rows.layout.groups.tolist())) == 2 * len(set(IDS))
    both = table(who=FORMS[second]([*others[1:], IDS[0]]))
    with pytest.raises(DataError, match="1 group of 'who' has rows in more than one of the given parts"):
        loaded({"train": table(who=FORMS[first](IDS)), "test": both}, group="who")


@pytest.mark.parametrize(("forms", "groups"), [
    ([9007199254740993, "9007199254740993", "9007199254740993.0"], 1),
    ([9007199254740993, 9007199254740992, "A4"], 3),
    ([10**400, f"{10**400}", "A4"], 2),
    ([10**400, 10**400 + 1, "A4"], 3),
    ([Decimal("12e4"), 120000.0, "120000"], 1),
    (["12e4", 120000, "1_2"], 3),
    ([Decimal("1e999999"), 1e300, "A4"], 3),
    ([1e22, f"{10**22}", 10**22], 1),
    ([0.1, "0.10", "+.1", Decimal("0.1")], 1),
    ([-0.0, "0", "-0"], 1),
    (["1", "1.0", "1.", "1.00"], 1),
    (["1", "01", "+1", "1e0"], 4),
    (["1.5", "1.50", "1.5.0"], 3),
    ([f"{10**400}", f"{10**400}.0"], 1),
    (pd.Categorical([1e22, 2.0, 3.0]), 3),
    ([math.inf, math.nan, "inf."], 3),
])  # fmt: skip
def test_numbers_are_one_group_by_all_their_digits(forms: Any, groups: int) -> None:
    assert len(set(group_keys.of(pd.Series(forms)))) == groups


@pytest.mark.parametrize("texts", [["1.000", "1000", "1000,0"], ["-1.000,50", "-1000,5", -1000.5]])
def test_groups_have_the_marks_in_numbers_that_the_study_names(texts: list[Any]) -> None:
    assert len(set(group_keys.of(pd.Series(texts, dtype=object), marks=(",", ".")))) == 1


@pytest.mark.parametrize("kind", [int, float, str, "category"])
def test_whole_numbers_are_one_group_whatever_their_column_holds(kind: Any) -> None:
    assert group_keys.of(pd.Series([1, 2]).astype(kind)).tolist() == ["1", "2"]


def test_whole_numbers_in_two_text_files_are_one_group(tmp_path: Path) -> None:
    """A word makes all of them text."""
    table(who=[*["1", "2"] * (N // 2 - 1), "A4", "A4"]).to_csv(tmp_path / "a.csv", index=False)
    table(who=["1.0", "3.0"] * (N // 2)).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match="1 group of 'who' has rows in more than one of the given parts"):
        data.load("a.csv", test="b.csv", base=tmp_path, target="y", group="who")


def test_groups_of_a_text_file_are_those_of_another_kind_of_file(tmp_path: Path) -> None:
    """The one holds a word too, so that all are text there."""
    table(who=[*map(str, IDS[1:]), "none of these"]).to_csv(tmp_path / "a.csv", index=False)
    table(who=[number + 15.0 for number in IDS]).to_parquet(tmp_path / "b.parquet")
    keys = {"base": tmp_path, "target": "y", "group": "who"}
    assert len(data.load("a.csv", test="b.parquet", **keys).test) == N
    table(who=[float(number) for number in IDS]).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match="groups of 'who' have rows in more than one"):
        data.load("a.csv", test="b.parquet", **keys)


def test_dates_as_groups_are_the_same_as_text() -> None:
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(IDS, "D")
    train, test = table(who=days), table(who=(days + pd.Timedelta(30, "D")).strftime("%Y-%m-%d"))
    assert len(loaded({"train": train, "test": test}, group="who").test) == N
    with pytest.raises(DataError, match="groups of 'who' have rows in more than one"):
        loaded({"train": train, "test": table(who=days.strftime("%Y-%m-%d"))}, group="who")
    with pytest.raises(DataError, match=r"1 of 120 values is no date \('soon' in row 1 of the test rows\)"):
        loaded({"train": train, "test": test.assign(who=["soon", *test.who[1:]])}, group="who")


@pytest.mark.parametrize(("kind", "groups"), [("category", 2 * 15), ("number", 15)])
def test_the_kind_of_a_group_can_be_set(tmp_path: Path, kind: str, groups: int) -> None:
    """In a text file 01 and 1 are two groups or one."""
    ids = np.resize(np.arange(1, 16), N)
    table(who=[f"{i:02d}" if row < N // 2 else f"{i:03d}" for row, i in enumerate(ids)]).to_csv(
        tmp_path / "a.csv", index=False
    )
    made = data.load("a.csv", base=tmp_path, target="y", group="who", options=Options(columns={"who": kind}))
    assert len(set(made.rows.layout.groups.tolist())) == groups


# ------------------------------------------------------------ where the values are looked for


@pytest.mark.parametrize("use", ["group", "time", "split", "weight", "target"])
@pytest.mark.parametrize("levels", [["it"], ["row", "it"]])
def test_what_is_in_the_index_is_said(use: str, levels: list[str]) -> None:
    rows = table(row=range(N), it=["a", "b"] * (N // 2)).set_index(levels)
    with pytest.raises(
        DataError, match=r"no column 'it'.* it is in the index of the table: give table.reset_index\(\)"
    ):
        data.load("data=", given=rows, **{"target": "y", use: "it"})


@pytest.mark.parametrize("levels", [["it"], ["row", "it"]])
def test_what_is_in_the_index_of_features_is_said(levels: list[str]) -> None:
    rows = table(row=range(N), it=["a", "b"] * (N // 2)).set_index(levels)
    with pytest.raises(DataError, match=r"no column 'it' for group. it is in the index"):
        data.load("data=", given=(rows[["x"]], rows.y), group="it")
    with pytest.raises(DataError, match=r"no column 'it' for group. it is in the index"):
        data.load("data=", given={"x": rows[["x"]], "y": rows.y}, group="it")


X, Y = np.arange(N, dtype=np.float32).reshape(-1, 1), np.arange(N) % 2
NAME = "cust id"


@pytest.mark.parametrize("use", ["group", "time"])
@pytest.mark.parametrize("shape", [(N,), (N, 1)])
def test_arrays_beside_arrays_have_any_name(tmp_path: Path, use: str, shape: tuple[int, ...]) -> None:
    ids = np.array(IDS)
    np.savez(tmp_path / "a.npz", **{"x": X, "y": Y, NAME: ids.reshape(shape)})
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "A = dict(np.load(__file__.replace('mine.py', 'a.npz')))\n"
        "def rows():\n    return A\n"
        "def table():\n    import pandas as pd\n"
        f"    return pd.DataFrame({{'x': A['x'][:, 0], {NAME!r}: A[{NAME!r}].reshape(-1)}}), A['y']\n"
    )
    cuts = []
    for source in ("a.npz", "mine.py:rows", "mine.py:table"):
        made = data.load(source, base=tmp_path, preprocess="none", **{use: NAME})
        cuts.append([part.x[:, 0].astype(int).tolist() for part in (made.train, made.validation, made.test)])
    assert cuts[0] == cuts[1] == cuts[2]
    train, validation, test = (ids[rows] for rows in cuts[0])
    if use == "group":
        assert not {*train} & {*validation} | {*train} & {*test} | {*validation} & {*test}
    else:
        assert train.max() < validation.min() <= validation.max() < test.min()


def test_arrays_of_parts_have_any_name(tmp_path: Path) -> None:
    ids = np.array(IDS)
    parts = {"x_train": X, "y_train": Y, f"{NAME}_train": ids, "x_test": X, "y_test": Y, f"{NAME}_test": ids + 15}
    np.savez(tmp_path / "a.npz", **parts)
    made = data.load("a.npz", base=tmp_path, preprocess="none", group=NAME)
    train, validation = (set(ids[part.x[:, 0].astype(int)].tolist()) for part in (made.train, made.validation))
    assert not train & validation
    np.savez(tmp_path / "a.npz", **{name: values for name, values in parts.items() if name != f"{NAME}_test"})
    with pytest.raises(
        DataError, match=r"'cust id' names no array of this data, which has x, y. .*'cust id_train' and so"
    ):
        data.load("a.npz", base=tmp_path, group=NAME)


def test_an_array_under_another_name_is_named() -> None:
    with pytest.raises(DataError, match=r"group = 'custid' names no array .*x, y, cust id\. Did you mean cust id\?"):
        data.load("data=", given={"x": X, "y": Y, NAME: np.array(IDS)}, group="custid")
    with pytest.raises(DataError, match="x has 60 rows and cust id, for group, has 120"):
        data.load("data=", given={"x": X, "y": Y, NAME: np.ones((N, 2))}, group=NAME)
    with pytest.raises(DataError, match=r"names no array of this data\. Give an array of that name beside x and y"):
        data.load("data=", given=(X, Y), group=NAME)


def test_the_kind_of_an_array_beside_arrays_can_be_set() -> None:
    given = {"x": X, "y": Y, "when": np.array(TEXTS)}
    made = data.load(
        "data=", given=given, time="when", preprocess="none", options=Options(columns={"when": "date:dmy"})
    )
    days = [dt.datetime.strptime(text, "%d/%m/%Y") for text in TEXTS]
    assert of_test(made) == newest(days, len(made.test))
    with pytest.raises(InputError, match=r"no column .x.. Did you mean x0"):
        data.load("data=", given=given, time="when", options=Options(columns={"x": "number"}))
