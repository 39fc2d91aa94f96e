"""Problems that differ in their samples alone share what is compiled."""

from __future__ import annotations

from dataclasses import replace

import keras
import pytest
from problems import assert_as_alone, dataset, plan, problem, run

from lossreg.training import programs
from lossreg.training.backends import interface
from lossreg.training.population import Population


class Named:
    """A builder of a model whose layers are named alike each time."""

    def build(self, input_shape, outputs, n_classes, seed):
        keras.utils.set_random_seed(seed)
        return keras.Sequential([keras.Input(input_shape, name="x"), keras.layers.Dense(outputs, name="scores")])


@pytest.mark.long
def test_what_is_compiled_is_shared_by_other_samples_and_by_no_other_optimizer(monkeypatch):
    compiled, compile_epoch = [], interface.compiled
    monkeypatch.setattr(interface, "compiled", lambda *args: compiled.append(args) or compile_epoch(*args))
    losses, counts = {"cross_entropy": "cross_entropy", "focal": "focal"}, []
    with programs.shared():
        for seed, settings in ((0, {}), (1, {}), (1, {"beta_1": 0.5})):
            other = problem("multiclass", losses, builder=Named(), settings=settings)
            setup = replace(other, dataset=dataset("multiclass", seed))
            plans = [plan(setup, "cross_entropy", 0.01), plan(setup, "focal", 0.02, gamma=1.0, seed=3)]
            reports, weights = run(Population(setup, 2), plans)
            counts.append(len(compiled))
    assert counts == [1, 1, 2]
    assert_as_alone(setup, plans[1], weights[1], reports[1], 1e-4)
    run(Population(setup, 2), plans)
    assert len(compiled) == 3


def test_what_is_compiled_is_found_again_whatever_the_order_of_the_losses(monkeypatch):
    compiled = []
    monkeypatch.setattr(interface, "compiled", lambda *args: compiled.append(args))
    setup = problem("multiclass", {"cross_entropy": "cross_entropy", "focal": "focal"}, builder=Named())
    plans = [plan(setup, "focal", 0.01, gamma=1.0), plan(setup, "cross_entropy", 0.02)]
    with programs.shared():
        for variants in (plans, plans[::-1], plans[:1]):
            Population(setup, 2, variants=variants).prepare()
    assert len(compiled) == 2
