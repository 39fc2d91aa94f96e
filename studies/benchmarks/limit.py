"""The cost of a population beside the cost of its matrix products.

    python studies/benchmarks/limit.py [--models digits wide cnn] [--lanes 1 8 16 64] [--rounds 5] [--cores 1 2]
                                       [--rows 20000] [--no-fit] [--blocks 0] [--json FILE]

Three models: an MLP 64-64 on scikit-learn's digits (1,437 rows of 64, batch 32), an MLP 256-256 on 20,000 random rows
of 784 (batch 64), and a small CNN on digits as pictures of 8 x 8 (batch 32). All lanes train with Adam, on three losses
in equal parts.

population: an epoch of all lanes in steady state, training scores and 64 validation rows included; no search, no
tracking. products: the matrix products of the same epoch and no more (every layer's forward product and the two of its
gradient, a convolution as one product of its patches), for the same lanes in as many blocks side by side, with the same
threads. alone: `model.fit` of one such model, after its first epoch. Population and products take turns, each a round
long; medians, in milliseconds per trial-epoch. One process for each number of cores, which it is pinned to.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
LOSSES = ("cross_entropy", "focal", "generalized_cross_entropy")
MODELS = ("digits", "wide", "cnn")
CLASSES, VALIDATION = 10, 64
# By model: the products of one row as (rows of the left factor, its columns, columns of the right factor).
PRODUCTS = {
    "digits": [(1, 64, 64), (1, 64, 64), (1, 64, CLASSES)],
    "wide": [(1, 784, 256), (1, 256, 256), (1, 256, CLASSES)],
    "cnn": [(64, 9, 8), (16, 72, 16), (1, 256, CLASSES)],
}
BATCH = {"digits": 32, "wide": 64, "cnn": 32}


class Builder:
    """Builds the models of this benchmark."""

    def __init__(self, model):
        self.model = model

    def build(self, input_shape, outputs, n_classes, seed):
        import keras

        keras.utils.set_random_seed(seed)
        L = keras.layers
        hidden = {
            "digits": lambda: [L.Dense(64, "relu"), L.Dense(64, "relu")],
            "wide": lambda: [L.Dense(256, "relu"), L.Dense(256, "relu")],
            "cnn": lambda: [L.Conv2D(8, 3, padding="same", activation="relu"), L.MaxPooling2D(),
                            L.Conv2D(16, 3, padding="same", activation="relu"), L.Flatten()],
        }[self.model]()  # fmt: skip
        return keras.Sequential([keras.Input(input_shape), *hidden, L.Dense(outputs)])


def rows(model, number):
    """Features and labels of the model's data."""
    import numpy as np
    from sklearn.datasets import load_digits

    if model == "wide":
        rng = np.random.default_rng(0)
        return rng.normal(size=(number, 784)).astype("float32"), rng.integers(0, CLASSES, number)
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[: 1437 + VALIDATION]
    x = (x[order] / 16).astype("float32")
    return (x.reshape(-1, 8, 8, 1) if model == "cnn" else x), y[order]


def problem(model, number):
    """The model's data and losses as trainers take them."""
    from types import SimpleNamespace

    from lossreg.contract.targets import Constants
    from lossreg.data import Split
    from lossreg.metrics import catalogue
    from lossreg.registry import registry
    from lossreg.training.interface import Problem

    x, y = rows(model, number)
    train, validation = Split(x[:-VALIDATION], y[:-VALIDATION]), Split(x[-VALIDATION:], y[-VALIDATION:])
    data = SimpleNamespace(
        train=train, validation=validation, task="multiclass", n_classes=CLASSES, input_shape=x.shape[1:],
        constants=Constants.from_labels(train.y, CLASSES),
    )  # fmt: skip
    data.folds = (data,)
    losses = {name: registry.default().get(name) for name in LOSSES}
    return Problem(data, Builder(model), catalogue.resolve("accuracy", "multiclass"), losses, batch_size=BATCH[model])


def plans(own, lanes):
    from lossreg.training.interface import Plan

    names = [LOSSES[lane * len(LOSSES) // lanes] for lane in range(lanes)]
    return [Plan(name, own.losses[name].bind({}, CLASSES), 1e-3, 10**6) for name in names]


def population(own, lanes, blocks):
    """Return a prepared population of `lanes` lanes, and a function that trains it for an epoch."""
    from lossreg.training.population import Population

    wanted = plans(own, lanes)
    made = Population(own, lanes, blocks=blocks, variants=wanted)
    for slot, plan in enumerate(wanted):
        made.open(slot, plan)
    made.prepare()
    return made, made.advance


def products(model, steps, lanes, batch):
    """Return a function that computes the products of an epoch of `lanes` lanes."""
    import keras
    import numpy as np

    from lossreg.training.backends import interface
    from lossreg.training.backends.interface import Leaf

    ops, rng = keras.ops, np.random.default_rng(0)
    shapes = [(batch * m, k, n) for m, k, n in PRODUCTS[model]]
    weights = [rng.normal(size=(lanes, k, n)).astype("float32") / math.sqrt(k) for _, k, n in shapes]
    # a few batches in turn: what is computed differs from step to step, and stays in the cache as a batch does
    batches = [rng.normal(size=(lanes, 4, m, k)).astype("float32") for m, k, _ in shapes]

    def epoch(data, arrangement, tensors):
        weights, batches = tensors

        def body(last, number):
            x = [batch[:, number % 4] for batch in batches]
            # each layer's product is the slope that comes back to it
            y = [ops.matmul(left, right) for left, right in zip(x, weights, strict=True)]
            gradients = [ops.matmul(ops.swapaxes(left, 1, 2), out) for left, out in zip(x, y, strict=True)]
            back = [ops.matmul(out, ops.swapaxes(w, 1, 2)) for out, w in zip(y[1:], weights[1:], strict=True)]
            return (gradients, back), ()

        start = ([ops.zeros_like(w) for w in weights], [ops.zeros_like(batch[:, 0]) for batch in batches[1:]])
        return interface.loop(body, start, ops.arange(steps, dtype="int32"), ())[0]

    leaves = ([Leaf(w.shape[1:]) for w in weights], [Leaf(x.shape[1:]) for x in batches])
    tensors = ([interface.to_device(w) for w in weights], [interface.to_device(x) for x in batches])
    run, arrangement = interface.compiled(epoch, (), leaves), interface.arrange([0] * lanes)

    def advance():
        gradients, _ = run(arrangement, tensors)
        return interface.to_host(gradients[-1])

    return advance


def in_blocks(make, lanes, blocks):
    """So many lanes as blocks that work side by side, and what has them all work once."""
    shares = [len(range(block, lanes, blocks)) for block in range(min(lanes, blocks))]
    works, pool = [make(share) for share in shares], ThreadPoolExecutor(len(shares))
    for work in works:
        work()
    return lambda: list(pool.map(lambda work: work(), works))


def timed(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def alone(own, rounds):
    """Milliseconds of an epoch of `model.fit`, after its first."""
    import keras

    import lossreg

    data = own.dataset
    model = own.build(CLASSES, 0)
    model.compile("adam", lossreg.get("cross_entropy", from_logits=True), jit_compile=False)

    def fit():
        model.fit(data.train.x, data.train.y, batch_size=own.batch_size, verbose=0)

    fit()
    assert isinstance(model, keras.Model)
    return 1e3 * statistics.median(timed(fit) for _ in range(rounds))


def measure(model, options, cores):
    """A row of the table for every number of lanes."""
    from lossreg.training.backends import interface

    own = problem(model, options.rows)
    solo = 0.0 if options.no_fit else alone(own, options.rounds)
    steps = -(-len(own.dataset.train) // own.batch_size)
    for lanes in options.lanes:
        blocks = min(lanes, options.blocks or interface.blocks())
        made, advance = population(own, lanes, blocks)
        multiply = in_blocks(lambda share: products(model, steps, share, own.batch_size), lanes, blocks)
        for _ in range(2):
            advance()
            multiply()
        pairs = [(timed(advance), timed(multiply)) for _ in range(options.rounds)]
        made.shutdown()
        whole, least = (1e3 * statistics.median(column) / lanes for column in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        yield {"model": model, "cores": cores, "blocks": blocks, "lanes": lanes, "population": whole,
               "products": least, "ratio": ratio, "alone": solo}  # fmt: skip


def shown(row):
    alone = f"{row['alone']:.1f} | {row['alone'] / row['population']:.1f}" if row["alone"] else "|"
    return (
        f"| {row['model']} | {row['cores']} | {row['blocks']} | {row['lanes']} | {row['population']:.3f} "
        f"| {row['products']:.3f} | {row['ratio']:.1f} | {alone} |"
    )


def child(options):
    """Measure on as many cores as the first of the options says, and print a JSON line a row."""
    cores = options.cores[0]
    if cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    from lossreg.training.backends import interface

    interface.start()
    for model in options.models:
        for row in measure(model, options, len(os.sched_getaffinity(0))):
            print(json.dumps(row), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--lanes", nargs="+", type=int, default=[1, 8, 16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", nargs="+", type=int, default=[1, len(os.sched_getaffinity(0))])
    parser.add_argument("--blocks", type=int, default=0, help="as many as the machine wants by default")
    parser.add_argument("--rows", type=int, default=20_000 + VALIDATION)
    parser.add_argument("--no-fit", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options)
    found = []
    print("| model | cores | blocks | lanes | population ms | products ms | ratio | alone ms | alone / population |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for cores in options.cores:
        arguments = [*_without_cores(sys.argv[1:]), "--child", "--cores", str(cores)]
        command = [sys.executable, __file__, *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            for line in process.stdout:
                found.append(json.loads(line))
                print(shown(found[-1]), flush=True)
        if process.returncode:
            sys.exit(f"{' '.join(command)} failed with {process.returncode}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return None


def _without_cores(arguments):
    """The command line without `--cores` and its numbers."""
    if "--cores" not in arguments:
        return arguments
    at = arguments.index("--cores")
    rest = next((i for i in range(at + 1, len(arguments)) if arguments[i].startswith("--")), len(arguments))
    return arguments[:at] + arguments[rest:]


if __name__ == "__main__":
    main()
