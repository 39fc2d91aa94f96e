"""What a study says about the reading of its data: encoding, marks in numbers, gaps, kinds of columns, file formats."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import tomllib
import warnings
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lossreg import data
from lossreg.contract.data_options import Options
from lossreg.data import preprocessor_file, table_files, times
from lossreg.errors import DataError, InputError

N = 60


def loaded(path, target="y", **options):
    keys = {name: options.pop(name) for name in ("task", "preprocess", "drop", "weight") if name in options}
    return data.load(path.name, target=target, base=path.parent, options=Options(**options), **keys)


def write(folder, columns, name="rows.csv", encoding="utf-8", separator=","):
    path = folder / name
    lines = [separator.join(columns), *(separator.join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


def numbers(seed=0, n=N):
    return np.random.default_rng(seed).normal(100, 30, n).round(2)


def labels(n=N):
    return ["yes" if i % 3 == 0 else "no" for i in range(n)]


def raw_x(dataset):
    return dataset.rows.raw.x


def column(dataset, name):
    """The values of a numeric column, in the order of the file, as the readings have them."""
    rows = dataset.rows
    table, _ = rows.readings[""].apply(rows.raw.x)
    return table[name].to_numpy(float)


def notes(dataset):
    return "\n".join(dataset.notes)


# ------------------------------------------------------------------------ encoding


def test_the_encoding_of_the_study_decides(tmp_path):
    places = ["Zürich" if i % 2 else "Österreich" for i in range(N)]
    path = write(tmp_path, {"a": numbers(), "place": places, "y": labels()}, encoding="cp850")
    assert set(raw_x(loaded(path, encoding="cp850")).place) == {"Zürich", "Österreich"}
    assert set(raw_x(loaded(path)).place) != {"Zürich", "Österreich"}  # taken for western Windows
    with pytest.raises(DataError, match=r"is not text in utf-8. Name another one"):
        loaded(path, encoding="utf-8")
    western = write(tmp_path, {"a": numbers(), "place": places, "y": labels()}, encoding="cp1252")
    with pytest.raises(DataError, match=r"is not text in utf-8. It is text in cp1252: leave data.encoding out, or set"):
        loaded(western, encoding="utf-8")


def test_new_files_are_read_in_the_encoding_of_training(tmp_path):
    places = ["Zürich" if i % 2 else "Österreich" for i in range(N)]
    path = write(tmp_path, {"a": numbers(), "place": places, "y": labels()}, encoding="cp850")
    preprocessor = loaded(path, encoding="cp850").preprocessor
    stored = preprocessor_file.dumps(preprocessor)
    (tmp_path / "p.json").write_text(stored)
    again = preprocessor_file.load_preprocessor(tmp_path / "p.json")
    for each in (preprocessor, again):
        assert np.array_equal(each.transform(path), each.transform(pd.DataFrame({"a": numbers(), "place": places})))


def test_a_byte_order_mark_is_no_letter(tmp_path):
    path = write(tmp_path, {"a": numbers(), "y": labels()}, encoding="utf-8-sig")
    assert list(raw_x(loaded(path, encoding="utf-8"))) == ["a"]


# ------------------------------------------------------------------------ decimal and thousands


def test_decimal_and_thousands_are_as_the_study_says(tmp_path):
    values = [1234.5 + i for i in range(N)]
    texts = [f"{value:,.1f}".translate(str.maketrans(",.", ".,")) for value in values]
    whole = [1234 + i for i in range(N)]
    written = [f"{value:,}".replace(",", ".") for value in whole]
    columns = {"a": texts, "b": written, "y": labels()}
    path = write(tmp_path, columns, separator=";")
    dataset = loaded(path, decimal=",", thousands=".")
    assert np.array_equal(column(dataset, "a"), values)
    assert np.array_equal(column(dataset, "b"), whole)  # 1.234 is no fraction
    for key in ({"decimal": ","}, {"thousands": "."}):
        assert np.array_equal(column(loaded(path, **key), "b"), whole)
    # a column of fractions by itself, which nothing tells from thousands
    alone = write(tmp_path, {"b": written, "y": labels()}, "alone.csv")
    assert np.array_equal(column(loaded(alone), "b"), np.array(whole) / 1000)
    assert np.array_equal(column(loaded(alone, thousands="."), "b"), whole)


def test_numbers_of_new_files_have_the_marks_of_the_study(tmp_path):
    small = write(tmp_path, {"b": list(range(1, N + 1)), "c": numbers(), "y": labels()}, "small.csv")
    preprocessor = loaded(small, thousands=".", decimal=",").preprocessor
    large = write(tmp_path, {"b": ["1.234"], "c": ["7,5"]}, "large.csv", separator=";")
    expected = preprocessor.transform(pd.DataFrame({"b": [1234], "c": [7.5]}))
    assert np.array_equal(preprocessor.transform(large), expected)


def test_numbers_in_another_form_than_the_study_says_are_told(tmp_path):
    path = write(tmp_path, {"a": [f"{v:.2f}" for v in numbers()], "b": [f"{i},5" for i in range(N)], "y": labels()},
                 separator=";")  # fmt: skip
    assert "a: numbers in another form than data.decimal and data.thousands say" in notes(loaded(path, decimal=","))
    assert "b: numbers in another form than data.decimal and data.thousands say" in notes(loaded(path, decimal="."))
    assert "single number" not in notes(loaded(path, decimal=","))


def test_numbers_as_they_are_may_have_a_decimal_comma(tmp_path):
    path = write(tmp_path, {"a": [f"{v}".replace(".", ",") for v in numbers()], "y": labels()}, separator=";")
    dataset = loaded(path, decimal=",", preprocess="none")
    assert np.allclose(np.sort(np.concatenate([p.x[:, 0] for p in (dataset.train, dataset.validation, dataset.test)])),
                       np.sort(numbers()))  # fmt: skip


@pytest.mark.parametrize(
    ("thousands", "text", "value"),
    [("'", "1'234.5", 1234.5), (" ", "1 234.5", 1234.5), (",", "1,234.5", 1234.5), ("none", "1234.5", 1234.5)],
)
def test_a_mark_between_thousands(tmp_path, thousands, text, value):
    path = write(tmp_path, {"a": [f'"{text}"'] * 30 + ['"7.5"'] * 30, "y": labels()})
    assert column(loaded(path, thousands=thousands), "a")[0] == value
    other = write(tmp_path, {"a": ['"1,234.5"'] * 30 + ['"7.5"'] * 30, "y": labels()}, "other.csv")
    if thousands != ",":
        assert loaded(other, thousands=thousands).rows.readings[""]["a"].kind == "category"


def comma(values):
    return [f"{value}".replace(".", ",") for value in values]


@pytest.fixture
def german(tmp_path):
    """A file of decimal commas and points between thousands, which reading turns into columns of numbers."""
    return {"x": comma(numbers()), "s": [f"{1.5 + i / 1000:.3f}" for i in range(N)], "y": labels()}


def test_texts_of_new_rows_have_the_marks_of_the_study(tmp_path, german):
    preprocessor = loaded(write(tmp_path, german, separator=";"), decimal=",", thousands=".").preprocessor
    (tmp_path / "p.json").write_text(preprocessor_file.dumps(preprocessor))
    odd = write(tmp_path, german | {"x": ["k.A.", *german["x"][1:]]}, "odd.csv", separator=";")
    expected = preprocessor.transform(pd.DataFrame({"x": [0.5, np.nan], "s": [1500, 1501]}))
    usual = preprocessor.transform(tmp_path / "rows.csv")
    for each in (preprocessor, preprocessor_file.load_preprocessor(tmp_path / "p.json")):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.array_equal(each.transform(pd.DataFrame({"x": ["0,5", None], "s": ["1.500", "1.501"]})), expected)
            assert np.array_equal(each.transform(pd.read_csv(tmp_path / "rows.csv", sep=";", dtype=str)), usual)
        with pytest.warns(UserWarning, match=r"x: 1 of 60 values is not a number \('k.A.'\)"):
            assert np.array_equal(each.transform(odd)[1:], usual[1:])


@pytest.mark.parametrize("part", ["test", "validation"])
@pytest.mark.parametrize("name", ["odd.csv", "odd.parquet"])
def test_texts_of_files_of_further_parts_have_the_marks_of_the_study(tmp_path, german, part, name):
    further = german | {"x": ["k.A.", *german["x"][1:]]}
    if name.endswith("parquet"):
        pd.DataFrame(further).to_parquet(tmp_path / name)
    else:
        write(tmp_path, further, name, separator=";")
    write(tmp_path, german, separator=";")
    options = Options(decimal=",", thousands=".")
    dataset = data.load("rows.csv", target="y", base=tmp_path, options=options, **{part: name})
    assert dataset.rows.readings[""]["x"].kind == "number"
    assert np.array_equal(column(dataset, "x"), [*numbers(), np.nan, *numbers()[1:]], equal_nan=True)
    assert np.array_equal(column(dataset, "s"), [*range(1500, 1500 + N)] * 2)
    assert "may mean" not in notes(dataset)


def test_labels_of_files_of_further_parts_have_the_marks_of_the_study(tmp_path, german):
    write(tmp_path, german | {"y": comma(numbers(1))}, separator=";")
    pd.DataFrame(german | {"y": comma(numbers(2))}).to_parquet(tmp_path / "test.parquet")
    options = Options(decimal=",", thousands=".")
    dataset = data.load("rows.csv", target="y", test="test.parquet", base=tmp_path, options=options)
    assert np.array_equal(dataset.rows.labels.y, [*numbers(1), *numbers(2)])


# ------------------------------------------------------------------------ gaps


@pytest.mark.parametrize("options", [{"decimal": ","}, {}])
def test_numbers_that_are_missing_are_found_in_text(tmp_path, options):
    x, y = comma(numbers()), comma(numbers(1))
    x[:10] = y[:10] = ["-99,9"] * 10
    x[20], y[20] = "odd", "k.A."
    path = write(tmp_path, {"x": x, "y": y}, separator=";")
    dataset = loaded(path, na_values=(-99.9, "k.A.", "odd"), drop_unlabelled=True, **options)
    assert dataset.task == "regression"
    assert np.array_equal(dataset.rows.labels.y, [v for i, v in enumerate(numbers(1)) if i >= 10 and i != 20])
    assert "x: 11 of 60 values are in na_values (-99.9, 'odd'), taken as missing." in dataset.notes
    assert "nowhere" not in notes(dataset)
    gone = dataset.preprocessor.transform(pd.DataFrame({"x": [np.nan]}))
    for rows in ({"x": ["-99,9"]}, {"x": [-99.9]}):
        with pytest.warns(UserWarning, match=r"is among na_values"):
            assert np.array_equal(dataset.preprocessor.transform(pd.DataFrame(rows)), gone)


def test_numbers_that_are_missing_have_the_thousands_and_units_of_their_column(tmp_path):
    price = ["$999.00" if i % 10 == 0 else f"${i}.25" for i in range(N)]
    size = ["1.500" if i % 10 == 0 else f"{i},25" for i in range(N)]
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"price": price, "size": size, "y": labels()}).to_parquet(path)
    dataset = loaded(path, na_values=(999, 1500, "999", 1.5))
    assert np.isnan(column(dataset, "price")).tolist() == np.isnan(column(dataset, "size")).tolist()
    assert np.isnan(column(dataset, "price")).sum() == 6
    assert "na_values: 1.5 does not occur in the data." in dataset.notes  # 1.500 is 1500, and "999" is 999


def test_lists_hold_no_gaps(tmp_path):
    rows = [{"a": i, "list": [i], "kind": {"b": i}, "y": i % 2} for i in range(N)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    dataset = loaded(tmp_path / "rows.jsonl", na_values=(7,))
    assert "a: 1 of 60 values is in na_values (7), taken as missing." in dataset.notes


def test_a_text_that_is_missing_is_found_among_numbers(tmp_path):
    path = write(tmp_path, {"x": ["-99,9", *comma(numbers()[1:])], "y": labels()}, separator=";")
    assert np.isnan(column(loaded(path, decimal=",", na_values=("-99,9",)), "x")).tolist() == [True] + [False] * 59


def test_values_that_the_study_names_are_missing(tmp_path):
    values = [999 if i % 10 == 0 else i for i in range(N)]
    kind = ["?" if i % 15 == 0 else "ab"[i % 2] for i in range(N)]
    path = write(tmp_path, {"a": values, "kind": kind, "y": labels()})
    dataset = loaded(path, na_values=("?", 999))
    assert np.isnan(column(dataset, "a")).tolist() == [v == 999 for v in values]
    assert "a: 6 of 60 values are in na_values (999), taken as missing." in dataset.notes
    assert "kind: 4 of 60 values are in na_values ('?'), taken as missing." in dataset.notes
    assert set(raw_x(dataset).kind.dropna()) == {"a", "b"}
    gone = dataset.preprocessor.transform(pd.DataFrame({"a": [np.nan], "kind": [None]}))
    with pytest.warns(UserWarning, match=r"is among na_values"):
        assert np.array_equal(dataset.preprocessor.transform(pd.DataFrame({"a": [999], "kind": ["?"]})), gone)


def test_gaps_by_column_and_gaps_that_are_nowhere(tmp_path):
    path = write(tmp_path, {"a": [9, 8] * 30, "b": [9, 7] * 30, "y": labels()})
    dataset = loaded(path, na_values={"a": (9,), "b": ("x",)})
    assert np.isnan(column(dataset, "a")).sum() == 30
    assert not np.isnan(column(dataset, "b")).any()
    assert "na_values: 'x' does not occur in the data." in dataset.notes
    with pytest.raises(DataError, match=r"names the column 'aa', which is not there. Did you mean a?"):
        loaded(path, na_values={"aa": (9,)})


@pytest.mark.parametrize("marks", [{}, {"decimal": "."}])
@pytest.mark.parametrize("words", [("true", "false"), ("True", "False"), ("TRUE", "FALSE")])
def test_truth_values_are_gaps_as_they_are_written(tmp_path, words, marks):
    flags = [words[i % 4 > 0] if i % 5 else "" for i in range(N)]
    path = write(tmp_path, {"a": numbers(), "flag": flags, "y": labels()})
    dataset = loaded(path, na_values=(words[0],), **marks)
    assert raw_x(dataset).flag.isna().tolist() == [flag in ("", words[0]) for flag in flags]
    assert f"flag: {flags.count(words[0])} of 60 values are in na_values ('{words[0]}')" in notes(dataset)


@pytest.mark.parametrize(("gap", "count"), [(9, 3), ("9", 3), (9.0, 3), ("nine", 1), ("9.0", 3)])
def test_a_number_stands_for_its_value(gap, count):
    from lossreg.data import gaps

    assert len(gaps.marked(pd.Series([9, "9", 9.0, "nine", True, None]), (gap,))) == count


def test_gaps_hold_for_arrays_of_python(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\ndef rows():\n    x = np.arange(120.).reshape(60, 2); x[:5] = -1\n"
        "    return x, np.arange(60) % 2\n"
    )
    dataset = data.load("mine.py:rows", base=tmp_path, options=Options(na_values=(-1,)))
    assert np.isnan(column(dataset, "x0")).sum() == 5
    marked = (np.arange(120.0).reshape(60, 2), np.where(np.arange(60) % 7, np.arange(60) % 2, -1))
    kept = data.load("data=", given=marked, options=Options(na_values=(-1,), drop_unlabelled=True))
    assert "the labels: 9 of 60 values are in na_values (-1), taken as missing." in kept.notes
    assert "9 of 60 rows have no label: left out." in kept.notes
    assert kept.classes == ("0", "1")


def test_gaps_are_named_of_arrays_beside_arrays_as_of_columns():
    groups = np.arange(60) // 6
    arrays = {"x": np.arange(120.0).reshape(60, 2), "y": np.arange(60) % 2, "who": groups}
    kept = data.load("data=", given=arrays, group="who", options=Options(na_values={"who": (99,), "x0": (2,)}))
    assert kept.features == ("x0", "x1")
    assert "na_values: 99 does not occur in the data." in kept.notes
    assert np.isnan(column(kept, "x0")).sum() == 1
    np.testing.assert_array_equal(kept.rows.raw.aside["group"], groups)
    with pytest.raises(DataError, match="group = 'who': 6 of 60 rows have none, the first in rows 1, 2"):
        data.load("data=", given=arrays, group="who", options=Options(na_values={"who": (0,)}))
    with pytest.raises(DataError, match=r"names the column 'whom', which is not there\. Did you mean who"):
        data.load("data=", given=arrays, group="who", options=Options(na_values={"whom": (0,)}))


# ------------------------------------------------------------------------ rows without a label


def test_rows_without_a_label_are_left_out_if_asked(tmp_path):
    y = ["" if i % 10 == 0 else label for i, label in enumerate(labels())]
    path = write(tmp_path, {"a": numbers(), "y": y})
    with pytest.raises(DataError, match=r"6 of 60 labels are missing.*Set data.drop_unlabelled = true"):
        loaded(path)
    dataset = loaded(path, drop_unlabelled=True)
    assert "6 of 60 rows have no label: left out." in dataset.notes
    assert raw_x(dataset).a.tolist() == [v for i, v in enumerate(numbers()) if i % 10]


def test_gaps_in_labels_are_what_the_study_says(tmp_path):
    y = ["?" if i % 10 == 0 else i * 1.5 for i in range(N)]
    path = write(tmp_path, {"a": numbers(), "y": y})
    with pytest.raises(
        DataError, match=r"6 of 60 labels are not numbers \('\?'\), the first in .*\. Set data.drop_unlabelled = true"
    ):
        loaded(path)
    dataset = loaded(path, drop_unlabelled=True, na_values=("?",))
    assert dataset.task == "regression"
    assert len(dataset.rows.raw.y) == 54


def test_no_row_with_a_label_is_refused(tmp_path):
    path = write(tmp_path, {"a": numbers(), "y": [""] * N})
    with pytest.raises(DataError, match=r"no row has a label"):
        loaded(path, drop_unlabelled=True)


# ------------------------------------------------------------------------ kinds of columns


def test_kinds_of_columns_are_as_the_study_says(tmp_path):
    codes = [f"{i % 4}" for i in range(N)]
    mostly = ["x" if i % 3 == 0 else f"{i}" for i in range(N)]
    when = ["later" if i % 3 == 0 else f"2024-01-{i % 28 + 1:02d}" for i in range(N)]
    path = write(tmp_path, {"code": codes, "age": mostly, "when": when, "id": range(N), "y": labels()})
    usual = loaded(path).rows.readings[""]
    assert [usual[name].kind for name in usual] == ["number", "category", "category"]  # id is left out
    dataset = loaded(path, columns={"code": "category", "age": "number", "when": "date", "id": "drop"})
    assert {name: reading.kind for name, reading in dataset.rows.readings[""].items()} == {
        "code": "category", "age": "number", "when": "date"
    }  # fmt: skip
    assert "age: 20 of 60 values are not numbers ('x'): taken as missing." in notes(dataset)
    assert "when: 20 of 60 values are not dates ('later'): taken as missing." in notes(dataset)
    names = sorted(dataset.preprocessor.get_feature_names_out())
    assert names == ["age", "code_0", "code_1", "code_2", "code_3", "when"]
    row = pd.DataFrame({"code": ["2"], "age": [3], "when": ["2024-01-05"]})  # no id is asked for
    assert dataset.preprocessor.transform(row).shape == (1, 6)


def test_a_category_with_leading_zeros_keeps_them_in_a_file(tmp_path):
    codes = [f"{i % 4:03d}" if i else "17" for i in range(N)]
    path = write(tmp_path, {"code": codes, "a": numbers(), "y": labels()})
    dataset = loaded(path, columns={"code": "category"})
    assert set(raw_x(dataset).code) == {"000", "001", "002", "003", "17"}
    number = loaded(path, columns={"code": "number"})
    assert set(column(number, "code")) == {0, 1, 2, 3, 17}


@pytest.mark.parametrize("kind", ["text", "category"])
def test_numbers_that_are_text_or_categories_are_read_alike_in_training_and_in_new_files(tmp_path, kind):
    values = ["1.50", "2.00", "10.0"]
    path = write(tmp_path, {"a": values * 20, "b": numbers(), "y": labels()})
    dataset = loaded(path, columns={"a": kind})
    assert set(raw_x(dataset).a) == set(values)
    for preprocessor in (dataset.preprocessor, through_json(dataset, tmp_path)):
        np.testing.assert_array_equal(in_order(preprocessor.transform(path)), trained_on(dataset))


@pytest.mark.parametrize("marks", [{"decimal": "."}, {"thousands": ","}, {"decimal": ",", "thousands": "."}])
@pytest.mark.parametrize("words", [["True", "False"], ["TRUE", "FALSE"], ["true", "", "false"]])
def test_truth_values_are_such_whatever_the_marks_in_numbers(tmp_path, marks, words):
    whole = pd.Series(words * (N // len(words)))
    path = write(tmp_path, {"a": whole, "b": range(5, N + 5), "y": labels()}, separator=";")
    column, plain = raw_x(loaded(path, **marks)).a, raw_x(loaded(path)).a
    pd.testing.assert_series_equal(column, plain)
    if "" not in words:
        numbers = loaded(path, columns={"a": "number"}, **marks)
        assert np.array_equal(raw_x(numbers).a.to_numpy(int), (whole.str.lower() == "true").to_numpy(int))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"aa": "number"}, "no column 'aa'. Did you mean a?"),
        ({"y": "category"}, "'y' is the target"),
        ({"word": "number"}, r"column word: is to be a number, and no value is one \('ab'"),
        ({"word": "date"}, "column word: is to be a date, and no value is one"),
        ({"a": "date"}, "column a: is to be a date"),
        ({"a": "drop", "word": "drop"}, "drop leaves no column"),
    ],
)
def test_a_kind_that_does_not_fit_is_refused(tmp_path, columns, message):
    path = write(tmp_path, {"a": numbers(), "word": ["ab", "cd"] * 30, "y": labels()})
    with pytest.raises(InputError, match=message):
        loaded(path, columns=columns)


def test_kinds_of_values_that_are_no_text(tmp_path):
    frame = pd.DataFrame({
        "flag": [True, False] * 30, "size": pd.Categorical(["1", "2", "3"] * 20), "year": [2001, 2002] * 30,
        "y": labels(),
    })  # fmt: skip
    frame.to_parquet(tmp_path / "rows.parquet")
    dataset = loaded(tmp_path / "rows.parquet", columns={"flag": "number", "size": "number", "year": "category"})
    assert column(dataset, "flag").tolist() == [1, 0] * 30
    assert column(dataset, "size").tolist() == [1, 2, 3] * 20
    assert [name for name in dataset.preprocessor.get_feature_names_out() if "year" in name] == [
        "year_2001", "year_2002"
    ]  # fmt: skip
    path = tmp_path / "p.json"
    path.write_text(preprocessor_file.dumps(dataset.preprocessor))
    again = preprocessor_file.load_preprocessor(path)
    rows = frame.drop(columns="y")
    assert np.array_equal(dataset.preprocessor.transform(rows), again.transform(rows))


def test_columns_that_training_left_out_are_not_asked_for(tmp_path):
    path = write(tmp_path, {"name": [f"n{i:03d}" for i in range(N)], "a": numbers(), "none": [""] * N, "y": labels()})
    preprocessor = loaded(path).preprocessor
    whole = pd.DataFrame({"name": ["x"], "a": [3.0], "none": [None]})
    assert np.array_equal(preprocessor.transform(whole[["a"]]), preprocessor.transform(whole))
    assert np.array_equal(preprocessor.transform(np.array([[3.0]])), preprocessor.transform(whole))
    with pytest.raises(DataError, match=r"columns are missing: a"):
        preprocessor.transform(whole[["name", "none"]])


# ------------------------------------------------------------------------ the positive class


@pytest.mark.parametrize(
    ("values", "positive", "why"),
    [
        (["nein", "ja"], "ja", "by its value"), (["oui", "non"], "oui", "by its value"),
        (["Sí", "No"], "Sí", "by its value"), (["NÃO", "SIM"], "SIM", "by its value"),
        (["t", "f"], "t", "by its value"), (["1", "0"], "1", "by its value"), (["1", "-1"], "1", "by its value"),
        (["neg", "pos"], "pos", "by its value"), (["negative", "unclear"], "unclear", "by its value"),
        (["da", "net"], "da", "the rarer one"), (["t", "u"], "t", "the rarer one"), (["1", "2"], "1", "the rarer one"),
        (["churned", "stayed"], "churned", "the rarer one, 20 of 60 rows"),
        (["stayed", "churned"], "stayed", "the rarer one, 20 of 60 rows"), (["a", 'b "c"'], "a", "the rarer one"),
    ],
)  # fmt: skip
def test_the_positive_class_is_chosen_and_said(tmp_path, values, positive, why):
    path = write(tmp_path, {"a": numbers(), "y": [values[0] if i % 3 == 0 else values[1] for i in range(N)]})
    dataset = loaded(path)
    assert dataset.classes[1] == positive
    assert f"Positive class (index 1): {positive}, {why}" in notes(dataset)
    other = next(value for value in values if value != positive)
    said = re.search(r"; data\.(positive = .*) takes the other", notes(dataset))
    asked = loaded(path, **tomllib.loads(said[1]))
    assert asked.classes[1] == other
    assert f"Positive class (index 1): {other}, as data.positive says." in asked.notes
    assert asked.digest == dataset.digest
    y = np.array([value == other for value in asked.rows.raw.y.astype(str)])
    assert np.array_equal(asked.rows.labels.y, y)


def test_as_many_rows_of_both_take_the_last_and_a_former_choice_stays(tmp_path):
    path = write(tmp_path, {"a": numbers(), "y": ["b", "a"] * 30})
    assert loaded(path).classes == ("a", "b")
    assert loaded(path, former="a").classes == ("b", "a")
    assert loaded(path, former="a", positive="b").classes == ("a", "b")


@pytest.mark.parametrize(("former", "reason"), [("yes", "by its value; data.positive = "), ("no", "as when the study")])
def test_a_study_that_goes_on_gives_the_same_reason_for_its_positive_class(former, reason):
    from lossreg.data import positive

    pair = positive.Pair(("no", "yes"), ("no", "yes"), (5, 5), False)
    chosen = positive.choose(pair, None, former)
    assert pair.names[chosen.place] == former
    assert f"{former}, {reason}" in chosen.note
    if former == "yes":
        assert chosen == positive.choose(pair, None, None)


@pytest.mark.parametrize("asked", [1, 1.0, "1", "1.0", True])
def test_the_positive_class_may_be_a_number(asked):
    from lossreg.data import positive

    if asked is True:
        assert positive.find(("False", "True"), asked) == 1
    else:
        assert positive.find(("0", "1"), asked) == 1


def test_a_positive_class_that_is_not_there_is_refused(tmp_path):
    path = write(tmp_path, {"a": numbers(), "y": labels()})
    with pytest.raises(InputError, match=r"positive: no class 'yess'. Did you mean yes?"):
        loaded(path, positive="yess")
    three = write(tmp_path, {"a": numbers(), "y": ["a", "b", "c"] * 20}, "three.csv")
    with pytest.raises(InputError, match=r"positive: belongs to a binary task, and this one is multiclass"):
        loaded(three, positive="a")


def test_a_breast_cancer_is_as_before():
    dataset = data.load("sklearn:breast_cancer")
    assert dataset.classes == ("malignant", "benign")  # 1 is benign there


# ------------------------------------------------------------------------ file formats


def packed(path, ending):
    content = path.read_bytes()
    packing = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    target = path.with_name(path.name + ending)
    if ending == ".zip":
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("folder/inside.csv", content)
            archive.writestr("__MACOSX/x", "")
    elif ending == ".zst":
        with pa.output_stream(str(target), compression="zstd") as stream:
            stream.write(content)
    else:
        target.write_bytes(packing[ending](content))
    return target


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst", ".zip"])
@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.jsonl"])
def test_compressed_files_are_read_as_plain_ones(tmp_path, ending, name):
    columns = {"a": numbers(), "kind": ["x", "y"] * 30, "y": labels()}
    if name.endswith("jsonl"):
        path = tmp_path / name
        pd.DataFrame(columns).to_json(path, orient="records", lines=True)
    else:
        path = write(tmp_path, columns, name, separator="\t" if name.endswith("tsv") else ",")
    plain, again = loaded(path), loaded(packed(path, ending))
    assert plain.digest == again.digest
    assert np.array_equal(plain.preprocessor.transform(path), again.preprocessor.transform(packed(path, ending)))


def test_an_archive_of_several_files_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "rows.csv.zip", "w") as archive:
        archive.writestr("a.csv", "a,y\n1,0\n")
        archive.writestr("b.csv", "a,y\n1,0\n")
    with pytest.raises(DataError, match=r"is an archive of 2 files \(a.csv, b.csv\), and one is needed"):
        loaded(tmp_path / "rows.csv.zip")


def test_tables_with_types_are_read_alike(tmp_path):
    frame = pd.DataFrame({"a": numbers(), "kind": ["x", "y"] * 30, "y": labels()})
    frame.to_feather(tmp_path / "rows.feather")
    frame.to_parquet(tmp_path / "rows.parquet")
    frame.to_json(tmp_path / "rows.ndjson", orient="records", lines=True)
    digests = {loaded(tmp_path / f"rows.{ending}").digest for ending in ("feather", "parquet", "ndjson")}
    assert len(digests) == 1


def test_json_lines_may_lack_keys_and_hold_anything(tmp_path):
    rows = [{"a": i, "when": "2024-01-01", "list": [i], "y": i % 2} for i in range(N)]
    del rows[3]["a"]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    dataset = loaded(tmp_path / "rows.jsonl")
    assert np.isnan(column(dataset, "a")).sum() == 1
    assert "list: left out, because the values are lists." in dataset.notes


def test_spreadsheets(tmp_path):
    pytest.importorskip("openpyxl")
    columns = {"a": numbers(), "when": pd.date_range("2024-01-01", periods=N), "y": labels()}
    frame = pd.DataFrame(columns)
    path = tmp_path / "rows.xlsx"
    with pd.ExcelWriter(path) as book:
        frame.to_excel(book, sheet_name="first", index=False, startrow=2)
        frame.head(30).to_excel(book, sheet_name="second", index=False)
    dataset = loaded(path)
    assert "Sheet 'first' is read, and not second." in dataset.notes
    assert np.array_equal(column(dataset, "a"), frame.a)
    assert dataset.rows.readings[""]["when"].kind == "date"
    assert len(raw_x(loaded(path, sheet="second"))) == 30
    with pytest.raises(DataError, match=r"no sheet 'secnd'. Did you mean second?"):
        loaded(path, sheet="secnd")
    assert dataset.preprocessor.transform(path).shape == (N, 2)


@pytest.mark.parametrize("engine", ["calamine", "openpyxl"])
def test_a_hidden_sheet_is_read_where_it_is_named_only(tmp_path, monkeypatch, engine):
    pytest.importorskip("openpyxl")
    path = tmp_path / "rows.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame({"code": [1, 2]}).to_excel(book, sheet_name="lists", index=False)
        pd.DataFrame({"a": numbers(), "y": labels()}).to_excel(book, sheet_name="Daten", index=False)
        book.sheets["lists"].sheet_state = "hidden"
    modules = {name: kind for name, kind in table_files.ENGINES.items() if kind == engine}
    monkeypatch.setattr(table_files, "ENGINES", modules)
    dataset = loaded(path)
    assert "Sheet 'Daten' is read, and not lists (hidden)." in dataset.notes
    with pytest.raises(DataError, match="no column 'y'; it has code"):
        loaded(path, sheet="lists")


@pytest.mark.parametrize("cover", [["Report"], ["Report", "of 2024"]])
def test_a_cover_sheet_is_told_from_the_table(tmp_path, cover):
    pytest.importorskip("openpyxl")
    path = tmp_path / "rows.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame(cover).to_excel(book, sheet_name="cover", index=False, header=False)
        pd.DataFrame({"a": numbers(), "y": labels()}).to_excel(book, sheet_name="Daten", index=False)
    with pytest.raises(DataError, match=r"Sheet 'cover' is read, and not Daten\."):
        loaded(path)


def through_json(dataset, folder):
    preprocessor_file.save_preprocessor(dataset.preprocessor, folder / "preprocessor.json")
    return preprocessor_file.load_preprocessor(folder / "preprocessor.json")


def in_order(rows):
    return rows[np.lexsort(rows.T)]


def trained_on(dataset):
    """Return all rows as the model sees them, in an order of their own."""
    return in_order(np.concatenate([part.x for part in (dataset.train, dataset.validation, dataset.test)]))


@pytest.mark.parametrize("preprocess", ["standard", "none"])
def test_new_spreadsheets_are_read_from_the_sheet_of_training_and_other_files_have_none(tmp_path, preprocess):
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame({"a": numbers(), "b": numbers(1), "y": np.arange(N) % 2})
    path = tmp_path / "rows.xlsx"
    with pd.ExcelWriter(path) as book:
        frame.head(3).to_excel(book, sheet_name="summary", index=False)
        frame.to_excel(book, sheet_name="Daten", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    dataset = loaded(path, sheet="Daten", preprocess=preprocess)
    for preprocessor in (dataset.preprocessor, through_json(dataset, tmp_path)):
        for ending in (".xlsx", ".parquet", ".csv"):
            rows = preprocessor.transform(tmp_path / f"rows{ending}")
            np.testing.assert_array_equal(in_order(rows), trained_on(dataset))


def test_test_rows_of_another_kind_of_file_have_no_sheet_and_no_encoding(tmp_path):
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame({"a": numbers(), "b": ["x", "ü", "z"] * 20, "y": labels()})
    frame.to_excel(tmp_path / "rows.xlsx", sheet_name="Daten", index=False)
    frame.to_csv(tmp_path / "rows.csv", index=False, encoding="latin-1")
    frame.head(9).to_parquet(tmp_path / "test.parquet")
    for name, options in (("rows.xlsx", Options(sheet="Daten")), ("rows.csv", Options(encoding="latin-1"))):
        dataset = data.load(name, target="y", base=tmp_path, options=options, test="test.parquet")
        assert len(dataset.test.x) == 9


# ------------------------------------------------------------------------ gaps by name, identifiers, dates by name


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["a", "b", "?"], {"a", "b"}), (["a", "b", "n/a", "-"], {"a", "b"}), (["+", "-", "?"], {"+", "-"}),
        (["*", "**", "a"], {"*", "**", "a"}), (["unknown", "none", "x"], {"unknown", "none", "x"}),
        (["x", "-"], {"x"}), (["a", "#N/A", "#NV"], {"a"}),
    ],
)  # fmt: skip
def test_marks_of_gaps_among_words_are_missing_and_counted(tmp_path, words, kept):
    values = [words[i % len(words)] for i in range(N)]
    pd.DataFrame({"a": numbers(), "word": values, "y": labels()}).to_parquet(tmp_path / "rows.parquet")
    dataset = loaded(tmp_path / "rows.parquet")
    table, lost = dataset.rows.readings[""].apply(raw_x(dataset))
    assert set(table.word.dropna()) == kept
    gone = sum(value not in kept for value in values)
    assert sum(count.rows for count in lost.counts.values()) == gone
    if gone:
        assert f"word: {gone} of 60 values mark gaps" in notes(dataset)
    (tmp_path / "p.json").write_text(preprocessor_file.dumps(dataset.preprocessor))
    again, rows = preprocessor_file.load_preprocessor(tmp_path / "p.json"), raw_x(dataset).head(len(words))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.array_equal(again.transform(rows), dataset.preprocessor.transform(rows))


@pytest.mark.parametrize(
    ("name", "values", "left"),
    [
        ("id", range(N), False), ("customer_id", [7 * i % 61 for i in range(N)], False),
        ("PassengerId", range(1, N + 1), False),
        ("Row", range(N), False), ("nr.", range(1, N + 1), False), ("nr", [7 * i % 61 for i in range(N)], True),
        ("week", range(N), True), ("id", [i // 2 for i in range(N)], True), ("paid", range(2, N + 2), True),
        ("id", [f"{i}.5" for i in range(N)], True),
    ],
)  # fmt: skip
def test_identifiers_of_rows_are_left_out_and_said(tmp_path, name, values, left):
    path = write(tmp_path, {name: values, "a": numbers(), "y": labels()})
    dataset = loaded(path)
    assert (name in raw_x(dataset)) is left
    said = f"{name}: identifiers of the rows, left out; data.columns says otherwise."
    assert (said in dataset.notes) is not left
    assert (f"{name}: numbers of the rows, in order, kept" in notes(dataset)) is (name == "week")
    assert name in raw_x(loaded(path, columns={name: "number"}))
    assert name in raw_x(loaded(path, preprocess="none"))
    assert dataset.preprocessor.transform(pd.DataFrame({"a": [1.0], **({name: [1]} if left else {})})).shape[0] == 1


@pytest.mark.parametrize(
    ("name", "trained", "tested", "is_left"),
    [
        ("id", range(40), range(20), False), ("id", range(40), range(40, 60), False),
        ("nr", range(40), range(20), False),
        ("id", [i // 2 for i in range(40)], range(20), True), ("id", range(40), [i // 2 for i in range(20)], True),
    ],
)  # fmt: skip
def test_identifiers_may_begin_again_in_a_further_file(tmp_path, name, trained, tested, is_left):
    write(tmp_path, {name: list(trained), "a": numbers()[:40], "y": labels()[:40]}).rename(tmp_path / "train.csv")
    path = write(tmp_path, {name: list(tested), "a": numbers()[40:], "y": labels()[40:]})
    dataset = data.load("train.csv", target="y", base=tmp_path, test=path.name)
    assert (name in raw_x(dataset)) is is_left


@pytest.mark.parametrize(
    "texts",
    [
        ["31. Januar 2024", "1. März 2024", "5. Okt. 2023"], ["31 janvier 2024", "1er mars 2024", "5 août 2023"][::2],
        ["31 de enero de 2024", "5 de agosto de 2023"], ["Mi., 31.01.2024", "So., 05.11.2023"],
        ["Wednesday, 31 January 2024", "Sun, 5 Nov 2023"], ["mercredi 31 janvier 2024", "dim. 5 décembre 2023"],
        ["mié. 31/01/2024", "dom. 05/11/2023"], ["31 gennaio 2024", "5 dicembre 2023"],
        ["31 de janeiro de 2024", "5 de março de 2023"], ["31 januari 2024", "5 mei 2023"],
    ],
)  # fmt: skip
def test_dates_with_names_of_days_and_months(texts):
    from lossreg.data import dates

    counts = pd.Series(texts).value_counts()
    form = dates.infer(counts)
    assert form is not None
    assert dates.of_texts(pd.Series(texts[:1]), form).tolist() == [pd.Timestamp("2024-01-31").timestamp() / 86_400]
    assert not np.isnan(dates.of_texts(pd.Series(texts), form)).any()


def test_classes_that_look_the_same_are_noted(tmp_path):
    path = write(tmp_path, {"a": numbers(), "y": ["gr\u00fcn", "gru\u0308n", "ja", "ja\u200b", "Ja"] * 12})
    noted = loaded(path).notes
    assert r"Classes that look the same, in other characters: 'gru\u0308n' and 'gr\xfcn', 'ja' and 'ja\u200b'." in noted
    assert "Classes that differ in case or blanks only: 'Ja' and 'ja'." in noted


def test_a_column_whose_name_looks_the_same_is_told_apart(tmp_path):
    path = write(tmp_path, {"a": numbers(), "gru\u0308n": labels()})
    with pytest.raises(DataError, match=r"'gru\\u0308n' looks the same as 'gr\\xfcn', in other characters"):
        loaded(path, target="gr\u00fcn")


def timed(folder, values):
    return data.load(
        write(folder, {"t": values, "a": numbers(), "y": labels()}).name, target="y", time="t", base=folder
    )


def test_times_without_a_zone_among_others_are_noted(tmp_path):
    days = [f"2024-01-{1 + i // 2:02}T01:00:00" for i in range(N)]
    mixed = [f"{day}+09:00" if i % 3 == 0 else day for i, day in enumerate(days)]
    what = "40 of 60 name no time zone: these are read as UTC"
    assert f"t: {what}." in timed(tmp_path, mixed).notes
    path = write(tmp_path, {"t": [mixed[0], "2024-13-01T01:00:00", *mixed[2:]], "a": numbers(), "y": labels()})
    [noted] = [note for note in loaded(path).notes if note.startswith("t: dates")]
    assert "39 of 59 name no time zone: these are read as UTC" in noted, "a day that there is not has no time"
    for same in (days, [f"{day}Z" for day in days]):
        assert "time zone" not in notes(timed(tmp_path, same))


@pytest.mark.parametrize("word", ["CET", "[Europe/Berlin]", "Uhr", "h"])
def test_a_word_behind_the_time_is_the_obstacle(tmp_path, word):
    what = rf"'{word.strip('[]')}' behind the time is not read; a time zone is .* such as 2024-01-31 22:00\+01:00"
    with pytest.raises(DataError, match=what):
        timed(tmp_path, [f"2024-01-31 22:{i:02} {word if i % 2 else 'UTC'}" for i in range(N)])


@pytest.mark.parametrize("kind", ["int64", "UInt64", "int64[pyarrow]", object])
def test_large_whole_numbers_of_every_type_keep_their_order_as_times(kind):
    order, note = times.read(pd.Series([10**18 + i for i in (2, 0, 1)], dtype=kind))
    assert (np.argsort(order).tolist(), note) == ([1, 2, 0], "")


def test_large_whole_numbers_are_times_to_their_last_digit(tmp_path):
    noted = notes(timed(tmp_path, [1_700_000_000_000_000_000 + i for i in range(N)]))
    assert "t: 60 times from" in noted
    assert "rounded" not in noted


def test_classes_that_differ_in_case_or_blanks_only_are_noted(tmp_path):
    path = write(tmp_path, {"a": numbers(), "y": ["New York", "new york", "NewYork ", "Rome", "?"] * 12})
    dataset = loaded(path)
    assert "Classes that differ in case or blanks only: 'New York' and 'NewYork' and 'new york'." in dataset.notes
    assert "The class '?' may mean that there is no label; data.na_values = [\"?\"] says so." in dataset.notes


# ------------------------------------------------------------------------ rows that are given in Python


def given(rows, **keys):
    return data.load("data=", given=rows, **keys)


def test_rows_may_be_given_in_any_usual_form(tmp_path):
    frame = pd.DataFrame({"a": numbers(), "word": ["x", "z"] * 30, "y": labels()})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    digest = loaded(tmp_path / "rows.csv").digest
    for rows in (frame, frame.to_dict("list"), pa.Table.from_pandas(frame)):
        assert given(rows, target="y").digest == digest
    assert given((frame[["a", "word"]], frame.y)).digest == digest
    table = pa.Table.from_pandas(frame)
    assert given((table.select(["a", "word"]), table["y"])).digest == digest
    with pytest.raises(DataError, match=r"data=: it is int, which is no data. Give \(x, y\)"):
        given(3)
    with pytest.raises(DataError, match=r"were given in Python, and are not kept. Give them again"):
        data.load("data=")


def test_tables_of_polars_are_tables():
    import polars

    frame = pd.DataFrame({"a": numbers(), "word": ["x", "z"] * 30, "y": labels()})
    table = polars.DataFrame({name: frame[name].tolist() for name in frame})
    expected = given(frame, target="y")
    assert given(table, target="y").digest == expected.digest
    assert given((table.select("a", "word"), table["y"])).digest == expected.digest
    rows = table.select("a", "word")
    assert np.array_equal(expected.preprocessor.transform(rows), expected.preprocessor.transform(frame))


class Stream:
    """What is used of a `tf.data.Dataset`."""

    def __init__(self, elements, spec, cardinality):
        self.elements, self.element_spec, self._cardinality = elements, spec, cardinality

    def as_numpy_iterator(self):
        return iter(self.elements)

    def cardinality(self):
        return self._cardinality


class Spec:
    def __init__(self, *shape):
        self.shape = shape


def test_streams_are_joined_batched_or_not():
    x, y = np.arange(60.0).reshape(20, 3), np.arange(20) % 2
    rows = Stream(list(zip(x, y, strict=True)), (Spec(3), Spec()), 20)
    batches = Stream([(x[i : i + 8], y[i : i + 8]) for i in range(0, 20, 8)], (Spec(None, 3), Spec(None)), 3)
    fixed = Stream([(x[i : i + 10], y[i : i + 10]) for i in (0, 10)], (Spec(10, 3), Spec(10)), -2)
    named = Stream([({"a": x, "b": x}, y)], ({"a": Spec(None, 3), "b": Spec(None, 3)}, Spec(None)), 1)
    expected = given((x, y)).digest
    assert [given(each).digest for each in (rows, batches, fixed)] == [expected] * 3
    assert given(named).digest == given(({"a": x, "b": x}, y)).digest
    with pytest.raises(DataError, match=r"never ends. Give it without repeat"):
        given(Stream([], (Spec(3), Spec()), -1))
    with pytest.raises(DataError, match="no rows"):
        given(Stream([], (Spec(3), Spec()), 0))
    with pytest.raises(DataError, match=r"cannot be read: .*the same shape"):
        given(Stream([(np.zeros(3), 0), (np.zeros(4), 1)], (Spec(None), Spec()), 2))
    with pytest.raises(DataError, match=r"not \(x, y\) or"):
        given(Stream([], Spec(3), 5))
