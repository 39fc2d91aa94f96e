"""Studies of dictionaries without a name: the same one again is the same study, another function another study."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

import lossreg
from lossreg import InputError
from lossreg.config import study as studies


def named(function):
    return studies.from_dict({"data": {"source": "sklearn:iris"}, "losses": {"mine": {"function": function}}}).name


def scaled(scale):
    def loss(y_true, y_pred):
        return scale * (y_true - y_pred) ** 2

    return loss


def with_keyword(scale):
    def loss(y_true, y_pred, *, scale=scale):
        return scale * (y_true - y_pred) ** 2

    return loss


def nested(scale):
    if scale == 1.0:

        def loss(y_true, y_pred):
            def inner(error):
                return error**2

            return inner(y_true - y_pred)

    else:

        def loss(y_true, y_pred):
            def inner(error):
                return error**4

            return inner(y_true - y_pred)

    return loss


def plain(y_true, y_pred, scale):
    return scale * (y_true - y_pred) ** 2


class Scaled:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, y_true, y_pred):
        return self.scale * (y_true - y_pred) ** 2

    def method(self, y_true, y_pred):
        return self(y_true, y_pred)


class ScaledLoss(keras.losses.Loss):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def call(self, y_true, y_pred):
        return self.scale * (y_true - y_pred) ** 2


@dataclass(slots=True)
class Slotted:
    scale: float


def with_helper(scale):
    space = {}
    exec(f"def helper(e):\n    return {scale} * e * e\ndef loss(y, p):\n    return helper(y - p)\n", space)
    return space["loss"]


MAKERS = {
    "closure": scaled,
    "array in a closure": lambda scale: scaled(np.full(3, scale)),
    "keyword default": with_keyword,
    "nested function": nested,
    "partial": lambda scale: partial(plain, scale=scale),
    "callable object": Scaled,
    "bound method": lambda scale: Scaled(scale).method,
    "global helper": with_helper,
    "Keras loss": lambda scale: keras.losses.Huber(delta=scale),
    "Keras loss of the user's own": ScaledLoss,
    "lossreg loss": lambda scale: lossreg.get("focal", gamma=scale, from_logits=True),
    "TensorFlow function": lambda scale: tf.function(scaled(scale)),
    "NumPy scalar and class with slots": lambda scale: scaled(Slotted(np.float32(scale))),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_functions_that_differ_make_different_studies_and_equal_ones_the_same(make):
    assert named(make(1.0)) == named(make(1.0))
    assert named(make(1.0)) != named(make(5.0))


def test_the_second_of_two_studies_with_functions_of_one_name_does_not_get_the_results_of_the_first(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    common = {
        "data": {"source": "sklearn:iris"},
        "train": {"epochs": 1},
        "tracking": {"enabled": False},
        "verdict": {"enabled": False},
    }
    common |= {"search": {"trials": 2, "lanes": 2, "confirm": 0}, "model": {"hidden": [2]}}
    softened = [
        {**common, "losses": {"mine": {"function": crossed(scale), "activation": "softmax"}}} for scale in (1.0, 3.0)
    ]
    first = lossreg.tune(softened[0])
    again = lossreg.tune(softened[0])
    assert [trial.started for trial in again.trials] == [trial.started for trial in first.trials]
    with pytest.raises(InputError, match="has not been run"):
        lossreg.results(softened[1])


def crossed(scale):
    def loss(y_true, y_pred):
        return -scale * keras.ops.sum(y_true * keras.ops.log(y_pred + 1e-7), axis=-1)

    return loss


def test_a_function_that_cannot_be_told_apart_asks_for_a_name():
    with pytest.raises(InputError, match=r"losses\.mine\.function: .* needs a name") as caught:
        named(scaled(threading.Lock()))
    assert '"name"' in str(caught.value)
    document = {"data": {"source": "sklearn:iris"}, "losses": {"mine": {"function": scaled(threading.Lock())}}}
    assert studies.from_dict({"name": "mine", **document}).name == "mine"


IN_ANOTHER_PROCESS = """
from lossreg.config import study
from functools import partial
SCALES = {"b", "a", "c", "longer"}
class Base:
    def __call__(self, y, p): return sum(len(s) for s in SCALES) * (y - p) ** 2
def f(y, p, scale=2.0): return abs(y - p) in {"x", "y", "z"} or Base()(y, p)
document = {"data": {"source": "sklearn:iris"}}
for g in (f, partial(f, scale=1), Base()):
    print(study.from_dict({**document, "losses": {"mine": {"function": g}}}).name)
"""


def test_names_are_the_same_in_every_process():
    lines = [
        subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert lines[0] == lines[1]
    assert len(set(lines[0].split())) == 3
