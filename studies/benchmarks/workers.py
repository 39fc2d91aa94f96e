"""How many workers a storage carries: throughput of workers that wait instead of computing.

    python studies/benchmarks/workers.py [--workers 1 2 4] [--proxy] [--each 16] [--lanes 4] [--epochs 5] [--pace 1.0]
                                         [--processes 8] [--most 300]

A PostgreSQL is started in a temporary folder, on loopback, and for `--proxy` Optuna's gRPC proxy before it. Workers are
threads in at most so many processes, each with connections and beats of its own; it does all that a worker of a study
does but data, training and MLflow. Each has `--each` trials to train, `--lanes` at a time, whose epochs take `--pace`
seconds of waiting. `ideal` is the throughput of workers that never wait for the storage, `times` what was reached, in
multiples of that of one; then milliseconds of the processor per trial, of PostgreSQL, the proxy and the workers. After
`--most` seconds the workers are stopped, and the trials that have ended are counted.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import secrets
import sys
import tempfile
import threading
import time
from pathlib import Path

import optuna

TESTS = Path(__file__).parents[2] / "tests"
sys.path.append(str(TESTS / "support"))

from fake_trainer import Waiting  # noqa: E402
from postgres import Postgres, free_port  # noqa: E402
from searches import ACCURACY, curve, proposer  # noqa: E402

from lossreg.errors import LossregError  # noqa: E402
from lossreg.search import history, shared_run  # noqa: E402, F401
from lossreg.search.policy import SearchPolicy  # noqa: E402
from lossreg.search.sampler import SeededSampler, enqueue_start  # noqa: E402
from lossreg.search.scheduler import Scheduler  # noqa: E402
from lossreg.search.shared_ask_tell import SharedAskTell  # noqa: E402
from lossreg.storage import trials as states  # noqa: E402
from lossreg.storage.observer import Observer  # noqa: E402
from lossreg.storage.shared_study import SharedStudy  # noqa: E402
from lossreg.storage.study_result import StudyResult  # noqa: E402
from lossreg.training.pool import Pool  # noqa: E402

BASELINE = "cross_entropy"
CONNECTIONS_OF_A_WORKER = 2
SPARE = 20
# for workers that are to leave while the storage does not answer
SECONDS_TO_LEAVE = 30
TICKS = os.sysconf("SC_CLK_TCK")
FORKED = multiprocessing.get_context("fork")


class Until(Observer):
    """Stops when the time is over."""

    def __init__(self, over):
        self._over = over

    def stopping(self):
        return self._over.is_set()


def search(url, trials, args, ready, over):
    """Be one worker of the study from when all are ready."""
    shared = SharedStudy(Path(tempfile.gettempdir()) / "lossreg-workers", "s", url, dead_after=60.0, patience=60.0)
    with shared.joined(), shared.opened("maximize", SeededSampler(0), optuna.pruners.NopPruner()) as study:
        proposals = proposer(args.epochs)
        ask_tell = SharedAskTell(study, proposals, trials, BASELINE, shared.workers)
        policy = SearchPolicy(trials, ACCURACY, BASELINE)
        losses = {name: name for name in proposals.names}
        result = StudyResult("s", "accuracy", "maximize", "multiclass", losses, BASELINE, history.records(study))
        pool = Pool([Waiting(curve, args.pace, args.lanes)])
        scheduler = Scheduler(
            study, proposals, pool, policy, result=result, observers=[Until(over)], ask_tell=ask_tell
        )  # fmt: skip
        ready.wait()
        try:
            scheduler.run()
        except (KeyboardInterrupt, LossregError):
            # asked to stop, or the storage no longer answers
            with contextlib.suppress(LossregError):
                ask_tell.give_back()


def crew(count, cost, *arguments):
    """Run so many workers as threads of this process, and add the seconds of the processor to `cost`."""
    *_, ready, _ = arguments
    threads = [threading.Thread(target=search, args=arguments) for _ in range(count)]
    for thread in threads:
        thread.start()
    ready.wait()
    before = time.process_time()
    for thread in threads:
        thread.join()
    with cost.get_lock():
        cost.value += time.process_time() - before


def begin(url, trials):
    """Create the study with its fair start, which all workers share."""
    with SharedStudy(Path(tempfile.gettempdir()), "s", url, dead_after=60.0, patience=60.0).opened(
        "maximize", SeededSampler(0), optuna.pruners.NopPruner()
    ) as study:
        proposals = proposer()
        enqueue_start(study, {name: proposals.published(name)[0] for name in proposals.names}, trials, states.stands)


def count(url, answer):
    """Put the number of trials that ended with a score into `answer`."""
    answer.value = sum(map(states.has_score, optuna.load_study(study_name="s", storage=url).get_trials()))


def proxy(url, port):
    """Serve a storage by gRPC."""
    optuna.storages.run_grpc_proxy_server(optuna.storages.get_storage(url), host="127.0.0.1", port=port)


def forked(target, *arguments):
    """Run a function in a process of its own, so that this one has neither threads nor connections when it forks."""
    process = FORKED.Process(target=target, args=arguments)
    process.start()
    return process


def spent(number):
    """Return the seconds of the processor of a process and its children, also of those that have ended."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == number or stat.parent.name == str(number):
                total += (int(fields[11]) + int(fields[12])) / TICKS
                # of those of its children that have ended
                total += (int(fields[13]) + int(fields[14])) / TICKS if stat.parent.name == str(number) else 0.0
    return total


def measure(server, workers, args):
    """Print a row for so many workers."""
    url, trials = server.database(f"w{workers}-{secrets.token_hex(2)}"), workers * args.each
    forked(begin, url, trials).join()
    port, served, address = free_port(), None, url
    if args.proxy:
        served, address = forked(proxy, url, port), f"grpc://127.0.0.1:{port}"
    processes = min(workers, args.processes)
    shares = [workers // processes + (i < workers % processes) for i in range(processes)]
    ready, over, cost = FORKED.Barrier(workers + processes + 1), FORKED.Event(), FORKED.Value("d")
    crews = [forked(crew, share, cost, address, trials, args, ready, over) for share in shares]
    ready.wait()
    servers = [server.pid, *([served.pid] if served else [])]
    began, before = time.monotonic(), list(map(spent, servers))
    for one in crews:
        one.join(max(0.0, began + args.most - time.monotonic()))
    seconds = time.monotonic() - began
    costs = [spent(pid) - cost for pid, cost in zip(servers, before, strict=True)]
    answer = FORKED.Value("i")
    forked(count, url, answer).join()
    over.set()
    for one in crews:
        one.join(SECONDS_TO_LEAVE)
        one.terminate()
    if served is not None:
        served.terminate()
        served.join()
    report(workers, answer.value, seconds, [*costs, *([] if served else [0.0]), cost.value], args)


def report(workers, ended, seconds, costs, args):
    rate, alone = ended / seconds, args.lanes / (args.epochs * args.pace)
    per_trial = "".join(f"{1000 * cost / max(1, ended):10.0f}" for cost in costs)
    load = os.getloadavg()[0]
    print(
        f"{workers:7} {ended:7} {seconds:8.1f} {rate:9.2f} {workers * alone:8.2f} {rate / alone:7.2f}{per_trial}"
        f" {load:5.1f}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--proxy", action="store_true", help="through Optuna's gRPC proxy")
    parser.add_argument("--each", type=int, default=16, help="trials of each worker")
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--pace", type=float, default=1.0)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--most", type=float, default=300.0)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    server = Postgres(durable=True, connections=CONNECTIONS_OF_A_WORKER * max(args.workers) + SPARE)
    try:
        print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        print("workers  trials  seconds  trials/s    ideal   times  postgres     proxy   workers  load")
        for workers in args.workers:
            measure(server, workers, args)
    finally:
        server.close()


if __name__ == "__main__":
    main()
