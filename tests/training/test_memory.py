from __future__ import annotations

import re
import weakref
from dataclasses import replace
from pathlib import Path

import keras
import pytest
from problems import Mlp, plan, problem

from lossreg.training import memory
from lossreg.training.interface import Architecture, batch_order
from lossreg.training.population import Population


def test_batch_orders_of_many_rows_are_not_all_kept():
    orders = [weakref.ref(batch_order(0, epoch, 40_000)) for epoch in range(40)]
    assert sum(order() is not None for order in orders) <= 8
    assert batch_order(0, 1, 50) is batch_order(0, 1, 50)


def test_this_machine_has_memory():
    assert 2**28 < memory.available() < 2**45


def test_answers_are_counted_layer_by_layer_and_in_models_inside():
    inner = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    inputs = keras.Input((5,))
    model = keras.Model(inputs, keras.layers.Dense(3)(inner(keras.layers.Dense(8)(inputs))))
    # inputs, Dense, the layer of the model inside and that model's answer, Dense
    assert memory.outputs_per_sample(model) == 5 + 8 + 4 + 4 + 3


def test_a_subclassed_model_counts_by_what_it_gives():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    inputs = keras.Input((5,))
    assert memory.outputs_per_sample(keras.Model(inputs, Own()(inputs))) == 5 + 3


def status(name: str) -> int:
    return 1024 * int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1])


@pytest.mark.long
def test_a_lane_takes_about_what_is_estimated():
    """The peak of an epoch of 48 wide lanes, above what the process held before."""
    wide = Mlp(lambda: keras.layers.Dense(384, "relu"), lambda: keras.layers.Dense(384, "relu"))
    setup = problem("multiclass", {"ce": "cross_entropy"}, builder=wide)
    population = Population(setup, 48)
    plans = [plan(setup, "ce", 1e-3) for _ in range(48)]
    population.open(0, plans[0])
    population.advance()
    population.close(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    for slot, each in enumerate(plans):
        population.open(slot, each)
    for _ in range(2):
        population.advance()
    taken = status("VmHWM") - before
    population.shutdown()
    estimated = 48 * memory.lane_bytes(setup, 4)
    assert taken / 2.5 < estimated < 5 * taken


def test_a_larger_shape_takes_more():
    setup = problem("multiclass", {"ce": "cross_entropy"})
    small, large = (memory.lane_bytes(setup, 4, Architecture(size)) for size in (16, 64))
    assert large > small == memory.lane_bytes(setup, 4)


class Counted(Mlp):
    """A builder that counts the models that it was asked for."""

    built = 0

    def build(self, *args):
        self.built += 1
        return super().build(*args)


def test_a_model_is_built_once_to_estimate_what_a_lane_takes():
    setup = problem("multiclass", {"ce": "cross_entropy"}, builder=(builder := Counted()))
    assert len({memory.lane_bytes(setup, 4) for _ in range(3)}) == 1
    assert builder.built == 1
    assert memory.lane_bytes(replace(setup, batch_size=64), 4) > memory.lane_bytes(setup, 4)
