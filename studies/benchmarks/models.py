"""The speed of a population relative to `model.fit`, by kind of model: both in one process, in turn.

    python studies/benchmarks/models.py [--models mlp table cnn lstm wide embedding large] [--lanes 16] [--rounds 5]

mlp: 64-64 on digits (1,437 rows of 64); table: 64-64 on 30,000 random rows of 20; cnn: a small one on digits as
pictures; lstm: 32 units on 2,000 sequences of 20 steps of 4; wide: an MLP 512-512 on 4,000 rows of 256; embedding:
5,000 x 16 and large: 50,000 x 64, averaged over 40 tokens of 2,000 rows. Batch 32, Adam, cross-entropy.

A round is an epoch of all lanes, then an epoch of `model.fit` as one would write it, each with 32 validation rows and
without search or tracking. ms: medians, per trial-epoch; ratio: that of the medians. The first two epochs, which trace
and compile, are left out of both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent))

import keras
import numpy as np

from lossreg import data
from lossreg.contract.targets import Constants
from lossreg.metrics import catalogue
from lossreg.registry import registry
from lossreg.training.backends import interface
from lossreg.training.interface import Plan, Problem
from lossreg.training.population import Population

CLASSES, HELD_OUT, BATCH = 10, 32, 32
L = keras.layers


def digits(*shape):
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return (x[: 1437 + HELD_OUT] / 16).astype("float32").reshape(-1, *shape), y[: 1437 + HELD_OUT]


def drawn(number, *shape, tokens=0):
    """Random rows, or tokens, and labels."""
    rng = np.random.default_rng(0)
    size = (number + HELD_OUT, *shape)
    x = rng.integers(0, tokens, size) if tokens else rng.normal(size=size)
    return x.astype("float32"), rng.integers(0, CLASSES, number + HELD_OUT)


def dense(*units):
    return lambda: [L.Dense(number, "relu") for number in units]


def words(size, width):
    return lambda: [L.Embedding(size, width), L.GlobalAveragePooling1D()]


MODELS = {
    "mlp": (lambda: digits(64), dense(64, 64)),
    "table": (lambda: drawn(30_000, 20), dense(64, 64)),
    "cnn": (lambda: digits(8, 8, 1),
            lambda: [L.Conv2D(8, 3, padding="same", activation="relu"), L.MaxPooling2D(),
                     L.Conv2D(16, 3, padding="same", activation="relu"), L.Flatten()]),
    "lstm": (lambda: drawn(2000, 20, 4), lambda: [L.LSTM(32)]),
    "wide": (lambda: drawn(4000, 256), dense(512, 512)),
    "embedding": (lambda: drawn(2000, 40, tokens=5000), words(5000, 16)),
    "large": (lambda: drawn(2000, 40, tokens=50_000), words(50_000, 64)),
}  # fmt: skip


class Builder:
    """Builds one of the models."""

    def __init__(self, layers):
        self.layers = layers

    def build(self, input_shape, outputs, n_classes, seed):
        keras.utils.set_random_seed(seed)
        return keras.Sequential([keras.Input(input_shape), *self.layers(), L.Dense(outputs)])


def problem(kind):
    rows, layers = MODELS[kind]
    x, y = rows()
    train, validation = data.Split(x[:-HELD_OUT], y[:-HELD_OUT]), data.Split(x[-HELD_OUT:], y[-HELD_OUT:])
    dataset = SimpleNamespace(
        train=train, validation=validation, task="multiclass", n_classes=CLASSES, input_shape=x.shape[1:],
        constants=Constants.from_labels(train.y, CLASSES),
    )  # fmt: skip
    dataset.folds = (dataset,)
    spec = registry.default().get("cross_entropy")
    return Problem(
        dataset, Builder(layers), catalogue.resolve("accuracy", "multiclass"), {"ce": spec}, batch_size=BATCH
    )


def population(own, lanes):
    """Return a function that trains `lanes` lanes for an epoch."""
    plan = Plan("ce", own.losses["ce"].bind({}, CLASSES), 1e-3, 10**6)
    made = Population(own, lanes, variants=[plan])
    for slot in range(lanes):
        made.open(slot, plan)
    return made.advance


def alone(own):
    """Return a function that trains for an epoch by `model.fit`, as one would write it."""
    model, rows = own.build(CLASSES, 0), own.dataset
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    held_out = (rows.validation.x, rows.validation.y)
    return lambda: model.fit(rows.train.x, rows.train.y, batch_size=BATCH, verbose=0, validation_data=held_out)


def timed(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def measure(kind, lanes, rounds):
    """Milliseconds per trial-epoch in the population and in `model.fit`."""
    own = problem(kind)
    together, one = population(own, lanes), alone(own)
    for _ in range(2):
        together()
        one()
    pairs = [(timed(together) / lanes, timed(one)) for _ in range(rounds)]
    return [1e3 * statistics.median(column) for column in zip(*pairs, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    interface.start()
    print("| model | lanes | population ms | model.fit ms | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for kind in options.models:
        together, one = measure(kind, options.lanes, options.rounds)
        print(f"| {kind} | {options.lanes} | {together:.1f} | {one:.1f} | {one / together:.2f} |", flush=True)


if __name__ == "__main__":
    main()
