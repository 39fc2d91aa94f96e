"""Cost of tracking per trial: processor time of the process that writes into MLflow, and the time that a study waits.

    python studies/benchmarks/tracking.py [--stores sqlite server] [--trials 200] [--epochs 20] [--pace 0.1]
    python studies/benchmarks/tracking.py --outages [--trials 64] [--epochs 20] [--rounds 3]

Trials made up without any training are handed to the tracker: first all together, then one every `--pace` seconds, as
a small network gives them. `per child` is the processor time between the opened parent run and the last written child,
`waited` what a study waits for then until all children are written, `end` what it waits for after that, for plots,
tables and an end of the parent run. `server` is `mlflow server` on loopback, over SQLite; its own processor time is not
counted. MLflow is imported and a new store's tables are made before, while a study loads its data.

With `--outages` whole studies on digits are run by `lossreg tune`, in turn, with a server that is up, one that is down
all the time and one that takes requests and never answers: medians of their wall time, from the return key to the
shell, and the trials that `lossreg sync` has brought into the server afterwards.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord
from lossreg.tracking import Tracker, check, free_port
from lossreg.tracking.worker import Process

LOSSES = {"cross_entropy": "cross_entropy", "focal": "focal"}
STUDY = """
name = "outage"
data = {{ source = "sklearn:digits" }}
model = {{ hidden = [64] }}
train = {{ epochs = {epochs} }}
search = {{ trials = {trials}, metric = "accuracy" }}
verdict = {{ enabled = false }}
tracking = {{ experiment = "{experiment}" }}

[losses]
cross_entropy = {{}}
focal = {{}}
label_smoothing_ce = {{}}
"""


class Cost(NamedTuple):
    """Seconds: of the processor per child, and of waiting for the children and for the end."""

    per_child: float
    waited: float
    end: float


def study(trials, epochs):
    """A study of trials with four curves each."""
    records = [trial(number, epochs) for number in range(trials)]
    return StudyResult(
        study="tracking", metric="accuracy", direction="maximize", task="multiclass", losses=LOSSES,
        baseline="cross_entropy", trials=records, spec={"train": {"epochs": epochs}},
    )  # fmt: skip


def trial(number, epochs):
    rng = random.Random(number)
    name, now = list(LOSSES)[number % 2], time.time()
    curve = [1 - rng.uniform(0.9, 1) / (epoch + 2) for epoch in range(epochs)]
    curves = dict.fromkeys(("train_loss", "val_loss", "train_score", "val_score"), curve)
    params = {"loss": name, "learning_rate": 10 ** rng.uniform(-4, -2), "focal.gamma": rng.uniform(0, 5)}
    return TrialRecord(
        number, "complete", name, name, params, {}, params["learning_rate"], curve[-1], epochs, curves, seconds=1.0,
        started=now - 1, ended=now,
    )  # fmt: skip


def cost(uri, trials, epochs, pace):
    """Track one study."""
    result, process = study(trials, epochs), Process()
    tracker = Tracker(uri, f"{trials} at {pace}", required=True, launch=lambda: process)
    tracker.start(dataclasses.replace(result, trials=[]))
    for _ in range(2):  # what the process does after the first, while it has no message, is over when it answers again
        tracker.flush()
    spent, begin = processor(process.pid), time.perf_counter()
    for number, record in enumerate(result.trials, start=1):
        time.sleep(max(0.0, begin + pace * number - time.perf_counter()))
        tracker.trial(record, result)
    opened = tracker.waited
    tracker.flush()
    written, spent = tracker.waited, processor(process.pid) - spent
    tracker.finish(result)
    process.wait()
    return Cost(spent / trials, written - opened, tracker.waited - written)


def processor(pid):
    """Seconds of processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def server(folder):
    """A fresh `mlflow server` on loopback."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", f"{folder}/files"]
    variables = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (
        Path(folder, "log").open("w") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=variables, process_group=0) as process,
    ):
        try:
            wait_for(f"{address}/health")
            yield address
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def wait_for(address):
    for _ in range(1500):
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(address)


@contextlib.contextmanager
def store(kind):
    """The URI of a fresh store."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "sqlite":
            yield check(f"sqlite:///{folder}/mlflow.db", {})
        elif kind == "server":
            with server(folder) as address:
                yield address
        else:
            yield kind


def measure(kind, args):
    """Print the lines of one store."""
    with store(kind) as uri:
        cost(uri, 1, args.epochs, 0.0)  # the first use makes the tables
        for pace in (0.0, args.pace):
            spent = cost(uri, args.trials, args.epochs, pace)
            name = kind if kind in ("sqlite", "server") else kind.partition(":")[0]
            milliseconds, rate = spent.per_child * 1000, pace or "at once"
            print(f"{name:12} {rate:>8} {milliseconds:13.1f} {spent.waited:10.2f} {spent.end:7.2f}", flush=True)


@contextlib.contextmanager
def hanging():
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def command(address, *arguments):
    """Run a command of lossreg with MLflow at that address; return its seconds on the clock."""
    begin = time.perf_counter()
    variables = {**os.environ, "MLFLOW_TRACKING_URI": address, "TF_CPP_MIN_LOG_LEVEL": "3"}
    line = [sys.executable, "-m", "lossreg", *arguments]
    done = subprocess.run(line, env=variables, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{arguments}: {done.stderr[-2000:]}")
    return time.perf_counter() - begin


def children(address, experiment):
    """The trials that a server has of a study."""
    from mlflow import MlflowClient

    client = MlflowClient(address)
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id], max_results=1000)
    return len({run.data.tags["lossreg.trial"] for run in runs if "lossreg.trial" in run.data.tags})


def outages(args):
    """Print the wall time of whole studies by what the server does."""
    seconds, synced = defaultdict(list), {}
    with tempfile.TemporaryDirectory() as folder, server(folder) as up, hanging() as stuck:
        addresses = {"up": up, "down": f"http://127.0.0.1:{free_port()}", "hanging": stuck}
        for turn, (kind, address) in itertools.product(range(args.rounds), addresses.items()):
            experiment, place = f"{kind}-{turn}", Path(folder, f"{kind}-{turn}")
            place.mkdir()
            os.chdir(place)
            text = STUDY.format(epochs=args.epochs, trials=args.trials, experiment=experiment)
            Path("study.toml").write_text(text)
            seconds[kind].append(command(address, "tune", "study.toml"))
            command(up, "sync", "study.toml")
            synced[kind] = children(up, experiment)
            print(f"{experiment:12} {seconds[kind][-1]:8.1f} s, load {os.getloadavg()[0]:.1f}", flush=True)
            os.chdir(folder)
    print("server    wall, s  against up  trials there after sync")
    for kind, times in seconds.items():
        median = statistics.median(times)
        print(f"{kind:8} {median:8.1f} {median / statistics.median(seconds['up']):11.2f} {synced[kind]:10d}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", nargs="+", default=["sqlite", "server"], help="or the URI of a database")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--pace", type=float, default=0.1)
    parser.add_argument(
        "--outages", action="store_true", help="whole studies with a server that is up, down or hanging"
    )
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if args.outages:
        outages(args)
        return
    print("store         pace, s  per child, ms  waited, s  end, s")
    for kind in args.stores:
        measure(kind, args)


if __name__ == "__main__":
    main()
