"""Files of new rows with predictions beside them: piece by piece the same as at once."""

from __future__ import annotations

import gzip
import io
import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from lossreg import cli
from lossreg.data import inputs
from lossreg.data.image_files import ImageReader
from lossreg.data.preprocess import AsGiven, ImagePreprocessor, TablePreprocessor
from lossreg.errors import InputError
from lossreg.prediction import filing, predictor_files, tables
from lossreg.prediction.description import Description
from lossreg.prediction.predictor import Predictor

RNG = np.random.default_rng(1)
ROWS = pd.DataFrame({
    "age": RNG.normal(40, 9, 23).round(2), "city": RNG.choice(["Bonn", "Köln"], 23), "size": RNG.integers(1, 9, 23),
})  # fmt: skip
TEXT = ROWS.to_csv(index=False)


def network(shape, outputs=1):
    """A network of fixed weights, whose output of a row does not depend on the other rows."""
    keras.utils.set_random_seed(0)
    layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(outputs, "sigmoid", name="probability")]
    return keras.Sequential(layers)


def predictor_of(preprocessor, shape):
    about = Description(study="s", trial=0, loss="l", task="binary", target=("left",), classes=("no", "yes"),
                        output="probability")  # fmt: skip
    return Predictor(network(shape), preprocessor, about)


@pytest.fixture(scope="module")
def of_table():
    fitted = TablePreprocessor().fit(ROWS)
    return predictor_of(fitted, (len(fitted.get_feature_names_out()),))


def predicted(predictor, source, tmp_path, name="out.csv", **options):
    filing.predict(predictor, source, tmp_path / name, **options)
    return pd.read_csv(tmp_path / name, dtype=str, keep_default_na=False, sep=None, engine="python")


FORMS = {
    "plain": TEXT, "semicolons": TEXT.replace(",", ";"), "quotes": TEXT.replace("Bonn", '"Bonn"'),
    "separator": "sep=;\n" + TEXT.replace(",", ";"), "blank end": TEXT + ",,\n,,\n",
    "trailing": TEXT.replace("\n", ",\n"), "row names": ROWS.to_csv().replace(",age", "age", 1),
    "row numbers": ROWS.to_csv(), "spaces": TEXT.replace("age,city", " age , city "),
    "gaps": TEXT.replace("Bonn", "").replace("\n4", "\n?4"), "units": TEXT.replace("size\n", "size\nyears,,cm\n"),
    "nameless": TEXT.replace("\n", ",,\n"), "no rows": "age,city,size\n",
    "more": ROWS.assign(note='a\n"b"', id=range(23)).to_csv(index=False),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_text_is_predicted_in_pieces_as_at_once_with_its_fields_as_they_are_written(of_table, form, tmp_path):
    source = tmp_path / "new.csv"
    source.write_text(FORMS[form], encoding="utf-8")
    whole = predicted(of_table, source, tmp_path)
    *fields, last = list(whole.columns)
    for size in (5, 22, 23, 24):
        piecewise = predicted(of_table, source, tmp_path, size=size)
        pd.testing.assert_frame_equal(piecewise[fields[:-1]], whole[fields[:-1]])
        np.testing.assert_allclose(piecewise[last].astype(float), whole[last].astype(float), rtol=1e-6)
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning)
        expected = of_table.predict_proba(source)[:, 1]
    np.testing.assert_allclose(whole["probability_of_yes"].astype(float), expected, rtol=1e-6)
    written = [name.strip() for name in whole.columns]
    assert written[-3:] == ["prediction", "probability_of_no", "probability_of_yes"]
    assert {"age", "city", "size"} <= set(written)
    if form in ("plain", "nameless"):
        assert whole[["age", "city", "size"]].to_csv(index=False) == TEXT


def test_numbers_in_another_form_stay_as_they_are_written_in_parquet(of_table, tmp_path):
    ROWS.astype(object).to_csv(tmp_path / "new.csv", index=False, sep=";")
    text = (tmp_path / "new.csv").read_text().replace(".", ",")
    (tmp_path / "new.csv").write_text(text)
    summary = filing.predict(of_table, tmp_path / "new.csv", tmp_path / "out.parquet", size=5)
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert table["age"].str.replace(",", ".").astype(float).tolist() == ROWS["age"].tolist()
    assert table["size"].tolist() == ROWS["size"].tolist()
    np.testing.assert_allclose(table["probability_of_yes"], of_table.predict_proba(ROWS)[:, 1], rtol=1e-5)
    assert ["age: read as numbers with a decimal comma" in line for line in summary.lines()] == [True]


def test_lines_of_separators_at_the_end_are_told_however_they_fall_into_pieces(of_table, tmp_path):
    source = tmp_path / "new.csv"
    source.write_text(FORMS["blank end"], encoding="utf-8")
    for size in (5, 23, 24, 25, 100):
        summary = filing.predict(of_table, source, tmp_path / "out.csv", size=size)
        assert summary.rows == 23
        assert summary.lines()[0] == "The last 2 lines hold separators alone: left out."


def test_the_encoding_and_the_packing_of_a_file_are_read(of_table, tmp_path):
    plain, packed = tmp_path / "latin.csv", tmp_path / "new.csv.gz"
    plain.write_bytes(TEXT.encode("latin-1"))
    packed.write_bytes(gzip.compress(TEXT.encode()))
    expected = of_table.predict_proba(ROWS)[:, 1]
    for source in (plain, packed):
        for name in ("out.csv", "out.csv.gz"):
            table = predicted(of_table, source, tmp_path, name, size=10)
            np.testing.assert_allclose(table["probability_of_yes"].astype(float), expected, rtol=1e-6)
            assert table["city"].tolist() == ROWS["city"].tolist()


@pytest.mark.parametrize("ending", [".parquet", ".feather", ".jsonl"])
def test_other_tables_keep_their_columns(of_table, ending, tmp_path):
    source, rows = tmp_path / f"new{ending}", ROWS.assign(id=range(23))
    writers = {".parquet": rows.to_parquet, ".feather": rows.to_feather}
    if ending in writers:
        writers[ending](source)
    else:
        rows.to_json(source, orient="records", lines=True)
    filing.predict(of_table, source, tmp_path / "out.parquet", size=4)
    table = pd.read_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(table[list(rows)], rows, check_dtype=False)
    np.testing.assert_allclose(table["probability_of_yes"], of_table.predict_proba(ROWS)[:, 1], rtol=1e-6)


@pytest.mark.parametrize("size", [4, 50])
def test_a_parquet_file_of_text_holds_numbers_only_in_columns_where_none_is_lost(of_table, tmp_path, size):
    rows = ROWS.astype(object).assign(code="007")
    rows.loc[5, "age"], rows.loc[7, "size"] = np.nan, 9
    fields = {"plain": [], "word": ["unknown"], "huge": ["1e400", "-inf"], "long": ["9007199254740993"]}
    for name, odd in fields.items():
        rows.loc[range(20, 20 + len(odd)), "size"] = odd
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
        written = pd.read_csv(tmp_path / f"{name}.csv", dtype=str)
        filing.predict(of_table, tmp_path / f"{name}.csv", tmp_path / "out.PARQUET", size=size)
        table = pd.read_parquet(tmp_path / "out.PARQUET")
        np.testing.assert_array_equal(table["age"], rows["age"].astype(float))
        assert table["size"].tolist() == (written["size"].tolist() if odd else rows["size"].tolist())
        assert set(table["code"]) == {"007"}


def test_columns_without_a_name_are_not_written_and_may_hold_nothing(of_table, tmp_path):
    (tmp_path / "new.csv").write_text(FORMS["nameless"])
    filing.predict(of_table, tmp_path / "new.csv", tmp_path / "out.parquet", size=4)
    assert list(pd.read_parquet(tmp_path / "out.parquet").columns[:4]) == [*ROWS, "prediction"]
    lines = FORMS["nameless"].splitlines()
    (tmp_path / "new.csv").write_text("\n".join([*lines[:9], f"{lines[9]}x", *lines[10:]]))
    with pytest.raises(InputError, match="line 10 has a value in a column without a name"):
        filing.predict(of_table, tmp_path / "new.csv", tmp_path / "out.csv", size=4)
    (tmp_path / "new.csv").write_text(TEXT.replace("\n", ",1,2\n").replace("size,1,2", "size,,"))
    with pytest.raises(InputError, match="two columns are called ''"):
        filing.predict(of_table, tmp_path / "new.csv", tmp_path / "out.parquet")


@pytest.mark.parametrize("ending", [".parquet", ".feather"])
@pytest.mark.parametrize("customer", [list("abcdefghijklmnopqrstuvw"), range(7, 30)])
def test_an_index_with_names_is_written(of_table, tmp_path, ending, customer):
    source = tmp_path / f"new{ending}"
    rows = ROWS.assign(customer=list(customer)).set_index("customer")
    {".parquet": rows.to_parquet, ".feather": rows.to_feather}[ending](source)
    table = predicted(of_table, source, tmp_path, size=4)
    assert table["customer"].tolist() == [str(each) for each in customer]


def test_whole_numbers_with_gaps_stay_whole(of_table, tmp_path):
    visits = [None, 2**53 + 1, *range(21)]
    pq.write_table(pa.table({**ROWS.to_dict("list"), "visits": visits}), tmp_path / "new.parquet")
    table = predicted(of_table, tmp_path / "new.parquet", tmp_path, size=4)
    assert table["visits"].tolist() == ["", str(2**53 + 1), *map(str, range(21))]
    filing.predict(of_table, tmp_path / "new.parquet", tmp_path / "out.parquet", size=4)
    assert pq.read_table(tmp_path / "out.parquet")["visits"].to_pylist() == visits


@pytest.mark.parametrize("size", [3, 7, 50])
def test_every_piece_is_checked_for_a_second_header_and_short_lines(of_table, tmp_path, size):
    for form in ("plain", "row numbers", "nameless"):
        (tmp_path / "new.csv").write_text(FORMS[form] * 2)
        with pytest.raises(InputError, match="line 25 is the header again"):
            filing.predict(of_table, tmp_path / "new.csv", tmp_path / "out.csv", size=size)
    lines = TEXT.splitlines()
    for number in (14, 20):
        lines[number] = lines[number].rpartition(",")[0]
    (tmp_path / "new.csv").write_text("\n".join(lines))
    summary = filing.predict(of_table, tmp_path / "new.csv", tmp_path / "out.csv", size=size)
    words = "2 of 23 lines have fewer fields than the header (line 15): the others are taken as missing."
    assert summary.lines()[0] == words


def test_an_error_that_does_not_come_from_the_rows_does_not_name_their_file(of_table, tmp_path, monkeypatch):
    class Full(tables.TextWriter):
        def write(self, table):
            raise InputError("there is no room")

    monkeypatch.setattr(tables, "TextWriter", Full)
    (tmp_path / "new.csv").write_text(TEXT)
    with pytest.raises(InputError, match=r"^there is no room$"):
        filing.predict(of_table, tmp_path / "new.csv", tmp_path / "out.csv")


def test_masks_are_written_as_arrays(tmp_path):
    x = RNG.normal(size=(7, 4, 5, 3))
    layers = [keras.Input((4, 5, 3)), keras.layers.Conv2D(1, 1, activation="sigmoid", name="probability")]
    about = Description(study="s", trial=0, loss="l", task="segmentation", target=("y",), classes=(0, 1),
                        output="probability")  # fmt: skip
    of_masks = Predictor(keras.Sequential(layers), ImagePreprocessor().fit(x), about)
    np.savez(tmp_path / "x.npz", x=x)
    filing.predict(of_masks, tmp_path / "x.npz", tmp_path / "masks.NPZ", size=3)
    with np.load(tmp_path / "masks.NPZ") as masks:
        np.testing.assert_array_equal(masks["prediction"], of_masks.predict(x))
        np.testing.assert_allclose(masks["probability"], of_masks.predict_proba(x), rtol=1e-6)
    for output in (None, tmp_path / "masks.csv"):
        with pytest.raises(InputError, match=r"Give --output masks\.npz"):
            filing.predict(of_masks, tmp_path / "x.npz", output)


def test_arrays_and_several_inputs_come_from_an_archive(tmp_path):
    x, one = RNG.normal(size=(11, 3)), TablePreprocessor().fit(ROWS[["age"]].head(11))
    alone = predictor_of(ImagePreprocessor().fit(x), (3,))
    np.savez(tmp_path / "x.npz", x=x, y=np.zeros(11))
    table = predicted(alone, tmp_path / "x.npz", tmp_path, size=4)
    np.testing.assert_allclose(table["probability_of_yes"].astype(float), alone.predict_proba(x)[:, 1], rtol=1e-6)
    a, b = keras.Input((1,), name="a"), keras.Input((3,), name="b")
    output = keras.layers.Dense(1, "sigmoid", name="probability")(keras.layers.Concatenate()([a, b]))
    parts = inputs.InputsPreprocessor({"a": one, "b": AsGiven().fit(x)})
    both = Predictor(keras.Model({"a": a, "b": b}, output), parts, alone.about)
    np.savez(tmp_path / "both.npz", a=ROWS[["age"]].head(11).to_numpy(), b=x)
    table = predicted(both, tmp_path / "both.npz", tmp_path, size=4)
    expected = both.predict_proba({"a": ROWS[["age"]].head(11), "b": x})[:, 1]
    np.testing.assert_allclose(table["probability_of_yes"].astype(float), expected, rtol=1e-6)
    with pytest.raises(InputError, match="arrays are missing: a, b"):
        filing.predict(both, tmp_path / "x.npz", None)


def test_images_are_named(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in "ab":
        array = RNG.integers(0, 255, (4, 5, 3), np.uint8)
        Image.fromarray(array).save(tmp_path / "photos" / f"{name}.png")
    preprocessor = ImagePreprocessor().fit(RNG.integers(0, 255, (9, 4, 5, 3), np.uint8))
    preprocessor.images_ = ImageReader(4, 5, 3)
    of_images = predictor_of(preprocessor, (4, 5, 3))
    table = predicted(of_images, tmp_path / "photos", tmp_path)
    assert [Path(file).name for file in table["file"]] == ["a.png", "b.png"]
    expected = of_images.predict_proba(tmp_path / "photos")[:, 1]
    np.testing.assert_allclose(table["probability_of_yes"].astype(float), expected, rtol=1e-6)


def test_what_was_filled_lost_or_unknown_is_counted_over_all_pieces(of_table, tmp_path):
    rows = ROWS.astype(object)
    rows.loc[[0, 9, 20], "age"], rows.loc[[3, 21], "size"], rows.loc[[5, 22], "city"] = np.nan, "old", "Rom"
    rows.to_csv(tmp_path / "new.csv", index=False)
    summary = filing.predict(of_table, tmp_path / "new.csv", tmp_path / "out.csv", size=4)
    lines = "\n".join(summary.lines())
    assert summary.rows == 23
    for words in (
        "city: 2 of 23 values are categories that no training row has ('Rom')",
        "size: 2 of 23 values are not numbers ('old')",
        "Gaps filled with the median of the training rows: age: 3 of 23; size: 2 of 23.",
    ):
        assert words in lines


@pytest.fixture
def folder(of_table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    predictor_files.save(of_table, tmp_path / "churn")
    (tmp_path / "new.csv").write_text(TEXT)
    return tmp_path


def asked(*arguments):
    return CliRunner().invoke(cli.app, ["predict", *arguments])


def test_the_command_prints_csv_and_says_the_rest_on_standard_error(folder, of_table):
    printed, written = asked("churn", "new.csv"), asked("churn", "new.csv", "-o", "a/b.csv")
    assert (printed.exit_code, written.exit_code) == (0, 0)
    assert printed.stdout == (folder / "a/b.csv").read_text()
    assert "23 rows" in printed.stderr
    assert written.stdout == ""


def test_the_script_of_an_export_prints_notes_on_standard_error(folder, capsys):
    (folder / "new.csv").write_text(TEXT.replace("Bonn", "Rom"))
    filing.main(folder / "churn", ["new.csv"])
    printed = capsys.readouterr()
    assert printed.out == asked("churn", "new.csv").stdout
    assert "that no training row has ('Rom')" in printed.err


SCRIPT = {
    "new.csv -o new.csv": "is the file of the rows", "new.csv -o x.txt": "is no known kind of table",
    "short.csv": "columns are missing: size", "new.csv -o x.npz": "is for masks", "none.csv": "no such file",
    "new.csv -o churn": "--output churn: is a folder", "new.csv -o x.parqet": "Did you mean .parquet?",
    "binary.csv": "binary.csv: line 1 has a NUL character", "open.csv": "a quote that opens in line 25 is never closed",
    "other.csv -o x.parquet": "other.csv: columns are missing: city. Did you mean City?",
    "names.csv": "names.csv: two columns are called 'age'", "bad.parquet": "bad.parquet: cannot be read: ",
    "bad.npz": "bad.npz: cannot be read: it is no file of arrays", "bad.xlsx": "bad.xlsx: cannot be read: ",
    "deep.npz": "deep.npz: rows have shape (2, 3, 4)", "churn": "churn: is a folder", "nothing": "no such file",
}  # fmt: skip


@pytest.mark.parametrize("arguments", SCRIPT)
def test_the_script_of_an_export_refuses_as_the_command(folder, arguments, capsys):
    make_wrong(folder)
    (folder / "short.csv").write_text("age,city\n3,Bonn\n")
    with pytest.raises(SystemExit) as ended:
        filing.main(folder / "churn", arguments.split())
    message = capsys.readouterr().err
    assert ended.value.code == 2
    assert SCRIPT[arguments] in message
    assert len(message.splitlines()) == 1
    assert (folder / "new.csv").read_text() == TEXT
    assert not list(folder.glob("x.*"))


WRONG = {
    ("churn", "nowhere.csv"): "nowhere.csv: no such file",
    ("churn", "new.cvs"): "no such file",
    ("churn", "churn"): "is a folder",
    ("churn", "churn/predictor.json"): "is no known kind of table",
    ("churn", "short.csv"): "columns are missing: size",
    ("churn", "empty.csv"): "no rows",
    ("churn", "twice.csv"): "the rows have a column 'prediction (left)' already",
    ("churn", "short.csv", "-o", "a/b/c.csv"): "columns are missing: size",
    ("churn", "new.csv", "-o", "/proc/x.csv"): "--output /proc/x.csv: ",
    ("churn", "wide.csv"): "line 2 has 5 fields, and the header has 3",
    ("churn", "new.csv", "-o", "new.csv"): "is the file of the rows",
    ("churn", "new.csv", "-o", "out.xls"): "is no known kind of table",
    ("churn", "new.csv", "-o", "out"): "is no known kind of table",
    ("churn", "new.csv", "-o", "churn/x.csv/y.csv"): "--output churn/x.csv/y.csv: ",
    ("churn", "new.csv", "--trial", "3"): "a folder has one predictor",
    ("a", "new.csv"): "a:",
    ("nothing", "new.csv"): "has no predictor",
    ("churn", "header.csv", "-o", "nothing"): "--output nothing: is a folder. Give a file, such as predictions.csv.",
    ("churn", "new.csv", "-o", "out.parqet"): "Did you mean .parquet?",
    ("churn", "binary.csv"): "binary.csv: line 1 has a NUL character: this is no text. Save it as UTF-8 text.",
    ("churn", "open.csv"): "open.csv: cannot be read: a quote that opens in line 25 is never closed",
    ("churn", "other.csv"): "other.csv: columns are missing: city. Did you mean City?",
    ("churn", "names.csv"): "names.csv: two columns are called 'age' (columns 1 and 2 of the header)",
    ("churn", "bad.parquet", "-o", "o.parquet"): "bad.parquet: cannot be read: ",
    (
        "churn",
        "bad.npz",
    ): "bad.npz: cannot be read: it is no file of arrays, or holds Python objects, which are not read",
    (
        "churn",
        "deep.npz",
    ): "deep.npz: rows have shape (2, 3, 4), and (n, 3) is needed. Give a DataFrame with the columns",
    ("churn", "twice.csv", "-o", "o.csv"): "twice.csv: the rows have a column",
    ("churn", "bad.xlsx"): "bad.xlsx: cannot be read: ",
    ("churn", "bad.jsonl"): "bad.jsonl: line 1 is not JSON",
    ("churn", "bad.csv.gz"): "bad.csv.gz: cannot be read: ",
    ("newer", "new.csv"): "newer/predictor.json: is a lossreg predictor 2, which this version does not read",
    ("damaged", "new.csv"): "damaged/model.keras: cannot be loaded, as it is damaged",
    ("half", "new.csv"): "half/preprocessor.json: no such file or directory",
    ("strange", "new.csv"): "strange/preprocessor.json: is no preprocessor of lossreg, or damaged",
}


def make_wrong(folder):
    """Write rows and predictors that nothing can be predicted of, or with."""
    for name, text in {
        "header.csv": "age,city,size\n", "binary.csv": "\0\0", "open.csv": TEXT + '"1,Bonn,2\n',
        "other.csv": TEXT.replace("city", "City"), "names.csv": TEXT.replace("city", "age"),
        **dict.fromkeys(("bad.parquet", "bad.npz", "bad.xlsx", "bad.jsonl", "bad.csv.gz"), "no rows"),
    }.items():  # fmt: skip
        (folder / name).write_text(text)
    np.savez(folder / "deep.npz", x=np.zeros((2, 3, 4)))
    for name in ("newer", "damaged", "half", "strange"):
        shutil.copytree(folder / "churn", folder / name)
    said = (folder / "churn" / "predictor.json").read_text()
    (folder / "newer" / "predictor.json").write_text(said.replace("predictor 1", "predictor 2"))
    (folder / "damaged" / "model.keras").write_text("no model")
    (folder / "half" / "preprocessor.json").unlink()
    (folder / "strange" / "preprocessor.json").write_text("{}")


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_input_is_one_message_and_leaves_nothing(folder, arguments):
    (folder / "nothing").mkdir()
    make_wrong(folder)
    (folder / "churn" / "x.csv").write_text("")
    (folder / "short.csv").write_text("age,city\n3,Bonn\n")
    (folder / "empty.csv").write_text("")
    twice = TEXT.replace("\n", ",x,x\n").replace("size,x,x", "size,prediction,prediction (left)", 1)
    (folder / "twice.csv").write_text(twice)
    (folder / "wide.csv").write_text("age,city,size\n1,Bonn,2,3,4\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    result = asked(*arguments)
    assert result.exit_code == 2
    assert WRONG[arguments] in result.stderr
    assert "Traceback" not in result.stderr
    assert "unexpected" not in result.stderr
    # exports say the same, where there is no lossreg
    assert "`lossreg " not in result.stderr
    assert ("Write it again on the machine that has the study." in result.stderr) == (
        arguments[0] in ("damaged", "strange")
    )
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert not (folder / "a").exists()


def test_a_column_called_prediction_is_kept_and_a_link_stays_one(folder):
    (folder / "new.csv").write_text(TEXT.replace("\n", ",x\n").replace("size,x", "size,prediction", 1))
    (folder / "there.csv").write_text("")
    (folder / "link.csv").symlink_to(folder / "there.csv")
    assert asked("churn", "new.csv", "-o", "link.csv").exit_code == 0
    table = pd.read_csv(folder / "there.csv")
    assert (folder / "link.csv").is_symlink()
    assert table.columns[3:].tolist() == [
        "prediction", "prediction (left)", "probability_of_no (left)", "probability_of_yes (left)",
    ]  # fmt: skip
    assert set(table["prediction"]) == {"x"}


@pytest.mark.parametrize(("separator", "decimal"), [(",", "."), (";", "."), (";", ",")])
@pytest.mark.parametrize("trained", [".", ","])
def test_predictions_are_written_as_the_numbers_beside_them(trained, separator, decimal, tmp_path):
    rows = pd.DataFrame({"age": [40.5, 41.25, 39.75, 60.5] * 5, "size": [1.5, 2.25, 0.75, 3.5] * 5})
    data = pd.read_csv(io.StringIO(rows.to_csv(index=False, sep=";", decimal=trained)), sep=";", decimal=".")
    fitted = TablePreprocessor().fit(data)
    predictor = predictor_of(fitted, (len(fitted.get_feature_names_out()),))
    rows.to_csv(tmp_path / "new.csv", index=False, sep=separator, decimal=decimal)
    filing.predict(predictor, tmp_path / "new.csv", tmp_path / "out.csv", size=9)
    written = pd.read_csv(tmp_path / "out.csv", sep=separator, decimal=decimal)
    assert written[["age", "size"]].equals(rows)
    assert written["probability_of_yes"].dtype == float


def test_german_files_stay_german(tmp_path):
    german = ROWS.to_csv(index=False, sep=";", decimal=",")
    (tmp_path / "new.csv").write_text(german, encoding="cp1252")
    data = pd.read_csv(tmp_path / "new.csv", sep=";", dtype=str, encoding="cp1252")
    fitted = TablePreprocessor().fit(data)
    predictor = predictor_of(fitted, (len(fitted.get_feature_names_out()),))
    filing.predict(predictor, tmp_path / "new.csv", tmp_path / "out.csv", size=9)
    written = (tmp_path / "out.csv").read_text()
    assert written.splitlines()[0] == "age;city;size;prediction;probability_of_no;probability_of_yes"
    table = pd.read_csv(tmp_path / "out.csv", sep=";", decimal=",")
    np.testing.assert_allclose(table["probability_of_yes"], predictor.predict_proba(data)[:, 1], rtol=1e-6)
    assert table["age"].tolist() == ROWS["age"].tolist()
