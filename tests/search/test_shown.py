"""Progress of studies that Python runs: in scripts, terminals and notebooks, and Ctrl-C in them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import html
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import types

import numpy as np
import pytest
from fake_trainer import Fake

import lossreg
from lossreg.errors import InputError
from lossreg.reporting.notebook import MOST_NOTES, Notebook
from lossreg.search import run, shown
from lossreg.storage import activity
from lossreg.storage.observer import Observer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
Y = np.where(X[:, 0] > 0, "yes", "no")
APART = {"verdict": {"enabled": False}, "tracking": {"enabled": False}}
FIRST = "lossreg.tune: reading the study"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def tuned(curve=lambda plan, epoch: 0.5, **arguments):
    arguments = {"losses": ["cross_entropy", "focal"], "trials": 6, "epochs": 3, "settings": APART, **arguments}
    return lossreg.tune(X, Y, trainers=[Fake(curve, slots=2)], **arguments)


def test_a_script_gets_lines_on_standard_error(capsys):
    tuned()
    out, err = capsys.readouterr()
    first, *rest = err.splitlines()
    assert out == ""
    assert first == FIRST
    assert "6 trials of 6 to run over 2 losses, 2 at a time" in rest
    assert rest[-1].startswith("done: 6 trials, all complete")
    assert len(rest) < 25


def test_false_shows_nothing_and_an_observer_is_told_alone(capsys):
    class Told(Observer):
        def __init__(self):
            self.lines = []

        def phase(self, text):
            self.lines.append(text)

    tuned(progress=False)
    told = Told()
    tuned(progress=told, fresh=True)
    assert capsys.readouterr().err == ""
    assert any("loading data" in line for line in told.lines)


@pytest.mark.parametrize("progress", [None, False])
def test_who_watches_a_study_of_rows_is_told_of_its_trials_whatever_is_shown(tmp_path, monkeypatch, progress):
    told = []

    def curve(plan, epoch):
        [file] = tmp_path.rglob(f"*{activity.SUFFIX}")
        told.append(activity.read(file.with_name(file.stem.removeprefix("."))))
        return 0.5

    monkeypatch.setattr(activity, "EVERY", 0.0)
    tuned(curve, progress=progress)
    assert any("trials/s" in one.speed and one.left is not None for one in told)
    assert any(running.epoch == 2 for one in told for running in one.running)
    assert not list(tmp_path.rglob(f"*{activity.SUFFIX}"))


@pytest.mark.parametrize("wrong", ["yes", 1, [], Observer, X])
def test_another_progress_is_refused(wrong):
    for call in (tuned, lambda progress: run.verdict("study.toml", progress=progress)):
        with pytest.raises(InputError, match=r"progress: must be True, False or a lossreg\.storage\.observer"):
            call(progress=wrong)


def test_without_a_standard_error_nothing_is_shown(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    assert len(tuned().trials) == 6
    assert capsys.readouterr().out == ""


LIGHT = """
import sys

class First:
    def write(self, text):
        print(text)
        print(*[name for name in ("numpy", "pandas", "sklearn", "optuna", "keras", "mlflow") if name in sys.modules])
        sys.stdout.flush()
        raise SystemExit

    def isatty(self):
        return False

    def flush(self):
        pass

sys.stderr = First()
import lossreg
lossreg.tune([[1.0]] * 9, [0, 1, 2] * 3)
"""


def test_the_first_line_comes_before_anything_slow_is_imported():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout == f"{FIRST}\n\n"


# ------------------------------------------------------------------------------ Ctrl-C


def pressing(at=9):
    """Return a curve that presses Ctrl-C when it is asked this often, and the list of epochs that it was asked for.

    Two trials of three epochs run at a time, so that the ninth is epoch 2 of the third trial.
    """
    asked = []

    def curve(plan, epoch):
        asked.append(epoch)
        if len(asked) == at:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return 0.5

    return curve, asked


def test_ctrl_c_ends_after_the_epoch_and_the_same_call_goes_on(capfd):
    curve, asked = pressing()
    with pytest.raises(KeyboardInterrupt):
        tuned(curve)
    said = capfd.readouterr().err.splitlines()
    assert "Ctrl-C: finishing the epoch; Ctrl-C again ends at once" in said
    assert said[-1] == "Interrupted. Finished trials are kept; the same call goes on with them."
    assert asked == [1, 1, 2, 2, 3, 3, 1, 1, 2, 2]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    later, rest = pressing(at=99)
    assert len(tuned(later).trials) == 6
    assert len(rest) == 4 * 3


def test_a_call_that_starts_over_says_what_goes_on(capfd):
    with pytest.raises(KeyboardInterrupt):
        tuned(pressing()[0], fresh=True)
    assert "the same call without fresh=True goes on" in capfd.readouterr().err


def test_the_second_ctrl_c_and_one_outside_training_end_at_once(capfd):
    def pressed(*, training):
        with shown.shown(None, "one") as observer:
            if training:
                observer.begin(2, 0, ["focal"], 1)
                signal.raise_signal(signal.SIGINT)
                assert observer.stopping()
            signal.raise_signal(signal.SIGINT)

    for training in (True, False):
        with pytest.raises(KeyboardInterrupt):
            pressed(training=training)
    assert capfd.readouterr().err.count("Interrupted. Finished trials are kept") == 2


def test_ctrl_c_in_a_callback_of_the_garbage_collector_is_not_lost(capfd, collecting):
    observers, collect = [], collecting(signal.SIGINT)

    def pressed():
        with shown.shown(None, "one") as observer:
            observers.append(observer)
            collect()

    with pytest.raises(KeyboardInterrupt):
        pressed()
    assert observers[0].stopping()
    assert "Traceback" not in capfd.readouterr().err


def test_handlers_of_others_stay(capfd):
    came = []
    before = signal.signal(signal.SIGINT, lambda *given: came.append(given))
    try:
        assert len(tuned(pressing()[0]).trials) == 6
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(came) == 1


# ------------------------------------------------------------------------- a running loop


def test_a_study_runs_inside_a_running_event_loop():
    async def main():
        assert asyncio.get_running_loop()
        result = tuned()
        await asyncio.sleep(0)
        return result

    assert len(asyncio.run(main()).trials) == 6


def test_ctrl_c_in_an_event_loop_does_not_wait_for_the_end_of_the_study(capfd):
    curve, asked = pressing()

    async def main():
        tuned(curve)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert len(asked) == 10
    assert "the same call goes on" in capfd.readouterr().err


# ------------------------------------------------------------------- terminals, notebooks


def test_a_terminal_gets_a_display(monkeypatch):
    ours, theirs = pty.openpty()
    came = []

    def drain():
        with contextlib.suppress(OSError):  # the other side is closed
            while part := os.read(ours, 1 << 16):
                came.append(part)

    reader = threading.Thread(target=drain)
    reader.start()
    with os.fdopen(theirs, "w") as stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        patched.setenv("TERM", "xterm")
        tuned()
        with pytest.raises(KeyboardInterrupt):
            tuned(pressing()[0], fresh=True)
    reader.join()
    os.close(ours)
    text = " ".join(re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", b"".join(came).decode()).split())
    assert FIRST in text
    assert "6/6 trials" in text
    assert "6 trials, all complete" in text
    assert text.endswith("Interrupted. Finished trials are kept; the same call without fresh=True goes on with them.")


class Kernel:
    """Outputs of cells, as IPython shows them."""

    def __init__(self):
        self.outputs = []

    def display(self, bundle, *, raw, display_id):
        assert (raw, display_id) == (True, True)
        self.outputs.append([bundle])
        return types.SimpleNamespace(update=functools.partial(self.update, self.outputs[-1]))

    @staticmethod
    def update(states, bundle, *, raw):
        assert raw
        states.append(bundle)


@pytest.fixture
def kernel(monkeypatch):
    kernel = Kernel()
    package, shows = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    package.get_ipython = lambda: types.SimpleNamespace(kernel=kernel)
    package.display, shows.display = shows, kernel.display
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", shows)
    return kernel


def test_a_notebook_gets_one_output_that_ends_as_a_few_lines(kernel, capfd):
    result = tuned()
    [states] = kernel.outputs
    assert states[0]["text/plain"] == FIRST
    assert any('<progress max="6" value="0">' in state["text/html"] for state in states)
    last = states[-1]
    assert last["text/plain"].startswith(f"study {result.study}: 6 trials, all complete in ")
    assert "<progress" not in last["text/html"]
    assert len(last["text/plain"].splitlines()) <= MOST_NOTES + 2
    assert html.unescape(re.sub(r"<[^>]+>", "", last["text/html"])) == last["text/plain"].replace("\n", "")
    assert "color" not in last["text/html"]  # those of the notebook, light or dark
    assert capfd.readouterr().err == ""


def test_an_interrupted_notebook_says_how_to_go_on(kernel):
    with pytest.raises(KeyboardInterrupt):
        tuned(pressing()[0])
    [states] = kernel.outputs
    assert any("Ctrl-C: finishing the epoch" in state["text/plain"] for state in states)
    assert states[-1]["text/plain"].startswith("Interrupted. Finished trials are kept")


def test_the_shell_of_a_terminal_is_no_notebook(kernel, monkeypatch, capsys):
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", object)
    tuned()
    assert kernel.outputs == []
    assert capsys.readouterr().err.startswith(FIRST)


def test_names_are_no_markup_and_states_are_few():
    states, now = [], [0.0]
    notebook = Notebook(states.append, lambda: now[0])
    notebook.phase("study <b>a</b>\x1b[31m")
    for note in range(MOST_NOTES + 3):
        notebook.warn(f"<i>{note}</i>")
    notebook.begin(10, 0, ["focal"], 2)
    before = len(states)
    for _ in range(1000):
        now[0] += 0.01
        notebook.epoch(2, 1)
    assert 10 <= len(states) - before <= 20
    page = states[-1]["text/html"]
    assert "<i>" not in page
    assert "<b>" not in states[0]["text/html"]
    assert "\x1b" not in states[0]["text/plain"]
    assert "and 3 notes before: result.notes" in page
