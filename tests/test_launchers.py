"""The launchers of `studies/deploy`: what they start, start again and pass on, with stand-ins for worker and Slurm."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from lossreg.cli import app
from lossreg.config import study as studies
from lossreg.runtime import devices

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "studies" / "deploy"
WORKERS, SLURM = FOLDER / "workers.sh", FOLDER / "slurm.sh"

# tells its arguments; ends as `CODES` says, its last entry for ever: a code, by a signal, or `wait`s for two signals
STAND_IN = f"""#!{sys.executable}
import json, os, signal, sys
from pathlib import Path

calls = Path(os.environ["CALLS"])
with calls.open("a") as file:
    file.write(json.dumps(sys.argv) + "\\n")
codes = os.environ.get("CODES", "0").split()
ending = codes[min(len(calls.read_text().splitlines()), len(codes)) - 1]
if ending == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if ending == "wait":
    # blocked and waited for, so that one that comes early is not missed
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    for word in (b"started\\n", b"leaving\\n"):
        os.write(1, word)
        number = signal.sigwait([signal.SIGTERM])
    os.write(1, b"gone\\n")
    sys.exit(128 + number)
sys.exit(int(ending))
"""


@pytest.fixture
def launch(tmp_path, monkeypatch):
    """Start a launcher with stand-ins of `lossreg` and `scontrol`; `launch.calls()` are those that it made."""
    commands = tmp_path / "commands"
    commands.mkdir()
    for name in ("lossreg", "scontrol"):
        (commands / name).write_text(STAND_IN)
        (commands / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(commands), prepend=os.pathsep)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("PAUSE", "0")

    started = []

    def start(*args, **environment):
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        started.append(subprocess.Popen([*map(str, args)], env={**os.environ, **environment}, **streams))
        return started[-1]

    def calls():
        lines = (tmp_path / "calls").read_text().splitlines()
        return [[Path(command).name, *rest] for command, *rest in map(json.loads, lines)]

    start.calls = calls
    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ended(process):
    """Wait for the end; return the exit code and what was said on standard error."""
    _, err = process.communicate()
    return process.returncode, err


# --------------------------------------------------------------------------- the shell loop


def test_the_loop_starts_one_worker_for_each_device(launch):
    assert ended(launch(WORKERS, "a b.toml", "gpu:0", "gpu:1", "--", "--set", "name=x y")) == (0, "")
    options = ["--set", "name=x y"]
    expected = [["lossreg", "worker", "a b.toml", "--device", device, *options] for device in ("gpu:0", "gpu:1")]
    assert sorted(launch.calls()) == expected


def test_the_loop_starts_a_worker_again_that_crashed_and_no_other(launch):
    code, err = ended(launch(WORKERS, "s.toml", "cpu", CODES="1 kill 0"))
    assert code == 0
    assert len(launch.calls()) == 3
    assert re.findall(r"the worker on cpu ended with code (\d+); start (\d) of 20", err) == [("1", "1"), ("137", "2")]


@pytest.mark.parametrize("code", [2, 130, 143])
def test_the_loop_leaves_wrong_input_and_a_worker_that_was_asked_to_leave(launch, code):
    assert ended(launch(WORKERS, "s.toml", "cpu", CODES=str(code)))[0] == code
    assert len(launch.calls()) == 1


def test_the_loop_gives_a_worker_up_that_crashes_for_ever(launch):
    assert ended(launch(WORKERS, "s.toml", "cpu", CODES="1", RESTARTS="3"))[0] == 1
    assert len(launch.calls()) == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_loop_passes_each_signal_on_to_its_workers(launch, number):
    loop = launch(WORKERS, "s.toml", "cpu", "cpu", CODES="wait")
    assert [loop.stdout.readline() for _ in range(2)] == ["started\n"] * 2
    loop.send_signal(number)
    assert [loop.stdout.readline() for _ in range(2)] == ["leaving\n"] * 2
    loop.send_signal(number)
    assert loop.stdout.read() == "gone\n" * 2
    assert loop.wait() == 143
    assert len(launch.calls()) == 2


@pytest.mark.parametrize("args", [(), ("s.toml",), ("s.toml", "--", "--safe")])
def test_the_loop_says_what_it_lacks(launch, args):
    code, err = ended(launch(WORKERS, *args))
    assert code != 0
    assert "workers.sh STUDY DEVICE..." in err or "name a device for each worker" in err


# --------------------------------------------------------------------------- Slurm

ARRAY = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
REQUEUED = ["scontrol", "requeue", "7_3"]


@pytest.mark.parametrize(("code", "restarts", "is_requeued"), [
    (0, "0", False), (2, "0", False), (1, "0", True), (143, "1", True), (1, "100", False),
])  # fmt: skip
def test_a_task_of_slurm_that_has_not_ended_in_order_is_queued_again(launch, code, restarts, is_requeued):
    batch = launch(SLURM, "s.toml", "--safe", CODES=f"{code} 0", SLURM_RESTART_COUNT=restarts, **ARRAY)
    assert ended(batch)[0] == (0 if is_requeued else code)
    worker = ["lossreg", "worker", "s.toml", "--device", "gpu", "--safe"]
    assert launch.calls() == [worker, REQUEUED] if is_requeued else [worker]


def test_slurms_signal_before_the_time_limit_reaches_the_worker(launch):
    batch = launch(SLURM, "s.toml", CODES="wait 0", DEVICE="cpu", **ARRAY)
    assert batch.stdout.readline() == "started\n"
    batch.send_signal(signal.SIGTERM)
    assert batch.stdout.readline() == "leaving\n"
    batch.send_signal(signal.SIGTERM)
    assert batch.wait() == 0
    assert launch.calls() == [["lossreg", "worker", "s.toml", "--device", "cpu"], REQUEUED]


def test_the_task_asks_for_the_signal_and_to_be_queued_again():
    asked = re.findall(r"^#SBATCH (.*)", SLURM.read_text(), re.MULTILINE)
    assert {"--requeue", "--signal=B:TERM@120", "--ntasks=1", "--gres=gpu:1"} <= set(asked)


# --------------------------------------------------------------------------- containers


def document(name):
    return yaml.safe_load((FOLDER / name).read_text())


def arguments():
    """The arguments of `lossreg` in every container."""
    [container] = document("kubernetes.yaml")["spec"]["template"]["spec"]["containers"]
    default = re.search(r"^CMD (.*)", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)[1]
    return [document("compose.yaml")["services"]["worker"]["command"], container["args"], json.loads(default)]


@pytest.mark.parametrize("args", arguments(), ids=shlex.join)
def test_the_command_takes_what_a_container_gives_it(args):
    name, *rest = args
    given = typer.main.get_command(app).commands[name].make_context(name, rest).params
    devices.choose(given["device"] or "cpu", {})
    assert (FOLDER / given["study"]).exists()


def test_the_study_of_the_launchers_takes_its_storage_from_the_environment():
    spec = studies.load(FOLDER / "shared.toml")
    assert (spec.name, spec.storage.url) == ("shared", "${LOSSREG_STORAGE}")


def test_services_are_published_on_loopback_alone():
    services = document("compose.yaml")["services"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert sorted(published) == ["127.0.0.1:5000:5000", "127.0.0.1:5432:5432"]
    assert not any("network_mode" in service for service in services.values())


def test_the_image_is_made_from_files_that_are_there():
    copied = re.findall(r"^COPY (?:--\S+ )?(.*) \S+$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)", (FOLDER / "Dockerfile").read_text(), re.MULTILINE))
    sources = [defaults.get(source.lstrip("$"), source) for line in copied for source in line.split()]
    assert len(sources) == 6
    assert all((ROOT / source).exists() for source in sources)


def test_a_pod_has_as_long_to_leave_as_the_others():
    grace = document("kubernetes.yaml")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert f"B:TERM@{grace}" in SLURM.read_text()
    assert document("compose.yaml")["services"]["worker"]["stop_grace_period"] == f"{grace // 60}m"


def test_an_index_of_the_job_is_a_worker():
    job = document("kubernetes.yaml")["spec"]
    assert job["completionMode"] == "Indexed"
    assert job["completions"] == job["parallelism"]
