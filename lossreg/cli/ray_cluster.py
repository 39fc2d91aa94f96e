"""A Ray cluster that runs workers of a study as its tasks: it starts them, and starts them again where they crashed.

Nothing else goes through Ray: a task is the command `lossreg worker` in a process of its own, and the trials are in the
study's storage.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lossreg.errors import InputError, LossregError, count_of, one_line
from lossreg.reporting.watcher import Watcher
from lossreg.runtime import processes, safety
from lossreg.terminal.signals import INTERRUPTING, handled

LOCAL = "local"
# of a cluster that is started here: it reports nothing to Ray's makers, and listens on loopback alone, as Ray has it by
# itself on other systems than Linux
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
ADDRESSES = "auto, HOST:6379, ray://HOST:10001 or local"
# how often Ray starts a worker again, and seconds before it does
RESTARTS, PAUSE = 20, 5.0
TASK = {"name": "worker", "scheduling_strategy": "SPREAD", "max_retries": RESTARTS}
# seconds between two looks at the tasks, and at whether one is to leave
POLL = 0.5
SECONDS_TO_CONNECT = 10
# variables of the environment that go along to workers on other machines
VARIABLES = ("LOSSREG_", "MLFLOW_", "KERAS_", "PG")
# exit codes of a worker that is not started again: it ended in order, its input is wrong, or it was asked to leave
FINISHED, WRONG_INPUT = 0, 2
FINAL = {
    FINISHED,
    WRONG_INPUT,
    *(sign * number + offset for number in INTERRUPTING for sign, offset in ((1, 128), (-1, 0))),
}
# the arguments of a worker, which may have a password: unlike a command line only its user can see its environment
ARGUMENTS = "LOSSREG_ARGUMENTS"
WITH_ARGUMENTS = f"import json, os; sys.argv[1:] = json.loads(os.environ.pop({ARGUMENTS!r}))\n"
WORKER = "from lossreg.runtime import processes; processes.leave_with(0); from lossreg.cli import main; main()"


class CrashedError(Exception):
    """A worker ended otherwise than in order."""


@dataclass(frozen=True, slots=True)
class Places:
    """The places of workers: their device, and the cores that each takes; manner: the words of messages for it."""

    device: str
    cores: list[int]
    manner: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster at an address, and the workers that it is to run: by default one for each GPU, or for each machine."""

    address: str
    workers: int | None = None
    device: str = ""

    def __post_init__(self) -> None:
        """Raise `InputError` for a GPU with a number."""
        if self.device not in ("", "cpu", "gpu"):
            raise InputError("Ray gives each worker its GPU", where="--device", hint="With --ray it is cpu or gpu.")

    @property
    def options(self) -> list[str]:
        """The options of `lossreg worker` that ask for it."""
        count = ["--workers", str(self.workers)] if self.workers else []
        return ["--ray", self.address, *count, *(["--device", self.device] if self.device else [])]

    def run(self, command: Sequence[str], watcher: Watcher) -> None:
        """Run the workers until all of them have left; `command` is that of one, but for its device.

        Raises `KeyboardInterrupt` when the watcher was asked to stop, `InputError` where Ray is not installed or the
        cluster has no place for a worker, `LossregError` where no worker ended in order.
        """
        with _connected(self.address) as ray:
            places = self._places(ray)
            count = len(places.cores)
            watcher.message(f"{count_of(count, 'worker')} on Ray at {self.address}, {places.manner}")
            task, args, variables = ray.remote(work), [*command, "--device", places.device], environment()
            options = {**TASK, "num_gpus": int(places.device == "gpu"), "retry_exceptions": [CrashedError]}
            tasks = [task.options(**options, num_cpus=cores).remote(args, variables) for cores in places.cores]
            codes = _ended(ray, tasks, watcher)
        if FINISHED not in codes:
            raise LossregError(f"no worker ended in order; exit codes: {', '.join(map(str, sorted(set(codes))))}")

    def _places(self, ray: Any) -> Places:
        """Return where the workers run."""
        gpus, machines = int(ray.cluster_resources().get("GPU", 0)), _machines(ray)
        device = self.device or ("gpu" if gpus else "cpu")
        count = self.workers or (gpus if device == "gpu" else len(machines))
        if not count:
            hint = "Say with --workers how many it will have, or take --device cpu."
            raise InputError("the cluster has none", where=f"--device {device}", hint=hint)
        if device == "gpu":
            return Places(device, [1] * count, "each on a GPU")
        if count > len(machines):
            return Places(device, [1] * count, "which share the cores of their machines")
        return Places(device, machines[:count], "each with all cores of its machine")


def arguments(study: Path, overrides: Sequence[str]) -> list[str]:
    """Return the arguments of `lossreg` for a worker on any machine."""
    given = [part for override in overrides for part in ("--set", override)]
    return ["worker", str(study.absolute()), *safety.options(), *given]


def environment(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that go along to the workers."""
    return {name: value for name, value in variables.items() if name.startswith(VARIABLES)}


def work(args: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run `lossreg` in a process of its own, and return its exit code: a task of Ray.

    When the task is cancelled, or its process ends, `lossreg` gets SIGTERM.
    Raises `CrashedError`, on which Ray runs the task again.
    """
    given = {**os.environ, **variables, ARGUMENTS: json.dumps(args)}
    # its progress goes to Ray's logs; the results are shown by the command that asked for the workers
    with subprocess.Popen(
        processes.python(WITH_ARGUMENTS + WORKER), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=given,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdin
        pipe = process.stdin
        # Ray cancels a task as Ctrl-C does, though without a signal that would interrupt a wait
        with handled({signal.SIGINT: lambda number, frame: pipe.close()}):
            code = _exit_code(process)
    if code not in FINAL:
        time.sleep(PAUSE)
        raise CrashedError(f"a worker ended with exit code {code}")
    return code


def _exit_code(process: subprocess.Popen[bytes]) -> int:
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(POLL)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Have a connection to a cluster during the block; yields the module `ray`."""
    if address == LOCAL:
        os.environ.update(QUIET)
    try:
        import ray
    except ImportError as error:
        what = f"Ray is not installed ({one_line(error)})"
        raise InputError(what, where="--ray", hint="pip install 'lossreg[ray]'.") from None
    _require_answer(address)
    try:
        ray.init(address=address, logging_level="warning", **({"include_dashboard": False} if address == LOCAL else {}))
    except Exception as error:
        raise LossregError(f"there is no Ray cluster at {address} ({one_line(error)})") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise an error where nothing listens: Ray itself would try for minutes."""
    if address in (LOCAL, "auto"):
        return
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise InputError(f"{address!r} is no address of a Ray cluster", where="--ray", hint=f"It is {ADDRESSES}.")
    try:
        socket.create_connection((host, port), SECONDS_TO_CONNECT).close()
    except OSError as error:
        raise LossregError(f"there is no Ray cluster at {address} ({one_line(error)})") from None


def _machines(ray: Any) -> list[int]:
    """Return the cores of each machine that may run tasks, the most first, so that none with fewer takes its place."""
    cores = (int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
    return sorted(filter(None, cores), reverse=True)


def _ended(ray: Any, tasks: list[Any], watcher: Watcher) -> list[int]:
    """Return the exit codes of all tasks; they are cancelled when the watcher is asked to stop."""
    codes: list[int] = []
    is_leaving = False
    while tasks:
        if watcher.stopping() and not is_leaving:
            is_leaving = True
            for task in tasks:
                ray.cancel(task)
        ended, tasks = ray.wait(tasks, timeout=POLL)
        codes += [_code(ray, task, watcher) for task in ended]
    if is_leaving:
        raise KeyboardInterrupt
    return codes


def _code(ray: Any, task: Any, watcher: Watcher) -> int:
    """Return the exit code of a task's worker; 1 where Ray has given it up."""
    try:
        return int(ray.get(task))
    except ray.exceptions.RayError as error:
        if not watcher.stopping():
            watcher.warn(f"a worker is not started again: {one_line(getattr(error, 'cause', None) or error)}")
        return 1
