"""A hundred wrong inputs: what `lossreg tune --dry-run` says of files, columns, labels and keys that do not fit.

Study files with mistakes of their own are in `wrong_studies.py`, calls from Python in `test_wrong_calls.py`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from lossreg import cli

N = 40
TABLE = pd.DataFrame({
    "age": np.arange(N) * 1.5 + 20, "word": ["ab", "cd", "ef", "gh"] * 10, "when": ["2024-01-05", "2024-02-07"] * 20,
    "w": np.ones(N), "l1": [0, 1] * 20, "l2": [1, 1, 0, 0] * 10, "three": ["u", "v", "w", "u"] * 10,
    "y": ["yes", "no", "no", "no"] * 10,
})  # fmt: skip
CSV = TABLE.to_csv(index=False)
BLANK = TABLE.assign(y="").to_csv(index=False)
FEW = TABLE.assign(y=["yes", "no", *[""] * 38]).to_csv(index=False)
PLAIN = 'source = "rows.csv"'
FUNCTION = 'source = "mine.py:rows"'
Y = '\ntarget = "y"\n'
ROWS, PARQUET = PLAIN + Y, 'source = "rows.parquet"' + Y


def archive(*members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as held:
        for name, content in members:
            held.writestr(name, content)
    return stream.getvalue()


def parquet(**columns):
    stream = io.BytesIO()
    TABLE.assign(**columns).to_parquet(stream)
    return stream.getvalue()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def lines(*rows):
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)


def returned(code, before=""):
    return f"import numpy as np, pandas as pd\n{before}\ndef rows():\n    return {code}\n"


IMAGES = npz(x=np.zeros((N, 4, 4)), y=np.arange(N) % 2)
GOOD = {"age": 1.5, "y": "yes"}
EXCEL = "cannot be read" if find_spec("python_calamine") or find_spec("openpyxl") else "lossreg[excel]"
# the data section, the content of its file, and words of the message: what is wrong, where, what would work
CASES = [
    # the positive class
    (ROWS + 'positive = "x"', CSV, "data.positive: no class 'x'", "The classes are no, yes"),
    (ROWS + 'positive = "yess"', CSV, "data.positive: no class 'yess'", "Did you mean yes?"),
    (ROWS + "positive = 1", CSV, "data.positive: no class '1'", "The classes are no, yes"),
    (ROWS + "positive = true", CSV, "data.positive: no class 'True'", "The classes are no, yes"),
    (PLAIN + '\ntarget = "three"\npositive = "u"', CSV, "data.positive", "this one is multiclass", "Leave it out"),
    (PLAIN + '\ntarget = "age"\npositive = 20', CSV, "data.positive", "this one is regression", "Leave it out"),
    (PLAIN + '\ntarget = ["l1", "l2"]\npositive = 1', CSV, "data.positive", "this one is multilabel"),
    (ROWS + 'positive = "b"\ntask = "regression"', CSV, "task regression needs numbers", "multiclass"),
    # kinds of columns
    (ROWS + 'columns = { ages = "number" }', CSV, "data.columns: no column 'ages'", "Did you mean age?"),
    (ROWS + 'columns = { zzz = "drop" }', CSV, "data.columns: no column 'zzz'", "Columns: age, word"),
    (ROWS + 'columns = { y = "category" }', CSV, "data.columns: 'y' is the target", "data.task"),
    (ROWS + 'weight = "w"\ncolumns = { w = "number" }', CSV, "data.columns: 'w' holds the weights"),
    (ROWS + 'group = "word"\ncolumns = { word = "text" }', CSV, "data.columns: 'word' is the column of group, and"),
    (ROWS + 'split = "word"\ncolumns = { word = "category" }', CSV, "data.columns: 'word' is the column of split, and"),
    (ROWS + 'columns = { word = "date:dym" }', CSV, "data.columns.word: must be one of", "Did you mean date:"),
    (ROWS + 'time = "word"\ncolumns = { word = "date:dmy" }', CSV, "'word' is to be a date:dmy, and no value"),
    (ROWS + 'columns = { word = "number" }', CSV, "column word", "no value is one ('ab', 'cd'", "another kind"),
    (ROWS + 'columns = { word = "date" }', CSV, "column word", "is to be a date, and no value is one"),
    (ROWS + 'columns = { age = "date" }', CSV, "column age", "as it is read: number"),
    (ROWS + 'columns = { when = "number" }', CSV, "column when", "as it is read: date"),
    (ROWS + 'preprocess = "none"\ncolumns = { age = "date" }', CSV, "data.columns: 'age' is to be a date", "none"),
    (ROWS + 'drop = ["w", "l1", "l2", "three", "when"]\ncolumns = { age = "drop", word = "drop" }', CSV,
     "drop leaves no column", "Keep at least one"),
    ('source = "rows.npz"\ncolumns = { x0 = "number" }', IMAGES, "data.columns: is for tables"),
    (PARQUET + 'columns = { bag = "number" }', parquet(bag=[[1, 2]] * N), "column bag", "lists"),
    (FUNCTION + '\ncolumns = { a = "number" }',
     returned("{'a': np.zeros((40, 2)), 'b': np.zeros((40, 3))}, np.arange(40) % 2"), "data.columns", "several inputs"),
    # missing values and rows without a label
    (ROWS + "na_values = { ages = [9] }", CSV, "na_values names the column 'ages'", "Did you mean age?"),
    ('source = "rows.npz"\nna_values = [0]', IMAGES, "na_values are for tables", "Give NaN"),
    (ROWS + 'na_values = { y = ["yes"] }', CSV, "10 of 40 labels are missing", "lines 2, 6, 10, 14, 18",
     "drop_unlabelled = true"),
    (ROWS + 'na_values = { y = ["yes"] }\ndrop_unlabelled = true', CSV, "one class only (no)", "nothing to learn"),
    (ROWS + "drop_unlabelled = true", BLANK, "no row has a label"),
    (ROWS + "drop_unlabelled = true", FEW, "classes have a single row (no, yes)", "Drop or merge them"),
    (ROWS, FEW, "38 of 40 labels are missing", "drop_unlabelled"),
    (PLAIN + '\ntarget = "age"\nna_values = [20]', CSV, "1 of 40 labels is missing", "the first in line 2 of the file"),
    (PLAIN + '\ntarget = "y"\nweight = "w"\nna_values = { w = [1] }', CSV, "the weight of line 2 of the file is nan"),
    (ROWS + 'na_values = [0, 1, "ab", "cd", "ef", "gh", "u", "v", "w", "2024-01-05", "2024-02-07"]\ndrop = ["age"]',
     CSV, "no usable column among word"),
    # encoding and marks in numbers
    (ROWS + 'encoding = "utf-8"', CSV.replace("ab", "ä").encode("latin-1"), "is not text in utf-8", '"cp1252"'),
    (ROWS + 'encoding = "ascii"', CSV.replace("ab", "ä"), "is not text in ascii", 'or set "utf-8"'),
    (ROWS + 'encoding = "utf-16"', CSV, "is not text in utf-16", 'or set "utf-8"'),
    (PARQUET + 'encoding = "latin-1"', parquet(), "data.encoding: belongs to text files", "Leave it"),
    ('source = "sklearn:iris"\nencoding = "latin-1"', "", "data.encoding: belongs to text files"),
    (PLAIN + '\ntarget = "age"\ndecimal = ","', CSV, "classes have a single row", "The labels: numbers in another"),
    (PLAIN + '\ntarget = "age"\ntask = "regression"\ndecimal = ","', CSV, "numbers with a decimal ','", "'20.0'"),
    (ROWS + 'decimal = ","\npreprocess = "none"\ndrop = ["word", "when", "three"]', CSV, "column age holds '2"),
    (ROWS + 'thousands = "."\ncolumns = { age = "number" }', CSV, "column age", "is to be a number"),
    (ROWS + 'sheet = "a"', CSV, "data.sheet: belongs to spreadsheets", "Leave it out"),
    # compressed files
    ('source = "rows.csv.zip"' + Y, archive(("a.csv", CSV), ("b.csv", CSV)), "an archive of 2 files", "Unpack it"),
    ('source = "rows.csv.zip"' + Y, archive(), "an archive of 0 files (none)", "Unpack it"),
    ('source = "rows.csv.zip"' + Y, archive(("folder/", "")), "an archive of 0 files"),
    ('source = "rows.csv.zip"' + Y, b"PK no", "cannot be read", "not a zip file"),
    ('source = "rows.csv.zip"' + Y, archive(("a.csv", CSV))[:300], "cannot be read"),
    ('source = "rows.csv.zip"' + Y, archive(("a.csv", "a,y\0\n")), "NUL character", "UTF-8"),
    ('source = "rows.csv.bz2"' + Y, b"no", "cannot be read"),
    ('source = "rows.csv.bz2"' + Y, bz2.compress(CSV.encode())[:99], "cannot be read"),
    ('source = "rows.csv.xz"' + Y, b"no", "cannot be read"),
    ('source = "rows.csv.xz"' + Y, lzma.compress(CSV.encode())[:99], "cannot be read"),
    ('source = "rows.csv.zst"' + Y, b"no", "cannot be read"),
    ('source = "rows.csv.gz"' + Y, gzip.compress(CSV.encode())[:99], "cannot be read"),
    ('source = "rows.csv.gz"' + Y, CSV, "cannot be read"),
    ('source = "rows.csv.xz"' + Y, lzma.compress(b""), "no rows: the file is empty"),
    ('source = "rows.csv.rar"' + Y, CSV, "unsupported file type .csv.rar", ".csv, .tsv, .jsonl (also with .gz"),
    ('source = "rows.tar.gz"' + Y, CSV, "unsupported file type .tar.gz", "Known: "),
    # JSON lines, Feather, spreadsheets
    ('source = "rows.jsonl"' + Y, "", "no rows: the file is empty"),
    ('source = "rows.jsonl"' + Y, lines(GOOD, '{"age": 1'), "line 2 is not JSON", "one JSON object per line"),
    ('source = "rows.jsonl"' + Y, json.dumps([GOOD]), "line 1 is no JSON object but list", '{"a": 1, "y": 0}'),
    ('source = "rows.jsonl"' + Y, json.dumps([GOOD], indent=1), "line 1 is not JSON", "This is one document"),
    ('source = "rows.ndjson"' + Y, lines(GOOD, "3"), "line 2 is no JSON object but int"),
    ('source = "rows.jsonl"' + Y, lines('{"age": 1, "age": 2, "y": 0}'), "line 1 has the key 'age' twice"),
    ('source = "rows.jsonl"' + Y, lines(GOOD, "[" * 100_000), "line 2 is nested too deeply"),
    ('source = "rows.jsonl"' + Y, lines(GOOD).replace("yes", "ä").encode("latin-1"), "cannot be read", "utf-8"),
    ('source = "rows.jsonl"\ntarget = "z"', lines(GOOD, GOOD), "no column 'z'; it has age, y"),
    ('source = "rows.jsonl"' + Y, lines(*({**GOOD, "y": {"a": 1}} for _ in range(9))), "the target holds lists"),
    ('source = "rows.json"' + Y, "[]", "unsupported file type .json", ".jsonl"),
    ('source = "rows.feather"' + Y, b"no feather", "data: cannot be read"),
    ('source = "rows.feather"' + Y, "", "data: cannot be read", "too small"),
    ('source = "rows.xlsx"' + Y, b"PK no", EXCEL),
    ('source = "rows.xls"' + Y, b"no", EXCEL if find_spec("python_calamine") else "lossreg[excel]"),
    (PARQUET + 'sheet = "a"', parquet(), "data.sheet: belongs to spreadsheets"),
    # labels
    (ROWS, TABLE.assign(y="yes").to_csv(index=False), "one class only (yes)", "nothing to learn"),
    (ROWS, TABLE.assign(y=["yes", "no"] + ["maybe"] * 38).to_csv(index=False), "2 of 3 classes have a single row"),
    (PARQUET, parquet(y=pd.date_range("2024", periods=N)), "the target holds dates"),
    (PARQUET, parquet(y=pd.to_timedelta(np.arange(N), "h")), "the target holds durations"),
    (PARQUET, parquet(y=[[1]] * N), "the target holds lists", 'target = ["a", "b"]'),
    (PLAIN + '\ntarget = "when"', CSV, "the target holds dates", "Choose a column"),
    (PLAIN + '\ntarget = ["l1", "word"]', CSV, "target column 'word' holds 'ab'", "Recode it"),
    (PLAIN + '\ntarget = ["l1", "age"]', CSV, "2 numbers per row (l1, age) to predict", "Only labels of 0 and 1"),
    (PLAIN + '\ntarget = "l1"\ntask = "multilabel"', CSV, "needs several labels per row", 'target = ["a", "b"]'),
    (PLAIN + '\ntarget = "age"\ntask = "binary"', CSV, "40 classes (20, 21.5", 'task = "multiclass"'),
    (PLAIN + '\ntarget = "Y"', CSV, "no column 'Y'", "it has age"),
    (PLAIN + '\ntarget = "y"\nweight = "wieght"', CSV, "no column 'wieght' for the weights"),
    (PLAIN + '\ntarget = "y"\nweight = "word"', CSV, "weight"),
    (PLAIN + '\ntarget = "age"\ntask = "positive"', TABLE.assign(age=TABLE.age - 30).to_csv(index=False),
     "task positive needs labels of 0 and more", 'task = "regression"'),
    # cuts: groups, times, parts and files of them
    (ROWS + 'group = "wrod"', CSV, "no column 'wrod' for group", "Did you mean word?"),
    (ROWS + 'group = "y"', CSV, 'data.group: "y" is the target'),
    (ROWS + 'group = "word"\ndrop = ["word"]', CSV, "word"),
    (ROWS + 'group = "word"', CSV.replace(",ab,", ",,"), "group = 'word': 10 of 40 rows have none",
     "Remove these rows"),
    (ROWS + 'group = "l1"', CSV, "group = 'l1' has 2 values", "3 groups at least"),
    (ROWS + 'group = "w"', CSV, "group = 'w' has 1 value,", "3 groups at least"),
    (ROWS + 'time = "wehn"', CSV, "no column 'wehn' for time", "Did you mean when?"),
    (ROWS + 'time = "when"', CSV, "time = 'when' has 2 distinct values", "3 at least"),
    (ROWS + 'time = "word"', CSV, "time = 'word' has neither numbers nor dates", "2024-01-31"),
    (ROWS + 'time = "age"', CSV.replace("\n20.0,", "\n,"), "time = 'age': 1 of 40 rows has none",
     "in line 2 of the file"),
    (ROWS + 'time = "age"\ngroup = "word"', CSV, "time", "group"),
    (ROWS + 'time = "age"\nsplit = "word"', CSV, "time", "split"),
    (ROWS + 'split = "prat"', CSV, "no column 'prat' for split", "Columns: age, word"),
    (ROWS + 'split = "word"', CSV, "split = 'word' has 'ab', which names no part", '"train"'),
    (ROWS + 'split = "part"', TABLE.assign(part="train").to_csv(index=False), "training rows only", '"test"'),
    (ROWS + 'split = "part"', TABLE.assign(part=["test", "val"] * 20).to_csv(index=False), "has no training row"),
    (ROWS + 'split = "part"', TABLE.assign(part=["train", "tset"] * 20).to_csv(index=False), "'tset'", "Did you mean "),
    (ROWS + 'split = "part"\ngroup = "l2"',
     TABLE.assign(part=["train", "test"] * 20, l2=np.arange(N) % 5).to_csv(index=False),
     "5 groups of 'l2' have rows in more than one of the given parts", "Put each group into one part"),
    (ROWS + 'test = "none.csv"', CSV, "data.test: no such file: none.csv"),
    (ROWS + 'test = "rows.csv"\nvalidation = "none.csv"', CSV, "data.validation: no such file: none.csv"),
    (ROWS + 'test = "rows.txt"', CSV, "data.test: rows.txt",
     "is no file that test or validation rows can be read from"),
    (ROWS + 'test = "rows.csv"\nsplit = "word"', CSV, "split", "rows.csv", "Keep one of them"),
    (FUNCTION + '\ngroup = "who"', returned("np.zeros((40, 2)), np.arange(40) % 2"),
     "group = 'who' names no array", '{"x": x'),
    (FUNCTION + '\ngroup = "who"', returned("{'x': np.zeros((40, 2)), 'y': np.arange(40) % 2, 'who': np.arange(9)}"),
     "x has 40 rows and who, for group, has 9"),
    # data from Python
    (FUNCTION, returned("None"), "returned None, which is no data", "Return (x, y)"),
    (FUNCTION, returned("np.zeros((40, 2)), np.zeros(40)"), "one class only"),
    (FUNCTION, returned("np.zeros((40, 2)), np.arange(39)"), "x has 40 rows and y has 39"),
    (FUNCTION, returned("np.zeros((0, 2)), np.zeros(0)"), "no rows"),
    (FUNCTION, returned("np.array([[1j]] * 40), np.arange(40) % 2"), "complex numbers", "two columns"),
    (FUNCTION, returned("np.zeros((40, 2)), np.array([1j] * 40)"), "complex numbers", "the real part"),
    (FUNCTION, returned("{}, np.arange(40)"), "x has no inputs"),
    (FUNCTION, returned("{'a/b': np.zeros((40, 2))}, np.arange(40)"), "'a/b' names no input"),
    (FUNCTION, returned("{'a': np.zeros((4, 2)), 'b': np.zeros((5, 2))}, np.arange(4)"), "different numbers of rows"),
    (FUNCTION, returned("pd.DataFrame({'a': [1], 'y': [0]})"), "needs a target column", "Set target to one of: a, y"),
    (FUNCTION, returned("iter([1, 2])"), "which is no data", "Return (x, y)"),
    (FUNCTION, returned("1 / 0"), "ZeroDivisionError", "mine.py, line 4"),
    (FUNCTION, returned("(", ""), "mine.py", "SyntaxError"),
    (FUNCTION, returned("exit(3)"), "SystemExit"),
    (FUNCTION, returned("1", "raise ImportError('not there')"), "not there"),
    ('source = "mine.py:row"', returned("1"), "has no row", "Did you mean rows?"),
    (FUNCTION + '\ntarget = "yy"', returned("pd.DataFrame({'a': [1, 2], 'y': [0, 1]})"), "no column 'yy'", "mean y?"),
    (FUNCTION, returned("np.zeros((40, 2)), np.arange(40) % 2, np.full(40, -1.0)"), "row 1 of the data is -1.0"),
    (FUNCTION + '\ntarget = "y"\nsplit = "p"\ntest = 0.3',
     returned("pd.DataFrame({'a': range(40), 'y': [0, 1] * 20, 'p': ['train'] * 30 + ['test'] * 10})"),
     "data.test: 0.3 is a share of the rows, and the column 'p' gives test", "Leave out data.test, or data.split."),
    (FUNCTION, returned("(np.zeros((4, 2)), np.arange(4)), (np.zeros((4, 3)), np.arange(4))"), "different columns"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli.studies, "import_keras", lambda: None)
    return tmp_path


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def test_there_are_a_hundred_and_none_stands_twice():
    assert len({(keys, repr(content)) for keys, content, *_ in CASES}) == len(CASES) >= 100


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{i}-{case[2][:40]}" for i, case in enumerate(CASES)])
@pytest.mark.parametrize("command", [["--dry-run"], []], ids=["dry run", "tune"])
def test_a_wrong_input_is_one_message(folder, number, command):
    keys, content, *words = CASES[number]
    source = keys.splitlines()[0].split('"')[1].partition(":")[0]
    if source != "sklearn":
        Path(source).write_bytes(content if isinstance(content, bytes) else content.encode())
    Path("study.toml").write_text(f"[data]\n{keys}\n[tracking]\nenabled = false\n")
    before = {path: path.read_bytes() for path in files(folder)}
    done = CliRunner().invoke(cli.app, ["tune", "study.toml", *command])
    assert done.exit_code == 2, (done.output[-500:], done.exception)
    said = done.stderr.removeprefix("study study: starting\n").removeprefix("study study: loading data and losses\n")
    assert said.startswith("Error: study.toml: data"), done.stderr
    assert "\nError: " not in said
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 1500
    for part in words:
        assert part in done.stderr, done.stderr
    assert {path: path.read_bytes() for path in files(folder)} == before
    assert not [path for path in folder.rglob("*") if path.is_dir() and path.name != "__pycache__"]
