"""docs/python.md, run; and the notebook, whose outputs are saved."""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import re
from pathlib import Path

import pytest
from fake_trainer import Fake
from inline import Inline

import lossreg
from lossreg.search import rows_given
from lossreg.tracking import tracker

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "python.md").read_text()
FILE = ROOT / "studies" / "notebooks" / "first_study.ipynb"
NOTEBOOK = json.loads(FILE.read_text())
CELLS = {cell["id"]: cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(tracker, "Process", Inline)


def test_the_page_runs_as_it_stands(folder, capsys):
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        quick = block.replace('"outer": 0, "repeats": 2', '"enabled": False')
        quick = quick.replace("settings={", 'settings={"tracking": {"enabled": False}, "search": {"confirm": 0}, ')
        exec(compile(quick, "python.md", "exec"), names)
    said = capsys.readouterr()
    assert said.err.count("lossreg.tune: reading the study") == 1
    assert len(names["result"].trials) == 24
    assert len(re.findall(r"^(?:cross_entropy|brier) 0\.", said.out, re.MULTILINE)) == 2
    assert "candidate" in said.out
    labels = names["predictor"].predict(names["rows"])
    assert (labels == names["labels"]).mean() > 0.5


def test_the_page_has_the_arguments_and_their_keys():
    rows = re.findall(r"^\| (`.+?`) \| (.*) \|$", PAGE, re.MULTILINE)
    said = [name for names, _ in rows for name in re.findall(r"`(\w+)`", names)]
    assert sorted(said) == sorted([*rows_given.ARGUMENTS.values(), "settings"])
    for key in rows_given.ARGUMENTS:
        assert key in " ".join(text for _, text in rows)


def test_the_page_has_the_columns_that_may_be_empty_and_what_a_call_leaves(folder):
    labels = ["no", "yes"] * 30
    rows = [[float(label == "yes"), number / 60] for number, label in enumerate(labels)]
    result = lossreg.tune(
        rows, labels, losses=["cross_entropy", "brier"], trials=2, epochs=1, progress=False,
        settings={"verdict": {"enabled": False}}, trainers=[Fake(lambda plan, epoch: 0.5)],
    )  # fmt: skip
    for table in (result.leaderboard(), result.trials_frame()):
        bare = table[table["candidate"] == "cross_entropy"].replace({"": None})
        for name in bare.columns[bare.isna().all()].drop(list(result.best.params), errors="ignore"):
            assert f"`{name}`" in PAGE
    for left in Path().iterdir():
        assert f"`{left.name}{'/' * left.is_dir()}`" in PAGE


# --------------------------------------------------------------------------- the notebook


def plain(output):
    return "".join(output["data"]["text/plain"])


def test_the_outputs_that_are_saved_are_whole_and_short():
    assert [cell["execution_count"] for cell in CELLS.values()] == list(range(1, len(CELLS) + 1))
    assert [name for name, cell in CELLS.items() if len(cell["outputs"]) != 1] == []
    [shown] = CELLS["tune"]["outputs"]
    assert plain(shown).startswith("study first_study: 24 trials, ")
    assert len(plain(shown).splitlines()) <= 6
    [drawn] = CELLS["plot"]["outputs"]
    assert base64.b64decode(drawn["data"]["image/png"]).startswith(b"\x89PNG")
    assert FILE.stat().st_size < 300_000


def test_the_outputs_name_no_machine():
    text = FILE.read_text()
    assert not re.search(r"/(home|root|tmp|usr|opt|Users|work)/|site-packages|[A-Z]:\\\\|https?://", text)
    assert not {"execution"} & {key for cell in NOTEBOOK["cells"] for key in cell["metadata"]}


@pytest.mark.long
def test_the_notebook_runs_and_says_what_is_saved(folder):
    names, values = {}, {}
    for name, cell in CELLS.items():
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            values[name] = value_of("".join(cell["source"]), names)
        [output] = cell["outputs"]
        if output["output_type"] == "stream":
            assert out.getvalue().startswith("lossreg.get(")
            continue
        for kind, method in (("text/html", "_repr_html_"), ("image/png", "_repr_png_")):
            shown = getattr(values[name], method, lambda: None)()
            assert name == "tune" or (kind in output["data"]) == (shown is not None)
    # what training decides differs in its last digits from machine to machine; this does not
    for name in ("data", "predictor", "mlflow"):
        assert repr(values[name]) == plain(CELLS[name]["outputs"][0])
    board = values["leaderboard"]
    assert board["trials"].sum() == 24
    saved = plain(CELLS["leaderboard"]["outputs"][0])
    assert all(candidate in saved for candidate in board["candidate"])


def value_of(source, names):
    """Run a cell; return the value of its last line, as a notebook shows it."""
    *first, last = ast.parse(source).body
    exec(compile(ast.Module(first, []), "cell", "exec"), names)
    if not isinstance(last, ast.Expr):
        exec(compile(ast.Module([last], []), "cell", "exec"), names)
        return None
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def test_every_argument_of_the_page_is_one_of_tune():
    import inspect

    assert {*rows_given.ARGUMENTS.values(), "settings", "progress"} <= set(inspect.signature(lossreg.tune).parameters)
