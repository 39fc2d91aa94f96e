"""The command line: exit codes, one message, one JSON document, and what is imported for it."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import commands
import numpy as np
import optuna
import pytest
import sample_study as sample
import sample_verdict
from rich.console import Console

from lossreg import cli, tracking
from lossreg.data.preprocess import AsGiven
from lossreg.data.preprocessor_file import load_preprocessor
from lossreg.errors import LossregError, UnansweredError
from lossreg.metrics import catalogue
from lossreg.registry import registry
from lossreg.registry.discovery import PluginReport
from lossreg.reporting import leaderboard, report, state, values, verdict
from lossreg.reporting import progress as terminal
from lossreg.reporting.pace import clock
from lossreg.search import follower, history, more, outline, restore, run
from lossreg.storage import study_folder
from lossreg.storage.reached import Reached
from lossreg.storage.study_folder import ATTRIBUTE, StudyFolder
from lossreg.storage.study_result import StudyResult
from lossreg.storage.verdict import Reevaluated
from lossreg.terminal import browser, streams

STUDY = """
[data]
source = "sklearn:breast_cancer"
[search]
trials = 12
"""


@pytest.fixture
def lossreg(monkeypatch, capfd):
    return commands.runner(monkeypatch, capfd)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(cli.studies, "import_keras", lambda: None)
    path = Path("toy.toml")
    path.write_text(STUDY)
    return path


@pytest.fixture
def finished(monkeypatch):
    """A search that is done at once; `calls` has what it was asked for."""
    calls = SimpleNamespace(
        result=sample.study(12, tracking={"uri": "sqlite:///x.db", "experiment": "toy", "run_id": "abc"})
    )

    def tune(spec, folder, progress, switches):
        calls.spec, calls.fresh, calls.require = spec, switches.fresh, switches.require_tracking
        sys.stdout.write("what Keras prints\n")
        progress.message("loading")
        progress.begin(12, 0, list(calls.result.losses), 4)
        shown = dataclasses.replace(calls.result, trials=[])
        for trial in calls.result.trials:
            shown.trials.append(trial)
            progress.epoch(4, trial.number)
            progress.trial(trial, shown)
        progress.warn("something is odd")
        progress.trained(calls.result)
        progress.end(calls.result)
        return calls.result

    monkeypatch.setattr(run, "go_on", tune)
    monkeypatch.setattr(history, "results", lambda spec: calls.result)
    return calls


# ------------------------------------------------------------------------------- listings


def test_listing_and_help_import_nothing_heavy():
    """The promise is 0.7 s on a quiet machine; what makes it true is what is not imported."""
    script = """
    import sys, io, contextlib
    from lossreg import cli
    heavy = "keras tensorflow mlflow optuna sklearn keras_tuner pandas scipy matplotlib numpy pydantic".split()
    for line in ("--help", "--version", "tune --help", "losses", "losses --json", "show focal", "plugins"):
        sys.argv = ["lossreg", *line.split()]
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
            cli.main()
        assert out.getvalue(), line
        print(line, [name for name in heavy if name in sys.modules])
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert all(line.endswith(" []") for line in done.stdout.splitlines()), done.stdout
    assert len(done.stdout.splitlines()) == 7


COMMANDS = {
    "losses": ("--task", "--json"),
    "show": ("NAME", "--plot", "--all"),
    "plugins": ("--json",),
    "metrics": ("--task", "--json"),
    "check": ("NAME", "--json"),
    "new-plugin": ("NAME", "--folder", "--task"),
    "init": ("DATA", "--target", "--out", "--json"),
    "tune": ("STUDY", "--set", "--fresh", "--allow-changed", "--more", "--dry-run", "--require-tracking", "--json"),
    "worker": ("STUDY", "--device", "--ray", "--workers", "--set", "--json"),
    "results": ("STUDY", "--json"),
    "watch": ("STUDY",),
    "verdict": ("STUDY", "--repeats", "--set", "--json"),
    "report": ("STUDY", "--output"),
    "compare": ("STUDY", "--json"),
    "model": ("STUDY", "--trial", "--loss", "--output"),
    "predict": ("STUDY", "DATA", "--output", "--trial", "--loss", "--train"),
    "export": ("STUDY", "DIR", "--trial", "--loss", "--train", "--onnx"),
    "sync": ("STUDY",),
    "repair": ("STUDY",),
    "ui": ("STUDY", "--port", "--all", "--no-browser"),
}


def test_help_names_every_command(lossreg):
    code, out, err = lossreg("--help")
    assert (code, err) == (0, "")
    assert all(command in out for command in COMMANDS)
    assert set(COMMANDS) == {command.name or command.callback.__name__ for command in cli.app.registered_commands}


def test_no_summary_of_a_command_is_cut_at_80_columns(lossreg, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert "..." not in lossreg("--help")[1].partition("Commands:")[2]
    assert "[NAME]..." in lossreg("show", "--help")[1]


@pytest.mark.parametrize(("command", "options"), COMMANDS.items(), ids=list(COMMANDS))
def test_help_of_a_command_names_every_option(lossreg, command, options):
    code, out, err = lossreg(command, "--help")
    assert (code, err) == (0, "")
    assert all(option in out for option in (*options, "--help"))


def test_version(lossreg):
    assert lossreg("--version")[:2] == (0, "lossreg 0.3.0\n")


def test_losses_as_json_has_what_is_promised(lossreg):
    code, out, _ = lossreg("losses", "--json")
    assert code == 0
    losses = json.loads(out)
    assert [loss["name"] for loss in losses] == [entry.spec.name for entry in registry.default().specs()]
    for loss in losses:
        assert {"name", "aliases", "tasks", "params", "plugin", "distribution", "version", "reference"} <= set(loss)
        assert all({"at", "equals", "of", "factor"} == set(limit) for limit in loss["limits"])
        for param in loss["params"]:
            assert {"name", "kind", "low", "high", "log", "default", "choices"} <= set(param)
    huber = next(loss for loss in losses if loss["name"] == "huber")["params"][0]
    assert (huber["kind"], huber["log"], huber["choices"]) == ("float", True, None)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_losses_of_a_task(lossreg, task):
    code, out, _ = lossreg("losses", "--task", task, "--json")
    assert code == 0
    assert all(task in loss["tasks"] for loss in json.loads(out))
    for entry in registry.default().for_task(task):
        assert entry.spec.name in lossreg("losses", "--task", task)[1]


def test_losses_stand_under_their_tasks_and_say_what_they_are_for(lossreg, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = [line.strip() for line in lossreg("losses")[1].splitlines()]
    places = {name: lines.index(name) for name in ("binary, multiclass", "multilabel", "regression, positive, count")}
    assert list(places.values()) == sorted(places.values())
    focal = next(place for place, line in enumerate(lines) if line.startswith("focal "))
    assert places["binary, multiclass"] < focal < places["multilabel"]
    assert "Cross-entropy that fades" in lines[focal]
    assert "gamma, alpha" in lines[focal]
    assert "builtin" in lines[focal]


def test_a_narrow_terminal_has_names_and_parameters(lossreg, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = lossreg("losses")[1]
    assert "fades" not in out
    assert all(len(line.rstrip()) <= 80 for line in out.splitlines())
    assert all(entry.spec.name in out for entry in registry.default().specs())


@pytest.mark.parametrize("columns", [None, "0", "7"])
def test_tables_are_not_cut_where_the_width_is_unknown(lossreg, monkeypatch, columns):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    out = lossreg("losses")[1]
    assert "…" not in out
    assert "regression, positive, count" in out


@pytest.mark.parametrize("name", ["focal", "FOCAL", "CategoricalFocalCrossentropy"])
def test_show_finds_a_loss_by_name_alias_or_class_name(lossreg, name):
    code, out, _ = lossreg("show", name)
    assert code == 0
    assert out.startswith("focal")
    assert "gamma = 0 is cross_entropy" in out


def test_show_of_several_losses_has_a_page_each(lossreg):
    out = lossreg("show", "huber", "mse")[1]
    assert out.startswith("huber")
    assert "\nmean_squared_error\n" in out


@pytest.fixture
def folder(tmp_path, monkeypatch, capfd):
    cli.shell.import_keras()
    # the first import is announced
    capfd.readouterr()
    monkeypatch.chdir(tmp_path)
    return tmp_path


START = {"loss.png": b"\x89PNG", "loss.svg": b"<?xml", "loss.PDF": b"%PDF"}


@pytest.mark.parametrize("name", START)
def test_show_draws_a_loss_in_the_format_of_the_ending(lossreg, folder, name):
    code, out, err = lossreg("show", "focal", "--plot", name)
    assert (code, out, err) == (0, f"wrote {name}\n", "")
    assert Path(name).read_bytes().startswith(START[name])


def test_show_draws_a_sheet_of_several_losses(lossreg, folder):
    assert lossreg("show", "focal", "huber", "--plot", "sheet.svg")[0] == 0
    text = Path("sheet.svg").read_text()
    assert text.count('id="axes_') == 2


def test_show_all_draws_a_gallery_with_an_index_and_says_how_far_it_is(lossreg, folder, monkeypatch):
    few = registry.Registry(registry.default().specs()[:3], registry.default().plugins)
    monkeypatch.setattr(registry, "default", lambda *args: few)
    code, out, err = lossreg("show", "--all", "--plot", "new/gallery")
    names = [entry.spec.name for entry in few.specs()]
    assert (code, out) == (0, "wrote new/gallery/index.md\n")
    assert err.splitlines() == [f"{n}/3 {name}" for n, name in enumerate(names, start=1)]
    files = sorted(path.name for path in Path("new/gallery").iterdir())
    assert files == sorted(["index.md", *(f"{name}.png" for name in names)])


@pytest.mark.long
def test_drawing_hushes_the_start_of_tensorflow(folder):
    command = [sys.executable, "-m", "lossreg", "show", "hinge", "--plot", "x.png"]
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet)
    assert (done.returncode, done.stdout) == (0, "wrote x.png\n")
    assert done.stderr == "importing TensorFlow, which takes some seconds\n"


def test_metrics_as_json(lossreg):
    code, out, _ = lossreg("metrics", "--task", "regression", "--json")
    assert code == 0
    assert [metric["name"] for metric in json.loads(out)] == [
        metric.name for metric in catalogue.available("regression")
    ]
    assert all(metric["direction"] in ("maximize", "minimize") for metric in json.loads(out))
    assert "r2" in lossreg("metrics")[1]


def test_a_broken_plugin_is_a_line_on_standard_error(lossreg, monkeypatch):
    broken = PluginReport("bad", "bad-dist", "1.2", error="ImportError: no module", warnings=("it is slow",))
    with_broken = registry.Registry(registry.default().specs(), [*registry.default().plugins, broken])
    monkeypatch.setattr(registry, "default", lambda *args: with_broken)
    for command in ("losses", "plugins"):
        code, out, err = lossreg(command, "--json")
        assert code == 0
        assert err.splitlines() == [f"Warning: {line}" for line in broken.lines]
        assert json.loads(out)
    [plugin] = [one for one in json.loads(lossreg("plugins", "--json")[1]) if one["name"] == "bad"]
    assert plugin == {
        "name": "bad", "distribution": "bad-dist", "version": "1.2", "losses": [], "error": "ImportError: no module",
        "warnings": ["it is slow"],
    }  # fmt: skip
    assert "refused" in lossreg("plugins")[1]


# ------------------------------------------------------------------------------- mistakes

MISTAKES = {
    "unknown command": (["tun", "x.toml"], "Did you mean 'tune'?"),
    "no study": (["tune"], "Missing argument 'STUDY'"),
    "unknown option": (["losses", "--jsn"], "--json"),
    "bad port": (["ui", "--port", "0"], "--port"),
    "no such study": (["tune", "nowhere.toml"], "nowhere.toml"),
    "never run": (["results", "toy.toml"], "has not been run yet"),
    "nothing to sync": (["sync", "toy.toml"], "has not been run yet"),
    "unknown loss": (["show", "focl"], "Did you mean focal?"),
    "no loss to show": (["show"], "NAME"),
    "a picture of an unknown loss": (["show", "focl", "--plot", "x.png"], "Did you mean focal?"),
    "a picture in an unknown format": (["show", "focal", "--plot", "x.gif"], ".png, .svg and .pdf"),
    "a picture without an ending": (["show", "focal", "--plot", "x"], ".png, .svg and .pdf"),
    "a picture in no folder": (["show", "focal", "--plot", "nowhere/x.png"], "there is no folder nowhere"),
    "a picture below a file": (["show", "focal", "--plot", "toy.toml/x.png"], "toy.toml"),
    "a picture that is a folder": (["show", "focal", "--plot", "."], "is a folder"),
    "a gallery below a file": (["show", "--all", "--plot", "toy.toml/x"], "cannot be written"),
    "a gallery in an unknown format": (["show", "--all", "--plot", "x.gif"], ".png, .svg and .pdf"),
    "all losses, but where": (["show", "--all"], "--plot"),
    "all losses and one": (["show", "focal", "--all", "--plot", "x"], "NAME"),
    "check of an unknown loss": (["check", "focl"], "Did you mean focal?"),
    "unknown task": (["losses", "--task", "bin"], "Did you mean binary?"),
    "unknown task of metrics": (["metrics", "--task", "bin"], "Did you mean binary?"),
    "unknown key": (["tune", "toy.toml", "--set", "search.trails=3"], "trials"),
    "malformed override": (["tune", "toy.toml", "--set", "search.trials"], "search.trials"),
    "a worker without a storage": (["worker", "toy.toml"], "storage.url: is not set"),
    "a worker on no device": (
        ["worker", "toy.toml", "--set", "storage.url=grpc://127.0.0.1:9", "--device", "tpu"],
        "It is cpu, gpu, or gpu:N",
    ),
    "workers without Ray": (
        ["worker", "toy.toml", "--set", "storage.url=grpc://127.0.0.1:9", "--workers", "2"],
        "--workers: belongs to --ray",
    ),
    "a numbered GPU on Ray": (
        ["worker", "toy.toml", "--set", "storage.url=grpc://127.0.0.1:9", "--ray", "auto", "--device", "gpu:1"],
        "With --ray it is cpu or gpu",
    ),
    "a storage of SQLite": (["tune", "toy.toml", "--set", "storage.url=sqlite:///x.db"], "SQLite has one writer"),
    "results of a folder": (["results", "."], "Error: "),
    "a page of no study": (["report", "toy.toml"], "has not been run yet"),
    "a page that is no page": (["report", "toy.toml", "-o", "toy.pdf"], "must end in .html"),
    "a page of a study with another name": (["report", "ty.toml"], "Did you mean toy.toml?"),
    "one study beside none": (["compare", "toy.toml"], "Name another one"),
    "studies that were never run": (["compare", "toy.toml", "toy.toml"], "has not been run yet"),
}


@pytest.mark.parametrize(("args", "message"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_is_one_message_and_exit_2(lossreg, study, args, message):
    code, out, err = lossreg(*args)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("Error") == 1
    assert "Traceback" not in err
    assert [path.name for path in Path().iterdir()] == ["toy.toml"], "nothing half-written"


def test_debug_shows_the_traceback(lossreg, monkeypatch):
    monkeypatch.setenv("LOSSREG_DEBUG", "1")
    code, _, err = lossreg("show", "focl")
    assert code == 2
    assert "Traceback" in err
    assert "UnknownError" in err


@pytest.mark.parametrize("command", ["tune", "results"])
def test_a_store_that_lacks_runs_is_not_recommended_to_look_at(lossreg, study, finished, command):
    code, out, _ = lossreg(command, study)
    assert code == 0
    assert re.search(r"^Look closer: +lossreg ui toy.toml$", out, re.MULTILINE)
    finished.result.tracking["error"] = "no room is left on the disk of x.db: make room there"
    code, out, _ = lossreg(command, study)
    assert (code, "Look closer" in out) == (0, False)
    assert "MLflow lacks some of it (no room is left on the disk of x.db: make room there)" in out
    assert "lossreg sync toy.toml\n" in out
    finished.result.overrides = ["search.trials=12", "tracking.uri=http://me:word@x:5000"]
    given = [part for one in finished.result.overrides for part in ("--set", one)] if command == "tune" else ()
    _, out, _ = lossreg(command, study, *given)
    assert "lossreg sync toy.toml --set 'tracking.uri=http://me:***@x:5000'\n" in out


BEGUN = "study toy: starting\n"
ENDS = {
    1: (LossregError("no trial completed: 12 failed"), "Error: no trial completed: 12 failed"),
    130: (KeyboardInterrupt(), "Interrupted. Finished trials are kept; go on with: lossreg tune toy.toml"),
}


@pytest.mark.parametrize("code", ENDS)
def test_what_ends_a_study_early(lossreg, study, monkeypatch, code):
    error, message = ENDS[code]
    monkeypatch.setattr(run, "go_on", lambda *args, **kwargs: throw(error))
    for option in ([], ["--json"]):
        assert lossreg("tune", study, *option) == (code, "", f"{BEGUN}{message}\n")


def test_the_command_that_goes_on_with_a_study_has_its_overrides_without_secrets(lossreg, study, monkeypatch):
    monkeypatch.setattr(run, "go_on", lambda *args, **kwargs: throw(KeyboardInterrupt()))
    store = "tracking.uri=http://me:hidden-word@127.0.0.1:5000"
    given = ["--set", "search.trials=20", "--set", 'search.metric="accuracy"', "--set"]
    code, _, err = lossreg("tune", study, *given, store)
    assert code == 130
    command = err.strip().partition("go on with: ")[2]
    assert shlex.split(command) == ["lossreg", "tune", "toy.toml", *given, "tracking.uri=http://me:***@127.0.0.1:5000"]


@pytest.mark.parametrize(
    ("is_training", "error", "code"),
    [(True, LossregError, 1), (True, UnansweredError, 130), (False, LossregError, 130)],
)
def test_a_failure_after_ctrl_c_is_told_unless_it_follows_from_the_signal(
    lossreg, study, monkeypatch, *, is_training, error, code
):
    def tune(spec, folder, progress, switches):
        progress.training = is_training
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            assert not is_training
        raise error("no room left")

    monkeypatch.setattr(run, "go_on", tune)
    ended, out, err = lossreg("tune", study)
    assert (ended, out) == (code, "")
    assert err.splitlines()[-1] == {1: "Error: no room left", 130: ENDS[130][1]}[code]


def test_what_nobody_expected_is_one_line_too(lossreg, study, monkeypatch):
    monkeypatch.setattr(run, "go_on", lambda *args, **kwargs: throw(ZeroDivisionError("oops")))
    message = "Error: ZeroDivisionError: oops (unexpected; LOSSREG_DEBUG=1 shows where)\n"
    assert lossreg("tune", study) == (1, "", BEGUN + message)


def throw(error):
    raise error


# --------------------------------------------------------------------------------- studies


def test_tune_hands_its_options_on(lossreg, study, finished):
    code, *_ = lossreg(
        "tune", study, "--set", "search.trials=3", "--set", "train.epochs=2", "--fresh", "--require-tracking"
    )
    assert code == 0
    assert (finished.spec.search.trials, finished.spec.train.epochs) == (3, 2)
    assert (finished.fresh, finished.require) == (True, True)
    lossreg("tune", study)
    assert (finished.spec.search.trials, finished.fresh, finished.require) == (12, False, False)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--more", "4"], "was never run"),
        (["--more", "4", "--dry-run"], "was never run"),
        (["--more", "4", "--fresh"], "--fresh starts over"),
        (["--more", "0"], "--more"),
        (["--more", "many"], "--more"),
    ],
)
def test_trials_are_added_to_a_study_that_was_begun_alone(lossreg, study, options, told):
    code, out, err = lossreg("tune", study, *options)
    assert (code, out, told in err, "Traceback" in err) == (2, "", True, False)


@pytest.mark.parametrize("command", ["tune", "results"])
def test_the_end_of_a_study_says_what_won_and_where_to_look(lossreg, study, finished, command):
    code, out, err = lossreg(command, study)
    assert code == 0
    best = finished.result.best
    for part in (
        *finished.result.losses,
        best.recipe,
        report.caveat(finished.result),
        "lossreg ui toy.toml",
        "1 failed, 1 diverged",
    ):
        assert part in out
    assert ("something is odd" in err) == (command == "tune")
    assert ("There is no verdict yet. `lossreg tune toy.toml`" in out) == (command == "results")


@pytest.mark.parametrize("command", ["tune", "results"])
def test_the_end_of_a_study_has_a_block_of_next_steps(lossreg, study, finished, command):
    assert lossreg(command, study)[1].splitlines()[-4:] == [
        "Predict new rows: lossreg predict toy.toml ROWS -o predicted.csv",
        'In Python:        lossreg.load_predictor("toy.toml")',
        "One HTML page:    lossreg report toy.toml",
        "Look closer:      lossreg ui toy.toml",
    ]
    finished.result.task = "segmentation"
    masks = "Predict new rows: lossreg predict toy.toml ROWS -o predicted.npz"
    assert masks in lossreg(command, study)[1], "a table cannot hold masks"


def test_a_study_that_was_cut_off_after_its_last_trial_names_the_command_that_goes_on(lossreg, study, finished):
    finished.result.reached = Reached(12, 12, False, False)
    finished.result.overrides = ["train.epochs=5"]
    [line] = [line for line in lossreg("results", study)[1].splitlines() if "interrupted" in line]
    assert "12 of 12 trials are done. `lossreg tune toy.toml --set train.epochs=5` goes on with it." in line
    finished.result.reached = Reached(9, 12, False, True)
    line = "Nobody runs this study now: 9 of 12 trials are done. `lossreg tune toy.toml --set train.epochs=5` goes on"
    assert f"\n{line}" in lossreg("results", study)[1]
    finished.result.reached = Reached(12, 12, False, True)
    assert "Nobody runs" not in lossreg("results", study)[1]


def test_the_next_steps_of_a_study_that_was_renamed_are_its_own(lossreg, study, finished):
    folder = Path(".lossreg/other")
    never_run(StudyFolder(folder, "other"))
    finished.result.folder, finished.result.overrides = str(folder), ["search.trials=12", "name=other"]
    assert lossreg("tune", study, "--set", "name=other")[1].splitlines()[-4:] == [
        "Predict new rows: lossreg predict .lossreg/other ROWS -o predicted.csv",
        'In Python:        lossreg.load_predictor(".lossreg/other")',
        "One HTML page:    lossreg report .lossreg/other",
        "Look closer:      lossreg ui toy.toml --set name=other",
    ]
    finished.result.notes = [f"peculiarity {number}." for number in range(12)]
    finished.result.tracking["error"] = "no room"
    out = lossreg("tune", study, "--set", "name=other")[1]
    assert "7 more notes: lossreg results .lossreg/other\n" in out
    assert "lossreg sync toy.toml --set name=other\n" in out


def test_of_a_shared_study_that_was_renamed_no_command_is_shown_that_would_take_another_one(lossreg, study, finished):
    finished.result.folder, finished.result.overrides = ".lossreg/other", ["name=other"]
    finished.result.notes = [f"peculiarity {number}." for number in range(12)]
    out = lossreg("tune", study, "--set", "name=other")[1]
    assert re.findall(r"lossreg [a-z]+ .*|load_predictor", out) == ["lossreg ui toy.toml --set name=other"]
    assert out.count("note: peculiarity") == 12


@pytest.mark.parametrize("ended", [3, 12])
def test_results_of_a_study_that_runs_say_so_and_offer_nothing_that_needs_its_end(
    lossreg, study, finished, ended, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "120")
    finished.result = sample.study(ended)
    finished.result.trials = [trial for trial in finished.result.trials if trial.candidate != "gce_mild"]
    finished.result.reached = Reached(ended, 12, True, False, "comparing" * (ended == 12))
    code, out, _ = lossreg("results", study)
    assert (code, state.sentence(finished.result) in out) == (0, True)
    assert out.splitlines()[-2:] == [
        "Watch the study: lossreg watch toy.toml",
        "One HTML page:   lossreg report toy.toml",
    ]
    assert "no trial completed yet" in out
    for command in ("lossreg tune", "lossreg verdict", "lossreg predict", "load_predictor"):
        assert command not in out


def test_of_many_notes_a_run_shows_the_last_and_names_the_command_that_shows_all(lossreg, study, finished):
    notes = [f"the data have peculiarity {number}." for number in range(12)]
    finished.result.notes = notes
    for command, expected in (("tune", notes[7:]), ("results", notes)):
        out = lossreg(command, study)[1]
        assert [note for note in notes if note in out] == expected
        assert ("7 more notes: lossreg results toy.toml" in out) == (command == "tune")
    finished.result.notes = notes[:5]
    out = lossreg("tune", study)[1]
    assert notes[0] in out
    assert "more note" not in out


def test_results_name_the_commands_that_reach_a_verdict(lossreg, study, finished):
    def last_line():
        lines = [line for line in lossreg("results", study)[1].splitlines() if "There is no verdict" in line]
        return lines[0] if lines else ""

    assert (
        "yet. `lossreg tune toy.toml` runs what is missing and reaches one; `lossreg verdict toy.toml`" in last_line()
    )
    study.write_text(f"{STUDY}[verdict]\nenabled = false\n")
    assert last_line().endswith("`lossreg verdict toy.toml` reaches one on the trials that there are.")
    finished.result.overrides = ["train.epochs=5"]
    assert last_line().endswith(
        "`lossreg verdict toy.toml --set train.epochs=5` reaches one on the trials that there are."
    )
    study.write_text(STUDY)
    assert "yet. `lossreg tune toy.toml --set train.epochs=5` runs what is missing" in last_line()
    finished.result.failure = "boom"
    assert last_line().endswith("that there are.")
    study.write_text(STUDY.replace("[data]\n", "[data]\ntest = 0\n"))
    assert last_line() == ""
    study.write_text(STUDY)
    finished.result.trials = [trial for trial in finished.result.trials if trial.candidate == finished.result.baseline]
    assert last_line() == ""


@pytest.mark.parametrize("command", ["tune", "results"])
@pytest.mark.parametrize("case", sample_verdict.CASES)
def test_a_study_ends_with_its_verdict_and_the_recipe_to_train_with(lossreg, study, finished, command, case):
    finished.result = dataclasses.replace(sample_verdict.study(case), notes=["a note"])
    result = finished.result
    code, out, _ = lossreg(command, study)
    assert code == 0
    is_compared = result.verdict.against_baseline is not None
    sentences = verdict.evidence(result, result.verdict, has_table=is_compared)
    assert [line for line in out.splitlines() if line in sentences] == sentences
    title = f"f1_macro on {result.verdict.test_rows} test rows, "
    assert (title in out) == is_compared
    places = [out.index(part) for part in (
        "on validation rows", report.caveat(result), verdict.decision(result, result.verdict),
        f"Recommended, trial {result.recommended.number}: {result.recommended.recipe}",
    )]  # fmt: skip
    assert places == sorted(places)
    after = [out.index(part) > places[-1] for part in ("note: a note", f"cross_entropy: {result.trials[0].recipe}\n")
             if part in out]  # fmt: skip
    assert after == ([True, True] if command == "results" else [False])
    assert "validation score (f1_macro):" not in out
    assert ("cross_entropy better " in out) == is_compared
    assert "There is no verdict" not in out


@pytest.mark.parametrize("command", ["tune", "results"])
def test_the_end_of_a_study_names_what_the_first_of_the_leaderboard_is_not_shown_to_beat(
    lossreg, study, finished, command
):
    scores = (0.8, 0.9)
    fresh = [Reevaluated("focal", 1, scores, 0.5), Reevaluated("cross_entropy", 0, scores, 0.5)]
    folds = {"outer": 5, "folds_won": {"gce": 5}, "reevaluated": tuple(fresh)}
    finished.result = sample_verdict.study("better, because of the loss", **folds)
    assert leaderboard.close(finished.result)
    assert leaderboard.close(finished.result) in " ".join(lossreg(command, study)[1].split())
    finished.result = sample_verdict.study("better, because of the loss", reevaluated=tuple(fresh))
    assert "first on the leaderboard" not in lossreg(command, study)[1]


def test_json_is_one_document_with_a_verdict_too(lossreg, study, finished):
    finished.result = sample_verdict.study("better, because of the loss")
    document = json.loads(lossreg("results", study, "--json")[1])["verdict"]
    assert (document["answer"], document["cause"], document["recommended"]["candidate"]) == ("better", "loss", "focal")
    assert document["interval"] == list(finished.result.verdict.against_baseline.interval)


@pytest.mark.parametrize(
    "case",
    [("better, because of the loss", "", 0), ("better, because of the loss", "there is no new verdict: boom", 1),
     ("not enough data", "", 0), (None, "", 1)],
)  # fmt: skip
def test_a_verdict_that_is_not_reached_has_exit_code_1(lossreg, study, monkeypatch, case):
    kind, failure, expected = case
    result = sample_verdict.study(kind) if kind else sample.study(3)
    result.failure = failure
    monkeypatch.setattr(run, "reached_verdict", lambda *args: None)
    monkeypatch.setattr(run, "verdict", lambda *args, **kwargs: result)
    assert lossreg("verdict", study)[0] == expected
    code, out, _ = lossreg("verdict", study, "--json")
    assert (code, json.loads(out)["study"]) == (expected, result.study)


@pytest.mark.parametrize("command", ["tune", "results"])
def test_json_is_one_document_and_nothing_else(lossreg, study, finished, command):
    finished.result.trials[3] = sample.trial(3, score=math.nan)
    finished.result.seconds["total"] = math.inf
    code, out, _ = lossreg(command, study, "--json")
    assert code == 0
    document = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert document == json.loads(json.dumps(finished.result.to_json()))
    assert document["seconds"]["total"] is None
    assert document["tracking"]["run_id"] == "abc"


@pytest.mark.parametrize("as_json", [False, True])
def test_a_dry_run_shows_the_plan_and_trains_nothing(lossreg, study, monkeypatch, as_json):
    planned = outline.Outline(
        study="toy", task="binary", metric="accuracy", direction="maximize", data=sample.study().data,
        rows=[("focal", "focal", "lossreg 0.1.0", {"gamma": "0 to 5"})], baseline="cross_entropy", learning_rate="log",
        trials=64, done=0, epochs=30, lanes=32, blocks=2,
    )  # fmt: skip
    monkeypatch.setattr(outline, "plan", lambda spec, **switches: planned)
    monkeypatch.setattr(run, "go_on", lambda *args, **kwargs: pytest.fail("trained"))
    code, out, _ = lossreg("tune", study, "--dry-run", *["--json"] * as_json)
    assert code == 0
    if as_json:
        assert json.loads(out)["rows"] == [["focal", "focal", "lossreg 0.1.0", {"gamma": "0 to 5"}]]
    else:
        assert "gamma: 0 to 5" in out
    assert [path.name for path in Path().iterdir()] == ["toy.toml"]


class Saved:
    """Stands in for a Keras model."""

    name = "probability_of_ja"

    def save(self, path):
        Path(path).write_text("a model")


def test_model_writes_a_trial_s_model_with_its_preprocessing_beside_it(lossreg, study, monkeypatch):
    asked = []
    # a wrong address of a server is no matter here: nothing is tracked
    study.write_text(f'{STUDY}\n[tracking]\nuri = "nonsense://"\n')
    kept = restore.KeptTrial({}, sample.study(12).trials[5], [])
    monkeypatch.setattr(restore, "look_up", lambda spec, *given, train: asked.append((*given, train)) or kept)
    preprocessor = AsGiven().fit(np.zeros((1, 3)))
    preprocessor.classes = ("nein", "Ja!")
    monkeypatch.setattr(restore, "restore", lambda spec, kept: restore.Trained(Saved(), preprocessor))
    for args in ((), ("--trial", 3, "--train"), ("--loss", "focal", "-o", "out/focal.keras")):
        code, out, _ = lossreg("model", study, *args)
        assert code == 0
        assert "trial 5, from preprocessed rows to the probability of Ja!" in out
    assert asked == [(None, None, False), (3, None, True), (None, "focal", False)]
    assert Path("out/focal.keras").read_text() == Path("model.keras").read_text() == "a model"
    loaded = load_preprocessor("out/focal.preprocessor.json")
    assert (loaded.shape_, loaded.classes) == ((3,), ("nein", "Ja!"))


@pytest.mark.parametrize(("weights", "told"), [(None, True), ([], False)])
def test_model_tells_that_a_trial_is_trained_again(lossreg, study, monkeypatch, weights, told):
    kept = restore.KeptTrial({}, sample.study(12).trials[5], weights)
    preprocessor = AsGiven().fit(np.zeros((1, 3)))
    monkeypatch.setattr(restore, "look_up", lambda *given, train: kept)
    monkeypatch.setattr(restore, "restore", lambda spec, kept: restore.Trained(Saved(), preprocessor))
    code, _, err = lossreg("model", study, "--train")
    assert code == 0
    assert ("trial 5 is trained again" in err) == told


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("-o", "model.h5"), "must end in .keras"),
        (("--trial", -1), "trial"),
        (("--trial", 99), "no trial 99. Its trials go from 0 to 11"),
        (("--trial", 7), "trial 7 ended as failed"),
        (("--loss", "fokal"), "Did you mean focal?"),
        (("--loss", "focal", "--trial", 1), "exclude each other"),
        (("--trial", 1), 'keep = "all"'),
        (("--trial", 1), "`--train` trains it again"),
    ],
)
def test_a_model_that_cannot_be_had_is_a_mistake(lossreg, study, monkeypatch, args, message):
    never_run(StudyFolder(Path(".lossreg/toy"), "toy"))
    monkeypatch.setattr(history, "result", lambda kept, folder: sample.study(12))
    monkeypatch.setattr(cli.studies, "import_keras", lambda: pytest.fail("Keras takes seconds"))
    code, out, err = lossreg("model", study, *args)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())
    assert not list(Path().glob("*.keras"))


def test_sync_writes_what_is_missing_and_notes_where(lossreg, study, finished, monkeypatch):
    asked, where = [], {"uri": "sqlite:///y.db", "experiment": "toy", "run_id": "def"}

    class Recorder:
        def __init__(self, uri, experiment, *, key, warn, required, register):
            asked.append((uri, experiment, key, required, register))

        def sync(self, result, run_id, model, *, is_over):
            asked.append((len(result.trials), run_id, model))
            return where

    monkeypatch.setattr(tracking, "Tracker", Recorder)
    kept = never_run(StudyFolder(Path(".lossreg/toy"), "toy"))
    code, out, _ = lossreg("sync", study, "--set", "tracking.uri=sqlite:///x.db")
    assert (code, asked) == (0, [(f"sqlite:///{Path.cwd()}/x.db", "toy", "the-key", True, True), (12, "abc", None)])
    assert "12 trials" in out
    assert "lossreg ui toy.toml" in out
    noted = StudyFolder(Path(".lossreg/toy"), "toy").read().user_attrs[ATTRIBUTE]
    assert noted.pop("place")["path"] == f"{Path.cwd()}/.lossreg/toy"
    assert noted == {**kept, "tracking": where}


@pytest.fixture
def synced(finished, monkeypatch):
    """The models that syncs were handed."""
    models = []

    class Recorder:
        def __init__(self, *args, **kwargs):
            pass

        def sync(self, result, run_id, model, *, is_over):
            models.append(model)
            return {"uri": "sqlite:///y.db", "experiment": "toy"}

    monkeypatch.setattr(tracking, "Tracker", Recorder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///x.db")
    return models


@pytest.mark.parametrize("recorded", ["sqlite:///elsewhere.db", "postgresql://me:***@host/db", "http://host:5000"])
def test_sync_asks_before_it_writes_into_a_store_that_only_the_journal_names(
    lossreg, study, finished, monkeypatch, recorded
):
    monkeypatch.setattr(tracking, "Tracker", lambda *args, **kwargs: pytest.fail("nobody named this store"))
    never_run(StudyFolder(Path(".lossreg/toy"), "toy"))
    finished.result.tracking = {"uri": recorded, "experiment": "toy", "run_id": "abc"}
    code, out, err = lossreg("sync", study)
    assert (code, out) == (2, "")
    assert f"--set tracking.uri={recorded}" in err


@pytest.mark.parametrize("recorded", [None, "sqlite:///mlflow.db"])
def test_sync_writes_into_mlflow_s_default_store_without_a_question(lossreg, study, finished, synced, recorded):
    os.environ.pop("MLFLOW_TRACKING_URI")
    never_run(StudyFolder(Path(".lossreg/toy"), "toy"))
    finished.result.tracking = {"uri": recorded, "run_id": "abc"} if recorded else {}
    assert lossreg("sync", study)[0] == 0
    assert len(synced) == 1


def test_sync_says_how_many_trials_are_left_and_for_how_long(lossreg, study, finished, monkeypatch):
    class Recorder:
        def __init__(self, *args, **kwargs):
            pass

        def sync(self, result, run_id, model, *, is_over):
            for left in (12, 5, 0):
                self.on_left(left)
            return {"uri": "sqlite:///y.db", "experiment": "toy"}

    monkeypatch.setattr(tracking, "Tracker", Recorder)
    monkeypatch.setattr(cli.waiting, "EVERY", 0.0)
    never_run(StudyFolder(Path(".lossreg/toy"), "toy"))
    code, _, err = lossreg("sync", study, "--set", "tracking.uri=sqlite:///x.db")
    assert code == 0
    begun, first, second, last = [line.partition("x.db")[2] for line in err.splitlines() if "writing into" in line]
    assert (begun, first) == ("", ": 0 of 12 trials")
    assert re.fullmatch(r": 7 of 12 trials, [\d.]+ trials/s, 0:00 left", second)
    assert "all trials are there" in last


def test_sync_leaves_a_model_out_that_is_not_the_best_trial_s(lossreg, study, finished, synced):
    store = StudyFolder(Path(".lossreg/toy"), "toy")
    never_run(store)
    best = finished.result.best.number
    path = store.best.save(Saved(), best)
    assert lossreg("sync", study)[0] == 0
    store.best.save(Saved(), best + 1)
    code, _, err = lossreg("sync", study)
    assert (code, synced) == (0, [path, None])
    assert f"the model of the recommended trial ({best}) is not there" in err


def test_sync_names_the_worker_that_has_the_recommended_trial_s_model(lossreg, study, finished, synced):
    store = StudyFolder(Path(".lossreg/toy"), "toy")
    never_run(store)
    noted = {"worker": "host:1:ab", "trials": len(finished.result.trials), "model": True}
    with store.lock(), store.opened("maximize", None, None) as opened:
        opened.set_user_attr(history.FINISHED, noted)
    code, _, err = lossreg("sync", study)
    best = finished.result.recommended.number
    assert (code, synced) == (0, [None])
    told = f"the model of the recommended trial ({best}) is not there; worker host:1:ab has it: sync there"
    assert told in err.splitlines()[-1]
    assert err.splitlines()[-1].endswith("sync there")


class Dies:
    """A Keras model whose saving is cut off when the file is there."""

    def save(self, path):
        Path(path).write_text("half a model")
        raise KeyboardInterrupt


def test_a_model_whose_saving_was_cut_off_is_nobody_s(tmp_path):
    store = StudyFolder(tmp_path, "toy")
    store.best.save(Saved(), 3)
    with pytest.raises(KeyboardInterrupt):
        store.best.save(Dies(), 5)
    assert (store.best.file_of(3), store.best.file_of(5)) == (None, None)


def test_sync_drops_a_line_that_a_kill_left_unfinished(lossreg, study, finished, synced):
    store = StudyFolder(Path(".lossreg/toy"), "toy")
    never_run(store)
    with store.journal.open("a") as file:
        file.write('{"op_code": 4, "wor')
    code, out, _ = lossreg("sync", study, "--set", "search.trials=3")
    assert (code, out.splitlines()[-1]) == (0, "Look at them: lossreg ui toy.toml --set search.trials=3")
    assert store.read().user_attrs[ATTRIBUTE]["tracking"]["uri"] == "sqlite:///y.db"
    with store.lock(), store.opened("maximize", None, None) as opened:
        assert opened.user_attrs[ATTRIBUTE]["id"] == "the-key"


@pytest.mark.parametrize("command", ["results", "sync"])
def test_a_damaged_journal_is_named(lossreg, study, command):
    store = StudyFolder(Path(".lossreg/toy"), "toy")
    never_run(store)
    text = store.journal.read_text()
    store.journal.write_text(f'{text}{{"op_code": 4, "wor{text}')
    code, out, err = lossreg(command, study)
    assert (code, out) == (2, "")
    assert "journal.log: this journal is damaged" in err


def test_a_verdict_that_is_not_whole_is_said_in_one_line_and_left_out_by_repair(lossreg, study):
    store = StudyFolder(Path(".lossreg/toy"), "toy")
    kept = never_run(store)
    never_run(store, verdict={"trials": 0, "answer": "better"})
    for command in ("results", "watch", "report"):
        code, out, err = lossreg(command, study)
        assert (code, out) == (2, "")
        assert "journal.log: this journal is damaged (its verdict has no 'winner')" in err
        assert err.count("\n") == 1
    code, out, _ = lossreg("repair", study)
    assert (code, "its entry for the study is incomplete" in out) == (0, True)
    assert store.read().user_attrs[ATTRIBUTE] == kept
    assert lossreg("results", study)[0] == 0


def of_verdict(**changes):
    """A verdict on no trials as a journal has it, with these changes."""
    stored = sample_verdict.study("better, because of the loss").verdict.stored()
    return {"verdict": {**stored, "trials": 0, **changes}}


def compared(**changes):
    """A comparison as a journal has it, with these changes."""
    return {**dataclasses.asdict(sample_verdict.SHOWN), **changes}


KEPT = {
    "constraint": {"metric": "recall", "bound": 0.9, "direction": "maximize"},
    **{arm: {"validation": 0.9, "tested": [None, 0.8, 0.9, 20]} for arm in ("winner", "baseline")},
}
WRONG_VALUES = {
    "verdict is incomplete": {"verdict": "none"},
    "confirmation is incomplete": {"confirmation": ["a", "b"]},
    "verdict has a wrong value of baseline": of_verdict(
        baseline={"candidate": {}, "trial": 0, "recipe": "", "learning_rate": 0.1, "params": {}}
    ),
    "verdict has a wrong value of recommended": of_verdict(
        recommended={"candidate": -1, "trial": 0, "recipe": "", "learning_rate": 0.1, "params": {}}
    ),
    "verdict has a wrong value of margin": of_verdict(margin=True),
    "verdict has a wrong value of trials": of_verdict(trials="0"),
    "verdict has a wrong value of predicted": of_verdict(predicted={"scores": {"winner": 0.9}}),
    "verdict has a wrong value of reevaluated": of_verdict(
        reevaluated=[{"candidate": "focal", "trial": 0, "scores": "0.9"}]
    ),
    "entry for the study has a wrong value of seconds": {"seconds": {"verdict": []}},
    "entry for the study has a wrong value of data": {"data": {"rows": ["train"]}},
    "entry for the study has a wrong value of spec": {"spec": {"train": {"epochs": ["4"]}}},
    "entry for the study has a wrong value of notes": {"notes": "a note"},
    "constraints is incomplete": {"constraints": ["recall"]},
    "verdict has a wrong value of changed": of_verdict(changed="text"),
    "verdict has a wrong value of changed ": of_verdict(changed=["seed"]),
    "verdict has a wrong value of against_baseline": of_verdict(against_baseline=compared(difference=9.0)),
    "verdict has a wrong value of against_baseline ": of_verdict(against_baseline=compared(share_won=1.5)),
    "verdict has a wrong value of against_baseline  ": of_verdict(against_baseline=compared(repeats=10**400)),
    "verdict has a wrong value of against_baseline   ": of_verdict(against_baseline=compared(unseen=None)),
    "verdict has a wrong value of notes": of_verdict(notes="text"),
    "verdict has a wrong value of repeats": of_verdict(repeats=-1),
    "verdict has a wrong value of margin ": of_verdict(margin=-0.1),
    "verdict has a wrong value of margin  ": of_verdict(margin=None),
    "verdict has a wrong value of finished": of_verdict(finished={"winner": -1}),
    "verdict has a wrong value of reevaluated ": of_verdict(
        reevaluated=[{"candidate": "focal", "trial": 0, "scores": []}]
    ),
    "confirmation has a wrong value of splits": {"confirmation": {"trials": 0, "splits": -2, "scores": {}}},
    "confirmation has a wrong value of scores": {"confirmation": {"trials": 0, "splits": 2, "scores": {"0": [None]}}},
    "entry for the study has a wrong value of seconds ": {"seconds": {"verdict": 10**400}},
    "entry for the study has a wrong value of seconds  ": {"seconds": {"total": None}},
    "entry for the study has a wrong value of data ": {"data": {"rows": {"train": -1}}},
    "entry for the study has a wrong value of spec ": {"spec": {"train": {"epochs": -1}}},
    "entry for the study has a wrong value of spec  ": {"spec": {"search": {"seed": None}}},
    "entry for the study has a wrong value of trainer": {"trainer": {"fit": "all"}},
    "verdict has a wrong value of constraints": of_verdict(constraints=[KEPT]),
}


@pytest.mark.parametrize(("reason", "others"), WRONG_VALUES.items(), ids=list(WRONG_VALUES))
def test_a_value_that_cannot_be_is_a_damage_that_repair_leaves_out(lossreg, study, reason, others):
    store = StudyFolder(Path(".lossreg/toy"), "toy")
    kept = never_run(store)
    never_run(store, **others)
    for command in ("results", "watch", "report"):
        code, out, err = lossreg(command, study)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"journal.log: this journal is damaged (its {reason.strip()})" in err
    assert lossreg("repair", study)[0] == 0
    assert store.read().user_attrs[ATTRIBUTE] == kept


@pytest.mark.parametrize("name", [history.SPENT, history.PARENT, history.OVERRIDES, more.NUMBER])
@pytest.mark.parametrize("value", ["text", None, []])
def test_a_note_beside_the_study_that_cannot_be_is_passed_over(lossreg, study, name, value):
    store = StudyFolder(Path(".lossreg/toy"), "toy")
    never_run(store)
    sound = lossreg("results", study)
    with store.lock(), store.opened("maximize", None, None) as opened:
        opened.set_user_attr(name, value)
    assert lossreg("results", study) == sound
    assert sound[0] == 0


def test_a_sound_verdict_is_read(lossreg, study):
    never_run(StudyFolder(Path(".lossreg/toy"), "toy"), **of_verdict())
    code, out, _ = lossreg("results", study, "--json")
    assert (code, json.loads(out)["verdict"]["answer"]) == (0, "better")


@pytest.mark.parametrize(
    ("field", "value"),
    [("started", "noon"), ("ended", []), ("spread", "wide"), ("curves", {"val_score": True}), ("scores", [True]),
     ("epoch", "2"), ("told", "0.9"), ("spread", -1), ("epoch", -1), ("learning_rate", -0.1), ("learning_rate", None),
     ("state", "text"), ("seconds", 10**400)],
)  # fmt: skip
def test_a_trial_with_a_value_that_cannot_be_is_named(lossreg, study, field, value):
    store, record = StudyFolder(Path(".lossreg/toy"), "toy"), history.to_attribute(sample.study(1).trials[0])
    never_run(store)
    for changed in ({}, {field: value}):
        with store.lock(), store.opened("maximize", None, None) as opened:
            noted = {ATTRIBUTE: {**record, "told": 0.9, **changed}}
            opened.add_trial(optuna.trial.create_trial(value=0.9, user_attrs=noted))
    for command in ("results", "watch", "report"):
        code, out, err = lossreg(command, study)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"this journal is damaged (its entry for trial 1 has a wrong value of {field})" in err


@pytest.mark.parametrize("of", ["trial 7", "a verdict"])
@pytest.mark.parametrize("lines", [0, 1])
def test_a_journal_without_the_study_is_damaged_where_files_of_a_run_are_left(lossreg, study, of, lines):
    store = StudyFolder(Path(".lossreg/toy"), "toy")
    never_run(store)
    if of == "trial 7":
        store.weights.save(7, [np.zeros(2)])
    else:
        store.predictions.save("key", {"winner": np.zeros(2)})
    store.journal.write_bytes(b"".join(store.journal.read_bytes().splitlines(keepends=True)[:lines]))
    files = {path.name: path.read_bytes() for path in store.path.iterdir()}
    for command in ("results", "watch", "report", "tune"):
        code, out, err = lossreg(command, study)
        assert (code, out) == (2, "")
        assert f"files of {of}" in err
        assert "`lossreg tune toy.toml --fresh` moves it" in err
    assert files.items() <= {path.name: path.read_bytes() for path in store.path.iterdir()}.items()
    assert store.archive()


def test_compare_takes_no_study_twice_however_it_is_spelled(lossreg, study):
    never_run(StudyFolder(Path(".lossreg/toy"), "toy"))
    Path("a").mkdir()
    for other in (study, ".lossreg/toy", "a/../toy.toml", Path.cwd() / ".lossreg" / "toy"):
        code, out, err = lossreg("compare", study, other)
        assert (code, out) == (2, "")
        assert "the same study is named twice" in err


def test_a_journal_that_is_gone_is_said_in_one_line_and_what_is_left_is_moved_aside(lossreg, study):
    store = StudyFolder(Path(".lossreg/toy"), "toy")
    never_run(store)
    store.weights.save(7, [np.zeros(2)])
    store.journal.write_bytes(b"")
    for command in ("results", "watch", "report", "tune"):
        code, out, err = lossreg(command, study)
        assert (code, out) == (2, "")
        assert "it is empty or gone, but there are files of trial 7). `lossreg tune toy.toml --fresh` moves it" in err
    assert (store.archive() / "weights-000007.npz").exists()


def test_a_journal_that_was_cut_is_shown_with_a_warning(lossreg, study):
    store = StudyFolder(Path(".lossreg/toy"), "toy")
    never_run(store)
    store.weights.save(7, [np.zeros(2)])
    for command in ("results", "watch"):
        code, out, _ = lossreg(command, study)
        assert code == 0
        assert "has lost lines: there are files of trial 7, but the journal lists 0 trials; `lossreg tune" in out


def test_a_study_that_another_process_runs_is_said_before_anything_is_imported(lossreg, study, monkeypatch):
    monkeypatch.setattr(cli.studies, "import_keras", lambda: pytest.fail("Keras takes seconds"))
    with StudyFolder(Path(".lossreg/toy"), "toy").lock():
        code, _, err = lossreg("tune", study)
    assert code == 2
    assert "is being run by another process" in err


def test_sync_of_an_untracked_study_is_a_mistake(lossreg, study, finished):
    study.write_text(f"{STUDY}\n[tracking]\nenabled = false\n")
    code, out, err = lossreg("sync", study)
    assert (code, out) == (2, "")
    assert "tracking.enabled" in err


def never_run(store, **others):
    """An Optuna journal with the attributes of a study and no trial."""
    texts = {"id": "the-key", "metric": "accuracy", "direction": "maximize", "task": "binary", "baseline": "focal"}
    tables = ("losses", "data", "spec", "fingerprint", "provenance", "spaces", "seconds", "tracking")
    losses = {"losses": {"focal": "focal"}}
    kept = {**texts, **{name: {} for name in tables}, **losses, **others}
    with store.lock(), store.opened("maximize", None, None) as opened:
        opened.set_user_attr(ATTRIBUTE, kept)
    return kept


# ------------------------------------------------------------------------------------- ui


@pytest.fixture
def served(monkeypatch):
    asked = []
    monkeypatch.setattr(tracking, "serve", lambda uri, port, tell, ready: asked.append((uri, port)) or ready())
    return asked


def test_ui_serves_the_default_store_on_loopback(lossreg, study, served):
    code, out, _ = lossreg("ui", "--port", tracking.free_port())
    assert code == 0
    [(uri, port)] = served
    assert uri == f"sqlite:///{Path.cwd()}/mlflow.db"
    assert f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning" in out


def test_ui_refuses_an_override_of_no_study(lossreg, served):
    code, out, err = lossreg("ui", "--set", "tracking.uri=sqlite:///x.db")
    assert (code, out, served) == (2, "", [])
    assert err.splitlines()[-1].startswith("Error: --set: it changes a study, and none is given")


def test_ui_serves_the_store_that_the_study_names(lossreg, study, served):
    Path("db").mkdir()
    study.write_text(f'{STUDY}\n[tracking]\nuri = "sqlite:///db/x.db"\n')
    lossreg("ui", study)
    assert served[0][0] == f"sqlite:///{Path.cwd()}/db/x.db"


def test_ui_opens_the_page_of_a_study_that_was_run(lossreg, study, served, finished):
    never_run(StudyFolder(Path(".lossreg/toy"), "toy"))
    finished.result.tracking = {"uri": "sqlite:///y.db", "experiment": "toy", "experiment_id": "7", "run_id": "abc"}
    code, out, _ = lossreg("ui", study)
    assert code == 0
    assert f"sqlite:///{Path.cwd()}/y.db" in served[0]
    assert "/#/experiments/7/runs/abc?workflowType=machine_learning" in out


def test_ui_logs_nobody_into_a_database_that_only_the_journal_names(lossreg, study, served, finished):
    never_run(StudyFolder(Path(".lossreg/toy"), "toy"))
    finished.result.tracking = {"uri": "postgresql+psycopg://me@host/db", "experiment_id": "7", "run_id": "abc"}
    assert lossreg("ui", study)[0] == 2
    named = ("--set", "tracking.uri=postgresql+psycopg://me@host/db")
    code, out, _ = lossreg("ui", study, *named)
    assert (code, [uri for uri, _ in served]) == (0, [named[1].removeprefix("tracking.uri=")])
    assert "/#/experiments/7/runs/abc?" in out


def test_ui_of_a_server_only_names_it(lossreg, study, served, monkeypatch):
    shown = []
    monkeypatch.setattr(browser, "show", shown.append)
    study.write_text(f'{STUDY}\n[tracking]\nuri = "http://127.0.0.1:5000"\n')
    code, out, _ = lossreg("ui", study)
    assert (code, served, shown) == (0, [], [])
    assert "http://127.0.0.1:5000" in out


@pytest.mark.parametrize("options", [(), ("--no-browser",)])
def test_ui_opens_the_browser_once_the_server_answers(lossreg, served, monkeypatch, options):
    shown, opened = [], not options
    monkeypatch.setattr(browser, "show", lambda address: shown.append(address) or True)
    code, out, err = lossreg("ui", "--port", tracking.free_port(), *options)
    assert code == 0
    assert (shown == [out.split()[-1]]) == opened
    assert ("MLflow answers. The page opens in your browser." in err) == opened


def in_stores(**stores):
    """Studies in a folder, in stores as their journals have them."""
    for name, uri in stores.items():
        store = StudyFolder(Path(f"studies/.lossreg/{name}"), name)
        never_run(store, tracking={"uri": uri, "experiment_id": "7", "run_id": "abc"})


def test_ui_of_a_folder_lists_its_studies_and_serves_the_store_in_it(lossreg, study, served):
    own = f"sqlite:///{Path.cwd()}/studies/own.db"
    in_stores(one="sqlite:////x.db", two="sqlite:////x.db", three=own, four="http://example.com")
    Path("studies/.lossreg/many").mkdir()
    sqlite3.connect("studies/own.db").close()
    code, out, _ = lossreg("ui", "--all", "studies")
    assert code == 0
    assert [uri for uri, _ in served] == [own]
    assert not [text for text in ("one", "two", "three", "0 of 1", "Without a journal: many.") if text not in out]
    for other in ("sqlite:////x.db", "http://example.com"):
        assert f"Others are in another MLflow store. To see them: MLFLOW_TRACKING_URI={other} lossreg ui\n" in out
    assert "/#/experiments?workflowType=machine_learning" in out


def test_ui_of_a_folder_follows_no_store_that_only_journals_name(lossreg, study, served):
    in_stores(one="http://example.com", two="postgresql://me:***@host/db")
    code, out, _ = lossreg("ui", "--all", "studies")
    assert (code, served) == (0, [])
    assert "MLFLOW_TRACKING_URI=http://example.com lossreg ui" in out
    assert "Others are in a store with a password." in out
    assert "To see them: MLFLOW_TRACKING_URI='postgresql://me:***@host/db' lossreg" in out
    assert "None of them is in MLflow" not in out


def test_ui_of_a_folder_follows_the_store_that_mlflow_s_variable_names(lossreg, study, served, monkeypatch):
    named = f"sqlite:///{Path.cwd()}/y.db"
    in_stores(one="sqlite:////x.db", two="sqlite:////x.db", three=named)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///y.db")
    code, out, err = lossreg("ui", "--all", "studies")
    assert code == 0, out + err
    assert [uri for uri, _ in served] == [named]


def test_ui_of_a_folder_without_studies_is_a_mistake(lossreg, study, served):
    Path("empty").mkdir()
    code, out, err = lossreg("ui", "--all", "empty")
    assert (code, out, served) == (2, "", [])
    assert err.startswith("Error: empty: there is no study that was run in this folder")
    assert lossreg("ui", "--all", "--set", "name=x")[0] == 2


# ------------------------------------------------------------------------------- watch


@pytest.mark.parametrize("command", ["watch", "results"])
def test_a_study_that_nobody_runs_is_shown_once_with_how_it_goes_on(lossreg, study, command):
    never_run(StudyFolder(Path(".lossreg/toy"), "toy"))
    for named in (study, ".lossreg/toy"):
        code, out, err = lossreg(command, named)
        assert (code, err) == (0, "")
        assert "The study was interrupted. Nobody runs this study now: 0 of 1 trials are done." in out
        assert ("`lossreg tune toy.toml` goes on with it" in out) == (named == study)


def test_watch_needs_a_study_that_was_run(lossreg, study):
    Path("empty").mkdir()
    for named, message in ((study, "has not been run yet"), ("empty", "Error: empty: "), ("no.toml", "Error: no.toml")):
        code, out, err = lossreg("watch", named)
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1


def test_watch_waits_for_a_run_that_is_starting_and_says_where_one_ended_before_it_began(lossreg, study, monkeypatch):
    ending = ExitStack()
    ending.enter_context(StudyFolder(Path(".lossreg/toy"), "toy").announced())
    follow = follower.follow
    monkeypatch.setattr(follower, "follow", lambda *told: follow(*told, lambda seconds: ending.close()))
    code, out, err = lossreg("watch", study)
    assert (code, out) == (1, "")
    assert "starting" in err
    why = "the reason is in the terminal or log of that run"
    assert err.splitlines()[-1] == f"Error: the run ended before its first trial; {why}"
    assert not Path(".lossreg").exists()


def test_watch_says_so_where_a_run_ended_that_had_begun_its_journal(lossreg, study, monkeypatch):
    store = StudyFolder(Path(".lossreg/toy"), "toy")
    ending = ExitStack()
    ending.enter_context(store.announced())
    store.path.mkdir(parents=True)
    store.journal.touch()
    follow = follower.follow
    monkeypatch.setattr(follower, "follow", lambda *told: follow(*told, lambda seconds: ending.close()))
    code, _, err = lossreg("watch", study)
    assert code == 1
    assert "the run ended before its first trial" in err.splitlines()[-1]


def test_watch_follows_a_study_that_is_run_and_leaves_it_alone(lossreg, study, monkeypatch):
    store = StudyFolder(Path(".lossreg/toy"), "toy")
    never_run(store)
    monkeypatch.setattr(follower, "follow", lambda folder, watcher: watcher.stop("leaving"))
    with store.lock():
        code, out, _ = lossreg("watch", study)
    assert (code, out) == (0, "Study toy goes on: lossreg watch toy.toml\n")


def test_a_signal_while_the_journal_is_read_is_no_damage(lossreg, study, monkeypatch):
    store = StudyFolder(Path(".lossreg/toy"), "toy")
    never_run(store)
    monkeypatch.setattr(StudyFolder, "is_busy", True)
    follow = follower.follow

    def interrupted(folder, watcher):
        monkeypatch.setattr(study_folder, "StudyStorage", lambda file: signal.raise_signal(signal.SIGTERM))
        follow(StudyFolder(folder.path, folder.name), watcher)

    monkeypatch.setattr(follower, "follow", interrupted)
    assert lossreg("watch", study)[:2] == (143, "")


# ------------------------------------------------------------------------------- progress


def test_silenced_output_is_written_after_all_when_the_block_fails(capfd):
    with streams.silenced():
        os.write(2, b"a note of C++ code")
    assert capfd.readouterr().err == ""

    def fails():
        with streams.silenced():
            os.write(2, b"no such library")
            raise ImportError

    with pytest.raises(ImportError):
        fails()
    assert capfd.readouterr().err == "no such library"


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def watch(progress, result, clock, seconds=0.5):
    shown = dataclasses.replace(result, trials=[])
    progress.begin(len(result.trials) + 4, 4, list(result.losses), 8)
    for trial in result.trials:
        clock.now += seconds
        shown.trials.append(trial)
        progress.trial(trial, shown)
        progress.epoch(min(8, len(result.trials) - len(shown.trials)), trial.number)
    return shown


def test_lines_come_a_few_times_and_say_how_far(monkeypatch):
    printed, clock = [], Clock()
    lines = terminal.Lines(printed.append, clock)
    result = sample.study(96)
    watch(lines, result, clock)
    lines.end(result)
    assert printed[0] == "96 trials of 100 to run over 3 losses, 8 at a time"
    assert 9 <= len(printed) - 2 <= 12
    assert printed[1].startswith("14/100 trials, highest accuracy 0.9")
    assert printed[1].endswith("2.0 trials/s, 0:43 left")
    assert printed[-2].startswith("100/100 trials")
    assert printed[-2].endswith("2.0 trials/s")
    assert printed[-1] == f"done: {report.ended(result)}"


def test_slow_trials_have_a_line_each():
    printed, clock = [], Clock()
    watch(terminal.Lines(printed.append, clock), sample.study(20), clock, seconds=30.0)
    assert len(printed) == 21
    assert "30.0 s per trial, 9:30 left" in printed[1]


def test_the_end_of_the_search_is_a_line_and_epochs_after_it_are_none():
    written, clock = [], Clock()
    lines = terminal.Lines(written.append, clock)
    result = sample.study(20)
    lines.begin(20, 0, ["focal"], 8)
    for trial in result.trials:
        lines.trial(trial, result)
    lines.searched()
    before = list(written)
    assert before[-1].startswith("20/20 trials, highest accuracy 0.9")
    lines.epoch(0, 31)
    lines.trained(result)
    assert written == before


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00"), (59.6, "1:00"), (65, "1:05"), (3723, "1:02:03"), (36000, "10:00:00")]
)
def test_durations(seconds, shown):
    assert clock(seconds) == shown


def test_the_display_has_bar_pace_and_best_of_each_loss():
    clock = Clock()
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    display = terminal.Display(console, clock)
    result = sample.study(12)
    shown = watch(display, result, clock)
    console.print(display.render())
    display.warn("[odd] thing")
    display.end(shown)
    display.close()
    text = console.file.getvalue()
    for part in (
        "16/16 trials",
        "2.0 trials/s",
        "Warning: [odd] thing",
        report.counts(result),
    ):
        assert part in text
    for row in result.ranking():
        assert row.candidate in text
        assert values.number(row.best.score) in text


def test_a_display_spends_little_on_the_leaderboard_of_many_trials():
    clock, sorts = Clock(), []

    class Long(StudyResult):
        def ranking(self):
            clock.now += 0.5
            sorts.append(clock.now)
            return super().ranking()

    result = sample.study(12)
    long = Long(**{column.name: getattr(result, column.name) for column in dataclasses.fields(result)})
    display = terminal.Display(Console(file=io.StringIO(), force_terminal=True), clock)
    for trial in result.trials * 20:
        display.trial(trial, long)
        display.render()
        clock.now += 0.25
    assert len(sorts) > 1
    assert 0.5 * len(sorts) < 0.1 * clock.now


def test_a_display_of_many_losses_stays_small():
    labels = {f"loss_{n}": "focal" for n in range(40)}
    result = sample.study(0, losses=labels, trials=[sample.trial(n, label) for n, label in enumerate(labels)])
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    display = terminal.Display(console)
    display.trial(result.trials[0], result)
    console.print(display.render())
    assert "and 28 more" in console.file.getvalue()
    assert len(console.file.getvalue().splitlines()) < 22


def test_terminals_get_the_display_and_pipes_get_lines():
    assert isinstance(terminal.progress(Console(file=io.StringIO())), terminal.Lines)
    assert isinstance(terminal.progress(Console(file=io.StringIO(), force_terminal=True)), terminal.Display)
