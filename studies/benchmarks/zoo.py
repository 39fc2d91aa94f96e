"""The cost of many losses: a study over every multiclass loss at once against one over three.

    python studies/benchmarks/zoo.py [--trials 96] [--repeats 1] [--epochs 20]

scikit-learn's digits, MLP 64-64, batch 32, as in peers.py. Two tables. The first is of whole studies without
tracking, each in a process of its own, in turn: seconds per trial after imports, preflight and tracing included.
The second is of idle losses alone: 32 lanes over three losses, in a graph that holds these three and in one that
holds all, one epoch of each in turn in one process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
THREE = ["cross_entropy", "focal", "label_smoothing_ce"]
LANES = 32


def every_loss():
    """The built-in multiclass losses."""
    from lossreg.registry import registry

    return [entry.spec.name for entry in registry.default().for_task("multiclass") if entry.plugin == "builtin"]


def study(losses, trials, epochs):
    return {
        "name": "zoo",
        "data": {"source": "sklearn:digits"},
        "model": {"hidden": [64, 64]},
        "train": {"epochs": epochs, "batch_size": 32},
        "search": {"trials": trials, "metric": "accuracy", "trainer": "population"},
        "losses": {name: {} for name in losses},
        "tracking": {"enabled": False},
        "verdict": {"enabled": False},
    }


def whole(losses, trials, epochs):
    """Seconds per trial of a whole study, and its share of training; imports not counted."""
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    import lossreg
    from lossreg.search import run  # noqa: F401
    from lossreg.training import population  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        begin = time.perf_counter()
        result = lossreg.tune(study(losses, trials, epochs))
        seconds = time.perf_counter() - begin
        os.chdir("/")
    assert result.trainer["population"] == result.counts["complete"] == trials, result.counts
    return {"seconds": seconds / trials, **{name: spent / trials for name, spent in result.seconds.items()}}


def alone(which, trials, epochs):
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--way", which, "--trials", str(trials), "--epochs", str(epochs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def opened(graph, lanes):
    """A population with the losses `graph`, its lanes spread over the losses `lanes`, after its first epoch."""
    from lossreg.config import study as studies
    from lossreg.search import preparation
    from lossreg.training.interface import Plan
    from lossreg.training.population import Population

    prepared = preparation.prepare(studies.from_dict(study(graph, 96, 1000)))
    made = Population(prepared.problem, LANES, variants=prepared.proposer.variants(), unmapped=prepared.unmapped)
    for slot in range(LANES):
        label = lanes[slot % len(lanes)]
        made.open(slot, Plan(label, prepared.problem.losses[label].bind({}, 10), 1e-3, 1000))
    made.advance()
    return made


def idle(repeats):
    """Milliseconds per epoch of 32 lanes: medians of the graphs of three and of all losses, an epoch each in turn."""
    names = every_loss()
    cases = {"three": opened(THREE, THREE), "all": opened(names, THREE), "busy": opened(names, names)}
    spent = {name: [] for name in cases}
    for _ in range(repeats):
        for name, population in cases.items():
            begin = time.perf_counter()
            population.advance()
            spent[name].append(1e3 * (time.perf_counter() - begin))
    return {name: statistics.median(times) for name, times in spent.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--way", choices=["three", "all"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = every_loss()
    if given.way:
        print(json.dumps(whole(THREE if given.way == "three" else names, given.trials, given.epochs)))
        return
    runs = {"three": [], "all": []}
    for _ in range(given.repeats):
        for way, found in runs.items():
            found.append(alone(way, given.trials, given.epochs))
    print(f"{given.trials} trials of {given.epochs} epochs, s per trial    whole   of which training")
    median = {way: statistics.median(one["seconds"] for one in found) for way, found in runs.items()}
    for way, found in runs.items():
        training = statistics.median(one["training"] for one in found)
        print(f"{len(THREE) if way == 'three' else len(names):3d} losses {median[way]:38.3f} {training:12.3f}")
    print(f"ratio {median['all'] / median['three']:42.2f}")
    times = idle(20 * given.repeats)
    print(f"\n{LANES} lanes over three losses, ms per epoch")
    print(f"graph of three losses {times['three']:8.1f}\ngraph of all {len(names)} {times['all']:14.1f}")
    print(f"ratio (idle losses) {times['all'] / times['three']:10.2f}")
    print(f"lanes over all {len(names)} {times['busy']:12.1f}, ratio {times['busy'] / times['three']:.2f}")


if __name__ == "__main__":
    main()
