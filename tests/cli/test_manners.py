"""The behaviour of the command towards its terminal: at once, to the end, and without letting names take it over."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import textwrap
from pathlib import Path

import pytest
import sample_study as sample
from quick import long_but
from rich.console import Console
from typer.testing import CliRunner

import lossreg
from lossreg.cli import app
from lossreg.cli.interrupts import Interrupts
from lossreg.reporting import progress as terminal
from lossreg.reporting import tables, trial_table
from lossreg.search import run
from lossreg.storage.observer import Observer
from lossreg.terminal import signals
from lossreg.terminal.plain_text import printable
from lossreg.terminal.streams import Outlet

COMMAND = [sys.executable, "-m", "lossreg"]
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
STUDY = '[data]\nsource = "sklearn:iris"\n'


def start(*args, cwd=None, env=None, **streams):
    return subprocess.Popen([*COMMAND, *map(str, args)], cwd=cwd, env={**os.environ, **(env or {})}, **streams)


class Terminal:
    """A pseudo-terminal with a command on it; `text` is all that has come so far."""

    def __init__(self, command, **options):
        self.side, other = pty.openpty()
        env = {**os.environ, "TERM": "xterm", **options.pop("env", {})}
        self.process = subprocess.Popen(
            command, stdin=other, stdout=other, stderr=other, env=env, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **options,  # noqa: PLW1509
        )  # fmt: skip
        os.close(other)
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        os.close(self.side)

    def read(self):
        """Take what comes; False at the end."""
        assert select.select([self.side], [], [], 300)[0], f"nothing more came after {self.text!r}"
        try:
            came = os.read(self.side, 65536)
        except OSError:
            came = b""
        self.text += came.decode(errors="replace")
        return bool(came)

    def until(self, words):
        while words not in self.text:
            assert self.read(), self.text

    def end(self):
        while self.read():
            pass
        return self.process.wait()


# --------------------------------------------------------------------------------- at once


@pytest.fixture
def gated(tmp_path):
    """A folder with a study, in which the import of a module waits until `release` is called, and then fails."""
    (tmp_path / "study.toml").write_text(STUDY)
    read, write = os.pipe()
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))

    def gate(module):
        (tmp_path / f"{module}.py").write_text(f"import os\nos.read({read}, 1)\nraise ImportError('no luck')\n")
        env = {"PYTHONPATH": path, "KERAS_BACKEND": "tensorflow"}
        return {"cwd": tmp_path, "env": env, "pass_fds": [read]}

    gate.release = lambda: os.write(write, b"x")
    yield gate
    os.close(read)
    os.close(write)


NO_LUCK = "Error: ImportError: no luck (unexpected; LOSSREG_DEBUG=1 shows where)"


@pytest.mark.parametrize("command", ["tune", "results", "model", "sync"])
def test_a_terminal_has_a_line_before_anything_slow_is_imported(gated, command):
    with Terminal([*COMMAND, command, "study.toml"], **gated("pydantic")) as screen:
        screen.until("reading study.toml")
        gated.release()
        assert screen.end() == 1
    assert screen.text == f"reading study.toml\r\x1b[2K{NO_LUCK}\r\n"


SLOW = {
    "tune": ["tune", "study.toml"],
    "dry run": ["tune", "study.toml", "--dry-run"],
    "check": ["check", "huber"],
    "show": ["show", "huber", "--plot", "x.png"],
}


@pytest.mark.parametrize("name", long_but(set(SLOW) - {"dry run"}, SLOW))
def test_a_terminal_shows_that_keras_is_imported(gated, name):
    with Terminal([*COMMAND, *SLOW[name]], **gated("keras")) as screen:
        screen.until("importing TensorFlow, which takes some seconds")
        gated.release()
        assert screen.end() == 1
    assert NO_LUCK in " ".join(screen.text.split())
    assert screen.text.rindex("\x1b[?25h") > screen.text.rindex("\x1b[?25l"), "the cursor is back"


@pytest.mark.parametrize(
    "number", [signal.SIGINT, *(pytest.param(n, marks=pytest.mark.long) for n in (signal.SIGTERM, signal.SIGHUP))]
)
def test_a_pipe_has_a_line_and_a_signal_meanwhile_ends_the_command(gated, number):
    with start("tune", "study.toml", "--json", text=True, **PIPES, **gated("keras")) as done:
        assert done.stderr.readline() == "study study: starting\n"
        assert done.stderr.readline() == "importing TensorFlow, which takes some seconds\n"
        done.send_signal(number)
        out, err = done.communicate()
    assert (done.returncode, out) == (128 + number, "")
    assert err == "Interrupted. Finished trials are kept; go on with: lossreg tune study.toml\n"


STARTING = """
import builtins, signal
from lossreg.cli import main
imported = builtins.__import__

def interrupted(name, *rest):
    if name == "typer":
        signal.raise_signal(signal.SIGINT)
    return imported(name, *rest)

builtins.__import__ = interrupted
main()
"""


def test_an_interrupt_while_the_command_starts_is_one_line():
    done = subprocess.run([sys.executable, "-c", STARTING], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


def test_an_interrupt_while_the_command_cleans_up_at_its_end_says_nothing():
    code = "import atexit, signal; atexit.register(signal.raise_signal, signal.SIGINT); import lossreg.cli as cli; "
    command = [sys.executable, "-c", f"{code} cli.main()", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, f"lossreg {lossreg.__version__}\n", "")


def test_little_is_imported_before_an_interrupt_is_answered():
    code = "import sys; before = set(sys.modules); import lossreg.cli; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.startswith("lossreg")}
    parts = ("lossreg.runtime", "lossreg.runtime.autoload", "lossreg.terminal", "lossreg.terminal.signals")
    assert ours == {"lossreg", "lossreg.cli", "lossreg.version", *parts}
    assert not {"pluggy", "typer", "numpy"} & set(done.stdout.split())


WATCHED = """
import sys
from lossreg.terminal import streams; from lossreg.reporting import progress as terminal
from lossreg.cli.interrupts import Interrupts
watcher = terminal.Lines()
watcher.training = True
with Interrupts(watcher, "lossreg tune x.toml"):
    print("ready", flush=True)
    sys.stdin.read()
    sys.exit(0 if watcher.stopping() else 1)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("twice", [False, True])
def test_the_first_signal_is_answered_and_the_second_ends_at_once(number, twice):
    with subprocess.Popen([sys.executable, "-c", WATCHED], text=True, stdin=subprocess.PIPE, **PIPES) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        name = "Ctrl-C" if number == signal.SIGINT else number.name
        assert process.stderr.readline().startswith(f"{name}: finishing the epoch; ")
        if twice:
            process.send_signal(number)
            assert process.wait() == 128 + number
            assert "go on with: lossreg tune x.toml" in process.stderr.read()
        else:
            assert process.communicate("")[1] == ""
            assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_callback_of_the_garbage_collector_is_not_lost(number, collecting):
    """As where JAX is installed; Python drops what such a callback raises."""
    watcher, collect = terminal.Lines(), collecting(number)
    with Interrupts(watcher, "lossreg tune x.toml") as interrupts:
        with pytest.raises(KeyboardInterrupt):
            collect()
        assert (interrupts.code, interrupts.cut_off, watcher.stopping()) == (128 + number, True, True)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_trials_that_were_added_need_no_option_once_the_study_keeps_them():
    watcher = terminal.Lines()
    interrupts = Interrupts(watcher, "lossreg tune x.toml", "lossreg tune x.toml --set search.trials=9")
    assert interrupts.resume == "lossreg tune x.toml --set search.trials=9"
    watcher.begin(9, 3, ["mse"], 4)
    assert interrupts.resume == "lossreg tune x.toml"


def test_neither_is_that_of_a_command_without_a_study(collecting):
    with signals.leaving(), signals.raising(), pytest.raises(KeyboardInterrupt):
        collecting(signal.SIGINT)()


def test_nor_where_the_alarm_comes_before_python_has_dropped_the_first(monkeypatch, collecting):
    """As on a busy machine."""
    started = []

    def start_late(*given):
        started.append(given)
        if len(started) == 1:
            signal.raise_signal(signal.SIGALRM)
        else:
            setitimer(*given)

    setitimer = signal.setitimer
    monkeypatch.setattr(signal, "setitimer", start_late)
    with signals.undropped(), pytest.raises(KeyboardInterrupt):
        collecting(signal.SIGINT)()


def test_a_study_that_ends_in_spite_of_a_signal_is_called_interrupted(tmp_path, monkeypatch):
    """As where foreign code drops the exception."""

    def finished(*given):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return sample.study()

    monkeypatch.setattr(run, "finished", finished)
    path = tmp_path / "x.toml"
    path.write_text('[data]\nsource = "sklearn:iris"\n')
    done = CliRunner().invoke(app, ["tune", str(path)])
    assert (done.exit_code, done.stdout) == (130, "")
    assert "go on with: lossreg tune" in done.stderr


def test_a_signal_that_the_process_was_told_to_ignore_stays_ignored():
    code = textwrap.dedent("""
        import signal
        from lossreg.reporting import progress as terminal
        from lossreg.cli.interrupts import Interrupts
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with Interrupts(terminal.Lines(), "x"):
            signal.raise_signal(signal.SIGHUP)
            print(signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL)
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\nTrue\n"


def test_on_a_terminal_lines_end_between_words_but_not_what_is_to_be_pasted(tmp_path):
    path = tmp_path / ("long " * 9) / "x.toml"
    code = f"from lossreg.cli import shell; shell.say('word ' * 30); shell.say({str(path)!r} * 2, whole=True)"
    with Terminal([sys.executable, "-c", code], env={"COLUMNS": "40"}) as screen:
        assert screen.end() == 0
    *prose, pasted = screen.text.splitlines()
    assert " ".join(prose).split() == ["word"] * 30
    assert all(len(line) <= 40 for line in prose)
    assert pasted == str(path) * 2


@pytest.mark.parametrize(("text", "shown"), [("reading " + "x" * 100, "reading " + "x" * 31), ("学" * 50, "学" * 19)])
def test_a_line_that_is_taken_back_is_no_wider_than_the_terminal(text, shown):
    code = f"from lossreg.cli import shell, waiting; waiting.announce({text!r}); shell.say('done')"
    with Terminal([sys.executable, "-c", code], env={"COLUMNS": "40"}) as screen:
        assert screen.end() == 0
    assert screen.text == f"{shown}\r\x1b[2Kdone\r\n"


# ------------------------------------------------------------------------------- to the end


def test_a_reader_that_leaves_early_is_no_failure():
    read, write = os.pipe()
    os.close(read)
    with start("losses", stdout=write, stderr=subprocess.PIPE) as done:
        os.close(write)
        assert done.communicate()[1] == b""
    assert done.returncode == 0


CLOSED = {
    "output": ("losses", ">&-", 0, ""),
    "error, of a mistake": ("show focl", "2>&-", 2, ""),
    "everything": ("losses", "0>&- >&- 2>&-", 0, ""),
    "no room": (
        "losses --json",
        "> /dev/full",
        1,
        "Error: standard output cannot be written: No space left on device\n",
    ),
    "no room for errors": ("show focl", "2> /dev/full", 2, ""),
}


@pytest.mark.parametrize(("args", "streams", "code", "stderr"), CLOSED.values(), ids=list(CLOSED))
def test_streams_that_take_nothing(args, streams, code, stderr):
    line = f'exec "$0" -m lossreg {args} {streams}'
    done = subprocess.run(["sh", "-c", line, sys.executable], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, stderr)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_stream_that_cannot_encode_a_name_has_it_spelled_out(tmp_path, encoding):
    name = os.fsdecode("收入-größe-\udcff".encode("utf-8", "surrogateescape"))
    with contextlib.suppress(OSError):
        (tmp_path / f"{name}.toml").write_text("[data]\n")
    env = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    with start("tune", f"{name}.toml", cwd=tmp_path, env=env, **PIPES) as done:
        out, err = done.communicate()
    assert (done.returncode, out) == (2, b"")
    assert err.decode(encoding).startswith("Error: \\u6536\\u5165-gr")
    assert err.count(b"\n") == 1
    with start("losses", env=env, **PIPES) as done:
        out, err = done.communicate()
    assert (done.returncode, err) == (0, b"")
    assert "regression, positive, count" in out.decode(encoding)


def test_an_outlet_waits_for_a_pipe_that_is_full_and_does_not_block():
    read, write = os.pipe()
    os.set_blocking(write, False)
    filled = os.write(write, bytes(1 << 20))
    with subprocess.Popen([sys.executable, "-c", "import sys; print(len(sys.stdin.buffer.read()))"], stdin=read,
                          stdout=subprocess.PIPE, text=True) as reader:  # fmt: skip
        os.close(read)
        outlet = Outlet(write)
        assert outlet.write(b"x" * 10) == 10
        assert outlet.failure is None
        outlet.close()
        os.close(write)
        assert int(reader.communicate()[0]) == filled + 10


HOSTILE = ["a\x1b[31mred", "a\x1b]8;;http://e\x07b", "a\rb", "a\u202eb", "a\x9b2Jb", "\udcff", "[red]a[/red]"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_do_nothing_to_a_terminal(name):
    result = sample.study(6, study=name, losses={name: "focal"}, baseline=name, metric=name)
    result.trials = [sample.trial(n, name) for n in range(6)]
    console = Console(file=io.StringIO(), width=140, force_terminal=True, color_system="standard")
    display = terminal.Display(console)
    display.trial(result.trials[0], result)
    for shown in (tables.leaderboard(result), tables.table(name, {"a": "left"}, [[name]]), display.render()):
        console.print(tables.Printable(shown))
    display.warn(name)
    display.message(name)
    ours = re.compile(r"\x1b\[[\d;]*m")
    text = ours.sub("", console.file.getvalue())
    assert text.count(printable(name)) >= 6
    assert not [letter for letter in text if not letter.isprintable() and letter != "\n"]


@pytest.mark.parametrize("name", HOSTILE)
def test_the_tables_of_a_report_can_be_written_and_hold_no_control_characters(name):
    rows = trial_table.rows(sample.study(1, trials=[sample.trial(0, name, "failed", reason=name)], losses={name: name}))
    text = trial_table.to_csv(rows)
    assert [row["candidate"] for row in csv.DictReader(io.StringIO(text))] == [printable(name)]
    assert not [letter for letter in text if not letter.isprintable() and letter != "\n"]


# -------------------------------------------------------------------------- the end of it


class Told(Observer):
    """Notes what comes in which order, and stops after `epochs`."""

    def __init__(self, epochs=10**6):
        self.told, self.left = [], epochs

    def phase(self, text):
        self.told.append(text)

    def trial(self, record, result):
        self.told.append(record)

    def trained(self, result):
        self.told.append("trained")

    def stopping(self):
        self.left -= 1
        return self.left <= 0


def tuned(progress):
    losses = {"cross_entropy": {}, "focal": {}}
    return lossreg.tune(
        {"name": "told", "data": {"source": "sklearn:iris"}, "model": {"hidden": [4]}, "losses": losses,
         "train": {"epochs": 4, "batch_size": 64},
         "search": {"trials": 8, "lanes": 2, "metric": "accuracy", "confirm": 0},
         "tracking": {"enabled": False}, "verdict": {"enabled": False}}, progress=progress,
    )  # fmt: skip


def test_a_study_that_is_asked_to_stop_keeps_what_ended_and_the_result_is_told_before_the_model_is_written(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    first, second = Told(epochs=6), Told()
    with pytest.raises(KeyboardInterrupt):
        tuned(first)
    kept = {record.number: record for record in first.told if not isinstance(record, str)}
    assert 0 < len(kept) < 8
    assert "trained" not in first.told
    result = tuned(second)
    assert len(result.trials) == 8
    again = {record.number for record in second.told if not isinstance(record, str)}
    assert (len(again), again & set(kept)) == (8 - len(kept), set())
    assert {record.number: record.score for record in result.trials if record.number in kept} == {
        number: record.score for number, record in kept.items()
    }
    last = second.told.index("trained")
    assert all(isinstance(told, str) for told in second.told[last:])
    assert second.told[last + 1] == f"study told: writing the model of trial {result.best.number}"


# ------------------------------------------------------------------------------------ forks


def test_a_fork_after_keras_was_used_is_refused_in_words():
    import keras

    keras.ops.convert_to_numpy(keras.ops.add(1.0, 1.0))
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            lossreg.tune({"data": {"source": "sklearn:iris"}})
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(write)
    ready = select.select([read], [], [], 60)[0]
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert ready, "it hangs"
    message = os.read(read, 4096).decode()
    assert message.startswith("InputError: this process was forked after Keras was used")
    assert "spawn" in message


# ---------------------------------------------------------------------------- a whole study

LONG = """
name = "long"
[data]
source = "sklearn:iris"
[model]
hidden = [8]
[train]
epochs = 300
[search]
trials = 24
metric = "accuracy"
lanes = 4
[losses.cross_entropy]
[losses.focal]
"""


@pytest.mark.long
def test_a_study_that_is_interrupted_goes_on_and_needs_no_reader(tmp_path):
    """Ctrl-C on a terminal, then SIGTERM on pipes, then to the end with standard output closed."""
    (tmp_path / "long.toml").write_text(LONG)
    with Terminal([*COMMAND, "tune", "long.toml"], cwd=tmp_path) as screen:
        screen.until("4 running, ")
        os.write(screen.side, b"\x03")
        screen.until("Ctrl-C: finishing the epoch; Ctrl-C again ends at once")
        assert screen.end() == 130
    assert "go on with: lossreg tune long.toml" in " ".join(screen.text.split())

    with start("tune", "long.toml", cwd=tmp_path, text=True, **PIPES) as process:
        for line in process.stderr:
            if line.startswith(("8/24", "9/24")):
                break
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert (process.returncode, out) == (143, "")
    assert err.startswith("SIGTERM: finishing the epoch; the signal again ends at once\n")
    kept = results(tmp_path)["trials"]["complete"]
    assert 8 <= kept < 24

    read, write = os.pipe()
    os.close(read)
    with start("tune", "long.toml", cwd=tmp_path, text=True, stdout=write, stderr=subprocess.PIPE) as process:
        os.close(write)
        err = process.communicate()[1]
    assert process.returncode == 0
    assert f"resuming: {kept} of 24 trials are done" in err
    assert results(tmp_path)["trials"] == {"complete": 24, "pruned": 0, "failed": 0, "diverged": 0}
    assert Path(tmp_path, ".lossreg/long/best.keras").exists()


@pytest.mark.long
def test_q_ends_a_study_after_the_epoch_and_watch_ends_with_it(tmp_path):
    (tmp_path / "long.toml").write_text(LONG)
    with Terminal([*COMMAND, "tune", "long.toml"], cwd=tmp_path) as screen:
        before = termios.tcgetattr(screen.side)
        screen.until("q ends after this epoch")
        assert not termios.tcgetattr(screen.side)[3] & termios.ECHO
        with start("watch", "long.toml", cwd=tmp_path, text=True, **PIPES) as process:
            first = process.stderr.readline()
            os.write(screen.side, b"q")
            screen.until("q: finishing the epoch; Ctrl-C ends at once")
            assert screen.end() == 130
            out, err = process.communicate()
        assert termios.tcgetattr(screen.side) == before
    assert "go on with: lossreg tune long.toml" in " ".join(screen.text.split())
    assert first.endswith("of 24 to run over 2 losses\n")
    assert not [letter for letter in first + err + out if not letter.isprintable() and letter != "\n"]
    done = results(tmp_path)["trials"]["complete"]
    assert f"Nobody runs this study now: {done} of 24 trials are done." in out
    assert (process.returncode, done < 24) == (0, True)


def results(folder):
    with start("results", "long.toml", "--json", cwd=folder, stdout=subprocess.PIPE) as done:
        return json.loads(done.communicate()[0])
