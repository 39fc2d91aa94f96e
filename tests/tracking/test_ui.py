"""The server of `lossreg ui`: what everybody on the machine can see of it, and what is left when it was ended."""

from __future__ import annotations

import contextlib
import http.server
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from mlflow_server import wait_for
from processes import has_ended

from lossreg.errors import LossregError
from lossreg.tracking import ui

# a server with a child that pays no heed to its parent's end, as MLflow's have
SERVER = """
import os, signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print("pids", os.getpid(), child.pid, flush=True)
child.wait()
"""
CHILD = "import signal; {what}; print(flush=True); signal.pause()"
STUBBORN = CHILD.format(what="signal.signal(signal.SIGTERM, signal.SIG_IGN)")
# what `lossreg ui` runs, with a server that needs no seconds to start
MAIN = """
import sys
from lossreg.tracking import ui
ui.GRACE = 0.5
store = ui.environment("postgresql://me:pl-nt1d@host/db")
ui.run([sys.executable, "-c", sys.argv[1]], store, lambda line: print(line, flush=True))
"""


def serving(server):
    command = [sys.executable, "-c", MAIN, server]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("number", "child"),
    [(signal.SIGTERM, STUBBORN), (signal.SIGINT, STUBBORN), (signal.SIGHUP, CHILD.format(what="0"))],
)
def test_a_signal_ends_the_server_and_its_children(number, child):
    with serving(SERVER.format(child=child)) as process:
        _, *pids = process.stdout.readline().split()
        process.send_signal(number)
        assert process.wait(60) == 0, process.stderr.read()
    assert [has_ended(int(pid)) for pid in pids] == [True, True]


# signals of the main thread go to another one, as the kernel may choose
ELSEWHERE = """
import signal, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
"""
ENDS_LATE = """
import signal
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
signal.signal(signal.SIGALRM, lambda *args: print("not ended", flush=True))
signal.alarm(20)
print("started", flush=True)
signal.pause()
"""


def test_a_signal_that_another_thread_takes_ends_the_server():
    command = [sys.executable, "-c", ELSEWHERE + MAIN, ENDS_LATE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0, process.stderr.read()
        assert process.stdout.read() == ""


def test_children_of_a_server_that_failed_are_ended_and_its_lines_have_no_secrets():
    failing = SERVER.format(child=STUBBORN).replace(
        "child.wait()", "sys.exit(f'no {os.environ[\"MLFLOW_BACKEND_STORE_URI\"]}')"
    )
    with serving(failing) as process:
        _, *pids = process.stdout.readline().split()
        lines, errors = process.stdout.read(), process.stderr.read()
        assert process.wait(timeout=60) == 1
    assert "the MLflow server ended with exit code 1" in errors
    assert lines == "no postgresql://me:***@host/db\n"
    assert "pl-nt1d" not in errors
    assert has_ended(int(pids[1]))


@pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")
def test_the_address_of_the_store_is_on_no_command_line():
    """Everybody on the machine can list command lines; MLflow's own command reads the variable."""
    from mlflow.cli import cli

    options = {param.name: param for param in cli.commands["server"].params}
    assert options["backend_store_uri"].envvar in ui.environment("postgresql://me:pl-nt1d@host/db")
    assert not [part for part in ui.command(5000) if "://" in part]
    cli.commands["server"].make_context("server", ui.command(5000)[5:], resilient_parsing=True)


def test_a_server_that_fails_is_an_error_and_one_that_ends_is_none():
    lines = []
    with pytest.raises(LossregError, match="exit code 3"):
        ui.run([sys.executable, "-c", "raise SystemExit(3)"], os.environ, lines.append)
    ui.run([sys.executable, "-c", "print('\\x1b[1mbye')"], os.environ, lines.append)
    assert lines == [r"\x1b[1mbye"]


def test_what_only_developers_and_other_hosts_need_is_not_shown():
    script = """
    import warnings
    warnings.warn("httpx is deprecated", DeprecationWarning)
    print("[MLflow] Security middleware enabled. To allow connections from other hosts, use --host 0.0.0.0", flush=True)
    print('INFO:     127.0.0.1:40606 - "GET /static-files/main.js HTTP/1.1" 200 OK')
    print('INFO:     127.0.0.1:40606 - "GET /favicon.ico HTTP/1.1" 404 Not Found')
    """
    shown = [
        'INFO:     127.0.0.1:40606 - "POST /ajax-api/2.0/mlflow/runs/search HTTP/1.1" 500 Internal Server Error',
        "INFO:     Uvicorn running on http://127.0.0.1:5000",
        "2026/11/30 18:00:00 WARNING mlflow.server: slow answer to GET /ajax-api",
        "ERROR:    Exception in ASGI application",
    ]
    script = textwrap.dedent(script) + f"print({chr(10).join(shown)!r})"
    lines = []
    ui.run([sys.executable, "-c", script], ui.environment("sqlite:///x.db"), lines.append)
    assert lines == shown


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *args):
        """Say nothing."""


def test_a_server_is_noticed_once_it_answers():
    with http.server.HTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert ui.answers(server.server_port)
        server.shutdown()
    assert not ui.answers(server.server_port)


def test_a_port_that_another_program_takes_first_is_an_error(monkeypatch):
    monkeypatch.setattr(ui, "command", lambda port: [sys.executable, "-c", ""])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LossregError, match=f"port {port} was taken by another program"):
            ui.serve("sqlite:///mlflow.db", port, print)
    ui.serve("sqlite:///mlflow.db", port, print)


def test_the_next_port_is_taken_where_one_is_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert port < ui.free_port(preferred=port) < port + 100
        with pytest.raises(
            LossregError, match=rf"port {port} is in use.* {ui.free_port(preferred=port)}, which is free"
        ):
            ui.free_port(port)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the names by which ports are kept")
def test_a_second_server_takes_the_next_port_before_the_first_one_listens(monkeypatch):
    port = ui.free_port()
    monkeypatch.setattr(ui, "command", lambda port: [sys.executable, "-c", "print('begun')"])
    seen = []
    ui.serve("sqlite:///mlflow.db", port, lambda line: seen.append(ui.free_port(preferred=port)))
    assert [other > port for other in seen] == [True]
    assert ui.free_port(preferred=port) == port


def command_lines():
    """Of every process on the machine, by its number."""
    lines = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            lines[int(place.name)] = (place / "cmdline").read_bytes().decode(errors="replace")
    return lines


@pytest.mark.long
def test_mlflow_s_own_server_shows_its_store_to_nobody_and_leaves_nothing_running(tmp_path):
    (tmp_path / "toy.toml").write_text('data.source = "sklearn:iris"\ntracking.uri = "sqlite:///pl-nt1d.db"\n')
    command = [sys.executable, "-m", "lossreg", "ui", "toy.toml"]
    unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=tmp_path, env=unbuffered, stdout=subprocess.PIPE, text=True) as process:
        port = next(filter(None, (re.search(r"127\.0\.0\.1:(\d+)/#/experiments", line) for line in process.stdout)))[1]
        wait_for(f"http://127.0.0.1:{port}", process)
        lines = command_lines()
        servers = {number for number, line in lines.items() if f"\0--port\0{port}" in line}
        assert len(servers) >= 2
        assert not [line for line in lines.values() if "pl-nt1d" in line]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert [has_ended(number) for number in servers] == [True] * len(servers)
    assert (tmp_path / "pl-nt1d.db").stat().st_size


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ({"experiment_id": "7", "run_id": "abc"}, "/#/experiments/7/runs/abc?workflowType=machine_learning"),
        ({}, "/#/experiments?workflowType=machine_learning"),
    ],
)
def test_the_page_is_that_for_model_training(where, place):
    assert ui.page("http://127.0.0.1:5000", where) == f"http://127.0.0.1:5000{place}"


def test_nothing_in_the_current_folder_is_taken_for_a_module(tmp_path):
    """`lossreg ui` may be called in a stranger's folder, and MLflow's server starts processes of its own."""
    (tmp_path / "mlflow.py").write_text("print('planted')")
    (tmp_path / "uvicorn.py").write_text("print('planted')")
    command, settings = ui.command(5000), ui.environment("sqlite:///x.db")
    interpreter = command[: command.index("mlflow")]
    for arguments in ([*interpreter, "uvicorn", "--version"], [sys.executable, "-m", "uvicorn", "--version"]):
        done = subprocess.run(arguments, cwd=tmp_path, env=settings, capture_output=True, text=True, check=False)
        assert "Running uvicorn" in done.stdout, done.stderr
        assert "planted" not in done.stdout
    plain = subprocess.run(
        [sys.executable, "-m", "uvicorn"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"},
    )  # fmt: skip
    assert "planted" in plain.stdout


def test_the_server_is_on_loopback_alone():
    command = ui.command(5000)
    assert command[command.index("--host") + 1] == "127.0.0.1"
