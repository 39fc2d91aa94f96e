"""The cost of a trial in long and in short studies: seconds per trial, shares, and memory.

    python studies/benchmarks/scale.py [--trials 16 64 256 1000] [--epochs 20] [--untracked] [--backend jax]
    python studies/benchmarks/scale.py --iris [--iris-trials 2000]

The first runs the study of peers.py (digits, MLP 64-64) with each number of trials in a process of its own, imports
not counted. Of the total, `training`, `search` and `tracking` are what the study waited for; `spent` is the work of
search and tracking, most of it done meanwhile, tracking in a process of its own; `once` is the rest, whatever
the number of trials: data, preflight, tracing, the saved model. `added` is search and tracking over training.
The second is a day-long study in small: trials of 5 epochs on iris in one process, whose resident memory,
and that of its tracking process, is read on the way.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
IRIS_EPOCHS = 5
MARKS = (0.05, 0.25, 0.5, 1.0)


def digits(trials, epochs, tracked):
    """The study of peers.py, of any size."""
    from peers import STUDY

    return {
        **STUDY,
        "name": "scale",
        "train": {**STUDY["train"], "epochs": epochs},
        "search": {**STUDY["search"], "trials": trials},
        "tracking": {"enabled": tracked},
        "verdict": {"enabled": False},
    }


def iris(trials, tracked):
    """Many short trials."""
    return {
        "name": "iris",
        "data": {"source": "sklearn:iris"},
        "model": {"hidden": [16]},
        "train": {"epochs": IRIS_EPOCHS, "batch_size": 16},
        "search": {"trials": trials, "metric": "accuracy"},
        "losses": {"cross_entropy": {}, "focal": {}, "label_smoothing_ce": {}},
        "tracking": {"enabled": tracked},
        "verdict": {"enabled": False},
    }


def imports():
    """Import all that is not counted in the time of any study."""
    import keras  # noqa: F401
    import optuna
    import sklearn.model_selection  # noqa: F401

    import lossreg.search.run  # noqa: F401
    from lossreg.training import population, solo  # noqa: F401

    optuna.logging.set_verbosity(optuna.logging.ERROR)


def whole(args):
    """One study of digits: its times, and the peak memory of this process and of its tracking."""
    import lossreg

    begin = time.perf_counter()
    result = lossreg.tune(digits(args.trials[0], args.epochs, not args.untracked))
    total = time.perf_counter() - begin
    assert len(result.trials) == args.trials[0]
    return {**result.seconds, "total": total, "peak": peak()}


def peak():
    """Largest resident memory so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def watched(args):
    """Resident memory on the way through the trials on iris."""
    import lossreg
    from lossreg.storage.observer import Observer

    marks = {max(round(args.iris_trials * share), 1) for share in MARKS}
    seen = []

    class Watch(Observer):
        def trial(self, record, result):
            if len(result.trials) in marks:
                seen.append((len(result.trials), resident(os.getpid()), sum(map(resident, children())), took()))

    begin = time.perf_counter()

    def took():
        return time.perf_counter() - begin

    lossreg.tune(iris(args.iris_trials, not args.untracked), progress=Watch())
    return {"seen": seen, "total": took()}


def resident(process):
    """Resident memory of a process in MiB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def children():
    """The processes that this one has started, by any of its threads."""
    lists = Path("/proc/self/task").glob("*/children")
    return [int(number) for one in lists for number in one.read_text().split()]


def alone(args, *more):
    """The same script in a process and a folder of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--epochs", str(args.epochs), *more]
    command += ["--untracked"] if args.untracked else []
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "", "KERAS_BACKEND": args.backend}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


HEAD = (
    "trials s per trial     total   training   search (spent)   tracking (spent)     once   added"
    " loop s per trial   peak"
)


def line(trials, said):
    search, tracking, training = said["search"], said.get("tracking_waited", 0.0), said["training"]
    once = said["total"] - training - search - tracking
    return (
        f"{trials:6d} {said['total'] / trials:11.3f} {said['total']:9.1f} {training:10.1f} "
        f"{search:8.1f} {said.get('search_spent', search):7.1f}  {tracking:9.1f} {said['tracking']:8.1f} {once:8.1f} "
        f"{(search + tracking) / training:7.2f} {(training + search) / trials:16.3f}   {said['peak']:.0f} MiB"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[16, 64, 256, 1000])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--untracked", action="store_true")
    parser.add_argument("--backend", choices=["tensorflow", "jax"], default="tensorflow")
    parser.add_argument("--iris", action="store_true")
    parser.add_argument("--iris-trials", type=int, default=2000)
    parser.add_argument("--child", choices=["whole", "watched"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        imports()
        print(json.dumps({"whole": whole, "watched": watched}[args.child](args)))
    elif args.iris:
        said = alone(args, "--child", "watched", "--iris-trials", str(args.iris_trials))
        first = said["seen"][0][1]
        print("trials   resident MiB   of the first   tracking MiB   seconds")
        for trials, own, other, seconds in said["seen"]:
            print(f"{trials:6d} {own:14.0f} {own / first:14.3f} {other:14.0f} {seconds:9.1f}")
        print(f"{said['total'] / args.iris_trials:.4f} s per trial, everything included")
    else:
        print(HEAD)
        for trials in args.trials:
            print(line(trials, alone(args, "--child", "whole", "--trials", str(trials))), flush=True)


if __name__ == "__main__":
    main()
