"""Labels, scores and arguments to try a loss with; shared by the tests of losses."""

from itertools import product

import numpy as np

from lossreg import zoo
from lossreg.params import PerClass

SPECS = {spec.name: spec for spec in zoo.lossreg_losses()}
EXTREMES = (0.0, 1e-8, 1.0, 20.0, 100.0, 1e4)


def constants(spec, k=3):
    """What the loss needs, for k classes with counts 10, 20, 40, ... or a target of mean 3 and scale 2."""
    counts = 10.0 * 2.0 ** np.arange(k)
    every = {
        "class_counts": counts.tolist(),
        "class_priors": (counts / counts.sum()).tolist(),
        "target_mean": 3.0,
        "target_scale": 2.0,
    }
    return {name: every[name] for name in spec.needs}


def labels(spec, n, rng, k=3):
    """`(n, t)` labels of the kind that the loss takes; every class is there."""
    if spec.target == "onehot":
        return np.eye(k)[np.arange(n) % k]
    binary = (np.arange(n) % 2)[:, None].astype(float)
    kinds = {
        "binary": lambda: binary,
        "signed": lambda: 2 * binary - 1,
        "real": lambda: rng.normal(size=(n, 1)),
        "raw": lambda: rng.lognormal(1.0, 1.0, size=(n, 1)),
        "count": lambda: rng.poisson(3.0, size=(n, 1)).astype(float),
    }
    return kinds[spec.target]()


def scores(spec, n, rng, k=3, scale=2.0):
    """`(n, outputs)` raw scores."""
    return scale * rng.normal(size=(n, k if spec.outputs == "k" else int(spec.outputs)))


def draw(spec, rng, k=3):
    """One setting from the search ranges."""
    return {param.name: _drawn(param, rng, k) for param in spec.params}


def _drawn(param, rng, k):
    size = k if isinstance(param, PerClass) else None
    if param.log:
        value = np.exp(rng.uniform(np.log(param.low), np.log(param.high), size))
    else:
        value = rng.uniform(param.low, param.high, size)
    return value.tolist() if isinstance(param, PerClass) else float(value)


def corners(spec, k=3):
    """Every setting at the ends of the search ranges, with absence where a parameter may be absent."""
    boxes = [_ends(param, k) for param in spec.params]
    names = [param.name for param in spec.params]
    return [dict(zip(names, chosen, strict=True)) for chosen in product(*boxes)]


def _ends(param, k):
    if isinstance(param, PerClass):
        return [None, [param.low] * k, [param.high] * k]
    return [param.low, param.high, *([None] if param.optional else [])]
