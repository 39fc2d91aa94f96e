"""Workers on Ray: where they run, what they take along, when they start again and leave; once on a real cluster."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState
from processes import LOOPBACK, listening

from lossreg.cli import ray_cluster
from lossreg.cli.ray_cluster import Cluster, CrashedError
from lossreg.errors import InputError, LossregError
from lossreg.reporting.watcher import Watcher
from lossreg.runtime import processes, safety
from lossreg.storage.workers import WORKER

STUDY = Path(__file__).parents[2] / "studies" / "deploy" / "shared.toml"


class RayError(Exception):
    pass


class FakeRay:
    """A cluster whose tasks end, in order, with these exit codes or errors."""

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self, endings, resources=(), cores=(4,)):
        self.endings, self.resources = list(endings), dict(resources)
        self.machines = [{"Alive": True, "Resources": {"CPU": float(count)} if count else {}} for count in cores]
        self.machines.append({"Alive": False, "Resources": {"CPU": 64.0}})
        self.started, self.asked, self.cancelled = [], [], []

    def init(self, **options):
        self.connected = options

    def shutdown(self):
        self.connected = None

    def cluster_resources(self):
        return self.resources

    def nodes(self):
        return self.machines

    def remote(self, function):
        assert function is ray_cluster.work
        return self

    def options(self, **options):
        self.asked.append(options)
        return SimpleNamespace(remote=self.start)

    def start(self, *args):
        self.started.append(args)
        return len(self.started) - 1

    def wait(self, tasks, timeout):
        return tasks[:1], tasks[1:]

    def cancel(self, task):
        self.cancelled.append(task)

    def get(self, task):
        if isinstance(ending := self.endings[task], Exception):
            raise ending
        return ending


class Heard(Watcher):
    def __init__(self):
        super().__init__()
        self.heard = []

    def message(self, text):
        self.heard.append(text)

    warn = message


@pytest.fixture
def cluster(monkeypatch):
    def put(*args, **options):
        fake = FakeRay(*args, **options)
        monkeypatch.setitem(sys.modules, "ray", fake)
        return fake

    return put


@pytest.mark.parametrize(("asked", "gpus", "expected", "manner"), [
    (Cluster("auto"), 3.0, ("gpu", [1, 1, 1]), "each on a GPU"),
    (Cluster("auto"), 0.0, ("cpu", [16, 4]), "each with all cores of its machine"),
    (Cluster("auto", device="cpu"), 3.0, ("cpu", [16, 4]), "each with all cores of its machine"),
    (Cluster("auto", workers=1), 0.0, ("cpu", [16]), "each with all cores of its machine"),
    (Cluster("auto", workers=3), 0.0, ("cpu", [1, 1, 1]), "which share the cores of their machines"),
    (Cluster("auto", workers=5, device="gpu"), 0.0, ("gpu", [1] * 5), "each on a GPU"),
])  # fmt: skip
def test_there_is_a_worker_for_each_gpu_or_machine(cluster, asked, gpus, expected, manner):
    ray, watcher = cluster([0] * 5, {"GPU": gpus}, cores=(4, 0, 16)), Heard()
    asked.run(["worker", "s.toml"], watcher)
    device, cores = expected
    assert [args for args, _ in ray.started] == [["worker", "s.toml", "--device", device]] * len(cores)
    assert [(task["num_cpus"], task["num_gpus"]) for task in ray.asked] == [(count, device == "gpu") for count in cores]
    assert all((task["max_retries"], task["retry_exceptions"]) == (20, [CrashedError]) for task in ray.asked)
    assert watcher.heard[0] == f"{len(cores)} worker{'s' * (len(cores) > 1)} on Ray at auto, {manner}"
    assert ray.connected is None


def test_no_gpu_is_said_where_gpus_are_asked_for(cluster):
    cluster([])
    with pytest.raises(InputError, match=r"--device gpu: the cluster has none\. Say with --workers how many"):
        Cluster("auto", device="gpu").run([], Heard())
    with pytest.raises(InputError, match="Ray gives each worker its GPU"):
        Cluster("auto", device="gpu:1")


def test_one_worker_that_ends_in_order_is_enough_and_none_is_an_error(cluster):
    cluster([2, RayError("node gone"), 0])
    watcher = Heard()
    Cluster("auto", workers=3).run([], watcher)
    assert watcher.heard[1:] == ["a worker is not started again: RayError: node gone"]
    cluster([2, 2, RayError("node gone")])
    with pytest.raises(LossregError, match="no worker ended in order; exit codes: 1, 2") as error:
        Cluster("auto", workers=3).run([], Heard())
    assert error.value.exit_code == 1


def test_a_request_to_stop_cancels_all_workers_and_waits_for_them(cluster):
    ray, watcher = cluster([143, RayError("cancelled")]), Heard()
    watcher.stop("SIGTERM")
    with pytest.raises(KeyboardInterrupt):
        Cluster("auto", workers=2).run([], watcher)
    assert ray.cancelled == [0, 1]
    assert len(watcher.heard) == 1
    assert ray.connected is None


def test_a_missing_ray_is_told_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"--ray: Ray is not installed .*pip install 'lossreg\[ray\]'"):
        Cluster("auto").run([], Heard())


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9"])
def test_a_cluster_that_is_not_there_is_told_at_once(cluster, address):
    cluster([])
    with pytest.raises(LossregError, match=f"there is no Ray cluster at {address} .*refused"):
        Cluster(address).run([], Heard())
    with pytest.raises(InputError, match="'here' is no address of a Ray cluster"):
        Cluster("here").run([], Heard())


def test_a_worker_gets_what_it_needs_of_arguments_and_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with safety.safe_mode(["arctan"]):
        args = ray_cluster.arguments(Path("a b.toml"), ["search.trials=8"])
    path = str(tmp_path / "a b.toml")
    assert args == ["worker", path, "--safe", "--allow-plugin", "arctan", "--set", "search.trials=8"]
    given = {"LOSSREG_STORAGE": "1", "PGPASSWORD": "2", "MLFLOW_TRACKING_URI": "3", "KERAS_BACKEND": "4"}
    assert ray_cluster.environment({**given, "PATH": "x", "AWS_SECRET_ACCESS_KEY": "y"}) == given


# ------------------------------------------------------------------ a task of Ray, which runs a process

ENDING = "import os, signal, sys; {}"
WAITING = """
import signal
from lossreg.runtime import processes
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
processes.leave_with(0)
open(sys.argv[1], "w").close()
signal.sigwait([signal.SIGTERM])
sys.exit(143)
"""


@pytest.mark.parametrize(("end", "code"), [
    ("sys.exit(0)", 0), ("sys.exit(2)", 2), ("sys.exit(143)", 143), ("os.kill(os.getpid(), signal.SIGTERM)", -15),
])  # fmt: skip
def test_a_worker_that_ends_in_order_ends_its_task(monkeypatch, end, code):
    monkeypatch.setattr(ray_cluster, "WORKER", ENDING.format(end))
    assert ray_cluster.work([], {}) == code


def test_the_arguments_of_a_worker_are_not_in_its_command_line(monkeypatch, tmp_path):
    shown = tmp_path / "shown"
    end = "open(sys.argv[1], 'w').write(open('/proc/self/cmdline').read() + str([sys.argv[2:], *os.environ]))"
    monkeypatch.setattr(ray_cluster, "WORKER", ENDING.format(end))
    assert ray_cluster.work([str(shown), "--set", "storage.url=postgresql://me:s3cret-w0rd@db/x"], {}) == 0
    command, _, environment = shown.read_text().rpartition("\0")
    assert "s3cret-w0rd" not in command
    assert "s3cret-w0rd" in environment
    assert ray_cluster.ARGUMENTS not in environment


@pytest.mark.parametrize("end", ["sys.exit(1)", "sys.exit(os.environ['CODE'])", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_worker_that_crashes_has_ray_run_its_task_again(monkeypatch, end):
    monkeypatch.setattr(ray_cluster, "WORKER", ENDING.format(end))
    monkeypatch.setattr(ray_cluster, "PAUSE", 0)
    with pytest.raises(CrashedError, match=r"exit code (1|-9)"):
        ray_cluster.work([], {"CODE": "7"})


def test_a_task_that_is_cancelled_asks_its_worker_to_leave(monkeypatch, tmp_path):
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    monkeypatch.setattr(ray_cluster, "WORKER", WAITING)

    def cancel():
        begun.read_bytes()
        signal.raise_signal(signal.SIGINT)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    assert ray_cluster.work([str(begun)], {}) == 143
    canceller.join()


def test_a_worker_leaves_when_the_process_of_its_task_is_killed():
    code = "import signal, threading; processes.leave_with(0); print(flush=True); threading.Event().wait()"
    command = processes.python(f"from lossreg.runtime import processes; {code}")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        worker.stdout.readline()
        worker.stdin.close()
    assert worker.returncode == -signal.SIGTERM


# ------------------------------------------------------------------ a real cluster


@pytest.mark.long
def test_a_real_cluster_starts_a_worker_again_that_was_killed(database, tmp_path):
    shutil.copy(STUDY, tmp_path)
    small = ["search.trials=12", "train.epochs=3", "verdict.enabled=false", "tracking.enabled=false"]
    options = [part for override in small for part in ("--set", override)]
    environment = {**os.environ, "LOSSREG_STORAGE": database, "HOME": str(tmp_path), "RAY_DEDUP_LOGS": "0"}
    command = [sys.executable, "-m", "lossreg", "worker", "shared.toml", "--ray", "local", "--workers", "1", "--json"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, *options], cwd=tmp_path, env=environment, **streams) as ray:
        assert any("12 trials of 12 to run" in line for line in ray.stderr)
        addresses = listening(ray.pid)
        workers = optuna.load_study(study_name="shared:workers", storage=database)
        [killed] = workers.trials
        os.kill(int(killed.user_attrs[WORKER]["name"].split(":")[1]), signal.SIGKILL)
        out, err = ray.communicate()
    assert ray.returncode == 0, err
    assert addresses
    assert addresses <= LOOPBACK
    assert json.loads(out)["trials"]["complete"] == 12
    assert [trial.state for trial in workers.trials] == [TrialState.FAIL, TrialState.COMPLETE]
