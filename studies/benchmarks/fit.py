"""Cost per trial-epoch in `Fit` and in plain `model.fit`, on digits with an MLP 64-64, in turn in one process.

`python studies/benchmarks/fit.py [epochs]` prints milliseconds per trial-epoch, best of three.
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from lossreg import data
from lossreg.metrics import catalogue
from lossreg.models import builder
from lossreg.registry import registry
from lossreg.training.interface import Plan, Problem
from lossreg.training.solo import Fit


def problem() -> Problem:
    dataset = data.load("sklearn:digits", target=None)
    metric = catalogue.resolve("accuracy", dataset.task)
    spec = registry.default().get("categorical_crossentropy")
    return Problem(dataset, builder.resolve("mlp"), metric, {"ce": spec})


def plain(own: Problem, epochs: int) -> float:
    """`model.fit` as one would write it, with its accuracy."""
    dataset = own.dataset
    model = own.build(10, 0)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])

    def run(number: int) -> None:
        held_out = (dataset.validation.x, dataset.validation.y)
        model.fit(dataset.train.x, dataset.train.y, epochs=number, batch_size=32, verbose=0, validation_data=held_out)

    return timed(run, epochs)


def fit(own: Problem, epochs: int) -> float:
    trainer, plan = Fit(own), Plan("ce", own.losses["ce"].bind({}, 10), 1e-3, epochs + 1)
    trainer.open(0, plan)

    def run(number: int) -> None:
        for _ in range(number):
            trainer.advance()

    return timed(run, epochs)


def timed(run, epochs: int) -> float:
    """Milliseconds per epoch, after one that builds the graph."""
    run(1)
    start = time.perf_counter()
    run(epochs)
    return (time.perf_counter() - start) / epochs * 1000


def main() -> None:
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    own = problem()
    pairs = [(plain(own, epochs), fit(own, epochs)) for _ in range(3)]
    usual, ours = (min(column) for column in zip(*pairs, strict=True))
    print(f"model.fit {usual:.1f} ms per trial-epoch, Fit {ours:.1f}: {usual / ours:.2f} times as fast")


if __name__ == "__main__":
    main()
