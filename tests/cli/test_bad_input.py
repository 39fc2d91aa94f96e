"""Bad input: exit code 2, one message that says where, what, and what would work, and nothing half-written."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from inline import Inline
from typer.testing import CliRunner

from lossreg.cli import app
from lossreg.tracking import tracker

GOOD = """
name = "study"
[data]
source = "rows.csv"
target = "y"
[model]
hidden = [4]
[train]
epochs = 1
[search]
trials = 2
metric = "accuracy"
[losses.cross_entropy]
[losses.focal]
gamma = { low = 0.0, high = 5.0 }
alpha = "none"
"""


def rows(n=60, y=None):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"a": rng.normal(size=n), "b": rng.normal(size=n), "y": rng.integers(0, 2, n) if y is None else y}
    )


def builder(body):
    return f"def build_model(hp):\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"


CASES = {
    "unknown loss": (
        "[losses.cross_entropy]", "[losses.fcoal]", ["losses.fcoal", "unknown loss", "Did you mean focal?"],
    ),
    "unknown parameter": ("gamma =", "gama =", ["losses.focal.gama", "unknown parameter", "Did you mean gamma?"]),
    "range upside down": ("low = 0.0, high = 5.0", "low = 5.0, high = 0.5", ["losses.focal.gamma", "upside down"]),
    "range outside the domain": ("low = 0.0", "low = -1.0", ["losses.focal.gamma", "domain"]),
    "missing file": ('source = "rows.csv"', 'source = "row.csv"', ["data", "row.csv", "Did you mean rows.csv?"]),
    "missing target column": ('target = "y"', 'target = "Y2"', ["Y2", "it has a, b, y"]),
    "no target column": ('target = "y"', "", ["target"]),
    "unknown metric": ('"accuracy"', '"acuracy"', ["search.metric", "acuracy", "Did you mean accuracy?"]),
    "metric of the wrong task": ('"accuracy"', '"r2"', ["search.metric", "r2", "regression"]),
    "a loss as metric": ('"accuracy"', '"val_loss"', ["search.metric", "val_loss"]),
    "unknown section": ("[search]", "[serach]", ["serach", "Did you mean search?"]),
    "wrong type": ("epochs = 1", 'epochs = "many"', ["train.epochs", "whole number"]),
    "no epochs": ("epochs = 1", "epochs = 0", ["train.epochs"]),
    "unknown optimizer": ("epochs = 1", 'epochs = 1\noptimizer = "adm"', ["train.optimizer", "Did you mean adam?"]),
    "wrong optimizer setting": (
        "epochs = 1", 'epochs = 1\noptimizer = { name = "adam", momentum = 0.9 }', ["train.optimizer", "momentum"],
    ),
    "a loss of the wrong task": ("[losses.cross_entropy]", "[losses.huber]", ["losses.huber", "regression"]),
    "probabilities wanted of a hinge": (
        '"accuracy"\n[losses.cross_entropy]', '"log_loss"\n[losses.hinge]', ["losses.hinge", "no probabilities"],
    ),
    "no TOML": ("[data]", "[data", ["line"]),
    "a malformed tracking URI": (
        "[losses.cross_entropy]", '[tracking]\nuri = "htp:/x"\n[losses.cross_entropy]', ["htp:/x"],
    ),
    "a class weight too many": ('alpha = "none"', "alpha = [1.0, 2.0, 3.0]", ["losses.focal.alpha", "3", "2 classes"]),
    "a build function that raises": (
        "hidden = [4]", 'build = "models.py:build_model"', ["models.py", "ZeroDivisionError", "line 2"],
    ),
    "a build function that is missing": (
        "hidden = [4]", 'build = "models.py:bild_model"', ["bild_model", "Did you mean build_model?"],
    ),
    "a build module that is missing": ("hidden = [4]", 'build = "nowhere.py:build_model"', ["nowhere.py"]),
}  # fmt: skip
DATA = {
    "no rows": (rows(0), ["no rows"]),
    "labels that are missing": (rows(60, [0.0, 1.0, np.nan] * 20), ["20"]),
    "one class only": (rows(60, [1] * 60), ["class"]),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(tracker, "Process", Inline)
    Path("study.toml").write_text(GOOD)
    rows().to_csv("rows.csv", index=False)
    Path("models.py").write_text(builder("1 / 0"))
    return tmp_path


def refused(folder, *args, parts):
    before = sorted(folder.rglob("*"))
    done = CliRunner().invoke(app, list(args))
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    message = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(message) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for words in parts:
        assert words in done.stderr
    after = [path for path in sorted(folder.rglob("*")) if "__pycache__" not in path.parts]
    assert after == before


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_in_the_study_file_is_one_message_and_leaves_no_trace(folder, case):
    right, wrong, message = CASES[case]
    assert GOOD.count(right) == 1
    Path("study.toml").write_text(GOOD.replace(right, wrong))
    refused(folder, "tune", "study.toml", parts=message)


@pytest.mark.parametrize("case", DATA)
def test_data_that_cannot_be_used_is_one_message_and_leaves_no_trace(folder, case):
    table, message = DATA[case]
    table.to_csv("rows.csv", index=False)
    refused(folder, "tune", "study.toml", parts=[*message, "data"])


def test_an_old_mlruns_store_is_found_before_anything_is_trained(folder):
    Path("mlruns/0").mkdir(parents=True)
    Path("mlruns/0/meta.yaml").write_text("artifact_location: x\n")
    refused(folder, "tune", "study.toml", parts=["mlruns", "mlflow migrate-filestore"])


def test_results_of_a_study_that_was_never_run(folder):
    refused(folder, "results", "study.toml", parts=["study", "not been run", "lossreg tune"])


def test_a_study_file_that_is_not_there(folder):
    refused(folder, "tune", "studi.toml", parts=["studi.toml", "Did you mean study.toml?"])


def test_an_override_that_is_wrong_is_said_to_be_one(folder):
    refused(folder, "tune", "study.toml", "--set", "serch.trials=3", parts=["--set", "Did you mean search?"])


def test_the_study_itself_is_sound(folder):
    done = CliRunner().invoke(app, ["tune", "study.toml", "--dry-run"])
    assert done.exit_code == 0, done.output


# --------------------------------------------------------- code of others that raises anything

FAILURES = {
    "an exit": ("raise SystemExit(7)", "SystemExit: 7"),
    "sys.exit": ("import sys; sys.exit('enough')", "SystemExit: enough"),
    "an end of a generator": ("raise GeneratorExit", "GeneratorExit"),
    "a base exception": ("raise BaseException('base')", "BaseException: base"),
    "an interrupt of its own": ("raise type('Stop', (KeyboardInterrupt,), {})('mine')", "Stop: mine"),
    "a mute exception": (
        "raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})", "Mute: its message cannot be read",
    ),
    "a recursion": ("def f(): return f()\nf()", "RecursionError"),
    "no memory": ("raise MemoryError", "MemoryError"),
    "half a character": ("raise ValueError('\\ud800')", r"ValueError: \ud800"),
    "many lines": ("raise ValueError('one\\n\\ntwo ' + 'x' * 5000)", "ValueError: one two xxx"),
}  # fmt: skip
PLACES = {
    "data": ('source = "rows.csv"\ntarget = "y"', 'source = "own.py:fail"', "data"),
    "model": ("hidden = [4]", 'build = "own.py:fail"', "model.build"),
    "loss": ("[losses.focal]\n", '[losses.own]\nfunction = "own.py:fail_loss"\n[losses.focal]\n', "losses.own"),
    "import": ("hidden = [4]", 'build = "broken.py:fail"', "model.build"),
}


ENDS = ("an exit", "an end of a generator", "a base exception", "an interrupt of its own", "a mute exception")


@pytest.mark.parametrize(
    ("failure", "place"),
    [*((failure, place) for failure in ENDS for place in ("data", "model", "loss")),
     *((failure, "model") for failure in FAILURES if failure not in ENDS), ("sys.exit", "import")],
)  # fmt: skip
def test_whatever_code_of_others_raises_is_one_message(folder, failure, place):
    body, message = FAILURES[failure]
    right, wrong, where = PLACES[place]
    assert GOOD.count(right) == 1
    Path("study.toml").write_text(GOOD.replace(right, wrong))
    Path("broken.py").write_text(body)
    functions = (("fail", ""), ("fail_loss", "y_true, y_pred"))
    Path("own.py").write_text("".join(f"def {f}({a}):\n{textwrap.indent(body, '    ')}\n" for f, a in functions))
    refused(folder, "tune", "study.toml", parts=[where, message])


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        # TensorFlow tries again for ten seconds
        pytest.param(
            "hidden = [4]",
            "hidden = [1_000_000, 1_000_000]",
            ["model.build", "cannot be built", "OOM"],
            marks=pytest.mark.long,
        ),
        ('"rows.csv"', f'"{"x" * 5000}.csv"', ["data"]),
        ('"rows.csv"', f'"{"x" * 5000}.py:f"', ["data"]),
        ("hidden = [4]", f'build = "{"x" * 5000}.py:f"', ["model.build", "too long"]),
        ("hidden = [4]", f'build = "{"d/" * 2500}x.py:f"', ["model.build", "too long"]),
        ("hidden = [4]", 'build = "~nobody/x.py:f"', ["model.build", "no such file"]),
        ("hidden = [4]", 'build = "loop.py:f"', ["model.build", "ymlink"]),
        ("[losses.focal]\n", f'[losses.own]\nfunction = "{"x" * 5000}.py:f"\n[losses.focal]\n', ["losses.own"]),
    ],
)
def test_what_no_system_has_is_one_message(folder, right, wrong, message):
    Path("loop.py").symlink_to("loop.py")
    Path("study.toml").write_text(GOOD.replace(right, wrong))
    refused(folder, "tune", "study.toml", parts=message)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            "tune rows.csv",
            "rows.csv: is data, and no study file. `lossreg init rows.csv --target COLUMN` writes a study",
        ),
        ("tune sklearn:iris", "sklearn:iris: is data, and no study file. `lossreg init sklearn:iris` writes a study"),
        ("results rows.csv", "rows.csv: is data, and no study file."),
        ("tune rows.csv --target y", "No such option: --target. `lossreg init` has it.\n"),
        ("tune study.toml --more 1.5", "Invalid value for '--more': '1.5' is not a whole number."),
        ("verdict study.toml --repeats many", "Invalid value for '--repeats': 'many' is not a whole number."),
    ],
)
def test_arguments_of_another_command_or_kind_are_told_what_would_work(folder, command, told):
    done = CliRunner().invoke(app, command.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
