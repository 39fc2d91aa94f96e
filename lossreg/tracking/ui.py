"""MLflow's UI on the store of a study: its port, its page, and a server that leaves no process behind."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from types import FrameType
from typing import IO, Any

from lossreg.errors import LossregError
from lossreg.terminal import signals
from lossreg.terminal.masking import masked
from lossreg.terminal.plain_text import printable

# defaults that a user may change: no background jobs, which nobody needs to look at runs, no warnings to developers
SETTINGS = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONWARNINGS": "ignore::DeprecationWarning,ignore::UserWarning",
}  # fmt: skip
# its processes take no module from the current folder, which may be a stranger's
ELSEWHERE = {"PYTHONSAFEPATH": "1"}
# of lines of MLflow that help nobody here: the server is for this machine alone
NOISE = "To allow connections from other hosts"
# a request in its log that the server did not fail at
REQUEST = re.compile(r"INFO\b.*\"[A-Z]+ /\S* HTTP/\S+\" [1-4]\d\d\b")
ADDRESS = "MLFLOW_BACKEND_STORE_URI"
FIRST_PORT, LAST_PORT = 5000, 65535
# without it MLflow opens the view for language models, which hides charts and columns
VIEW = "workflowType=machine_learning"
# seconds that processes have to end when they are asked to, and that their last lines are waited for
GRACE = 10.0
LAST_LINES = 10.0
# seconds after which a signal is noticed that another thread than the waiting one took
LOOK = 0.2
# seconds that one that answers may take
ANSWER = 2.0


def command(port: int) -> list[str]:
    """Return the command of MLflow's UI, on loopback only; all users of the machine can read it, so it has no URI."""
    serve = [sys.executable, "-P", "-m", "mlflow", "ui", "--host", "127.0.0.1"]
    return [*serve, "--port", str(port), "--workers", "1"]


def environment(uri: str) -> dict[str, str]:
    """Return the variables for `command`, with the store `uri`; only processes of the same user can read them."""
    return {**SETTINGS, **os.environ, **ELSEWHERE, ADDRESS: uri}


def page(address: str, tracking: Mapping[str, Any]) -> str:
    """Return the page of a study's run in the UI at `address`, or the list of experiments when there is no run."""
    experiment, run = tracking.get("experiment_id"), tracking.get("run_id")
    route = f"experiments/{experiment}/runs/{run}" if experiment and run else "experiments"
    return f"{address}/#/{route}?{VIEW}"


def free_port(wanted: int | None = None, preferred: int = FIRST_PORT) -> int:
    """Return the port `wanted`, or the next free one from `preferred` on; raises `LossregError` if there is none."""
    free = next(filter(_is_free, range(wanted or preferred, LAST_PORT + 1)), None)
    if wanted not in (None, free):
        other = f" or take {free}, which is free" if free else ""
        raise LossregError(f"port {wanted} is in use; leave out --port{other}")
    if free is None:
        raise LossregError(f"no port from {preferred} on is free")
    return free


def _is_free(port: int) -> bool:
    try:
        with reserved(port), socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


@contextmanager
def reserved(port: int) -> Iterator[None]:
    """Keep other calls of `lossreg ui` off a port, on which MLflow listens only after seconds.

    Raises `OSError` if another one has it. The name is Linux's own, and goes with the process; elsewhere there is none.
    """
    with socket.socket(socket.AF_UNIX) as holder:
        if sys.platform == "linux":
            holder.bind(f"\0lossreg-ui-{port}")
        yield


def serve(uri: str, port: int, tell: Callable[[str], None], ready: Callable[[], Any] = lambda: None) -> None:
    """Run MLflow's UI on the store `uri` until it ends, or until Ctrl-C, SIGTERM or SIGHUP ends it and its children.

    `tell` takes each line that it prints, without secrets; `ready` is called once it answers. Raises `LossregError`
    when it fails.
    """
    taken = f"port {port} was taken by another program before the MLflow server had it; run the command again"
    with ExitStack() as held:
        try:
            held.enter_context(reserved(port))
        except OSError:
            raise LossregError(taken) from None
        ended_by_itself = run(command(port), environment(uri), tell, _Once(lambda: answers(port), ready))
    # the exit code of MLflow's server is 0 then
    if ended_by_itself and not _is_free(port):
        raise LossregError(taken)


def answers(port: int) -> bool:
    """Tell whether a server of MLflow on this machine answers."""
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER)
        with closing(connection):
            connection.request("GET", "/health")
            return connection.getresponse().status == http.HTTPStatus.OK
    return False


class _Once:
    """Calls `then` the first time that `is_so` holds."""

    def __init__(self, is_so: Callable[[], bool], then: Callable[[], Any]) -> None:
        self._is_so, self._then, self._is_done = is_so, then, False

    def __call__(self) -> None:
        if not self._is_done and self._is_so():
            self._is_done = True
            self._then()


def run(
    command: list[str], environment: Mapping[str, str], tell: Callable[[str], None],
    look: Callable[[], Any] = lambda: None,
) -> bool:  # fmt: skip
    """Run a server in a process group of its own as `serve` does; return whether it ended without being asked to.

    `look` is called a few times per second meanwhile.
    """
    group = Group()
    with _signals_go_to(group):
        status = group.run(command, environment, tell, look)
    if status and not group.asked:
        raise LossregError(f"the MLflow server ended with exit code {status}")
    return not group.asked


class Group:
    """A server and the processes that it starts."""

    def __init__(self) -> None:
        self.asked = False
        self._leader: subprocess.Popen[str] | None = None

    def run(
        self, command: list[str], environment: Mapping[str, str], tell: Callable[[str], None],
        look: Callable[[], Any] = lambda: None,
    ) -> int:  # fmt: skip
        """Run the command to its end, end the processes that it has left behind, and return its exit status."""
        self._leader = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", process_group=0,
        )  # fmt: skip
        assert self._leader.stdout
        reader = threading.Thread(target=_pass_on, args=(self._leader.stdout, tell), daemon=True)
        reader.start()
        if self.asked:  # before there was anything to end
            self._send(signal.SIGTERM)
        status = _status(self._leader, look)
        self._end_the_rest()
        reader.join(LAST_LINES)
        return status

    def end(self) -> None:
        """Ask all processes to end; the second time, kill them."""
        self._send(signal.SIGKILL if self.asked else signal.SIGTERM)
        self.asked = True

    def _end_the_rest(self) -> None:
        self._send(signal.SIGTERM)
        until = time.monotonic() + GRACE
        while self._send(0) and time.monotonic() < until:
            time.sleep(0.05)
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> bool:
        """Send a signal to the group (0 only looks), and return whether it has a process left."""
        if self._leader is None:
            return False
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._leader.pid, number)
            return True
        return False


def _status(leader: subprocess.Popen[str], look: Callable[[], Any]) -> int:
    """Wait for the exit status in another thread: no signal that the kernel hands to a third one wakes a `waitpid`."""
    waiter = threading.Thread(target=leader.wait, daemon=True)
    waiter.start()
    while waiter.is_alive():
        waiter.join(LOOK)
        look()
    return leader.wait()


@contextmanager
def _signals_go_to(group: Group) -> Iterator[None]:
    """Pass signals that end this process on to the group; this process ends after it."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        group.end()

    with signals.handled(dict.fromkeys(signals.INTERRUPTING, pass_on)):
        yield


def _pass_on(lines: IO[str], tell: Callable[[str], None]) -> None:
    for line in (line for line in lines if NOISE not in line and not REQUEST.search(line)):
        with suppress(OSError, ValueError):  # nobody listens any more, and the server goes on
            tell(printable(masked(line.rstrip("\n"))))
