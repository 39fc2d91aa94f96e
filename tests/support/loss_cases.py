"""Labels, scores and arguments to try a loss with; shared by the tests of losses."""

from itertools import product

import numpy as np

from lossreg import zoo
from lossreg.contract.params import Choice, Int, PerClass

SPECS = {spec.name: spec for spec in zoo.lossreg_losses()}
EXTREMES = (0.0, 1e-8, 1.0, 20.0, 100.0, 1e4)
ONE_COLUMN = {
    "binary": (0.0, 1.0),
    "signed": (-1.0, 1.0),
    "real": (-3.0, 0.0, 3.0),
    "raw": (0.0, 1e-3, 50.0),
    "positive": (1e-3, 1.0, 200.0),
    "count": (0.0, 1.0, 200.0),
}


def constants(spec, k=3):
    """Return the constants of a loss, for k classes with counts 10, 20, 40, ... or a target of mean 3 and scale 2."""
    counts = 10.0 * 2.0 ** np.arange(2 if spec.target == "binary" else k)
    every = {
        "class_counts": counts.tolist(),
        "class_priors": (counts / counts.sum()).tolist(),
        "target_mean": 3.0,
        "target_scale": 2.0,
    }
    return {name: every[name] for name in spec.needs}


def labels(spec, n, rng, k=3):
    """`(n, t)` labels of the kind that the loss takes; every class is there."""
    binary = (np.arange(n) % 2)[:, None].astype(float)
    kinds = {
        "onehot": lambda: np.eye(k)[np.arange(n) % k],
        "multihot": lambda: (rng.random((n, k)) < 0.4).astype(float),
        "binary": lambda: binary,
        "signed": lambda: 2 * binary - 1,
        "real": lambda: rng.normal(size=(n, 1)),
        "raw": lambda: rng.lognormal(1.0, 1.0, size=(n, 1)),
        "positive": lambda: rng.lognormal(1.0, 1.0, size=(n, 1)),
        "count": lambda: rng.poisson(3.0, size=(n, 1)).astype(float),
    }
    return kinds[spec.target]()


def width(spec, k=3):
    """Number of raw scores."""
    return k if spec.outputs == "k" else int(spec.outputs)


def scores(spec, n, rng, k=3, scale=2.0):
    """`(n, outputs)` raw scores."""
    return scale * rng.normal(size=(n, width(spec, k)))


def extremes(spec, k=3):
    """Labels `(n, t)` and scores `(n, outputs)`: every label with every pair of extreme scores of either sign."""
    ends = np.array(sorted({sign * size for sign in (-1, 1) for size in EXTREMES}))
    columns = width(spec, k)
    z = np.array(np.meshgrid(*[ends] * min(columns, 2))).reshape(min(columns, 2), -1).T
    z = np.column_stack([z, *[np.zeros(len(z))] * (columns - z.shape[1])])
    y = np.array(ONE_COLUMN[spec.target])[:, None] if spec.target in ONE_COLUMN else np.eye(k)
    if spec.target == "multihot":
        y = np.vstack([y, np.zeros(k), np.ones(k)])
    return np.repeat(y, len(z), axis=0), np.tile(z, (len(y), 1))


def draw(spec, rng, k=3):
    """One setting from the search ranges."""
    return {param.name: _drawn(param, rng, k) for param in spec.params}


def _drawn(param, rng, k):
    if isinstance(param, Choice):
        return param.choices[rng.integers(len(param.choices))]
    if isinstance(param, Int):
        return int(rng.integers(param.low, param.high + 1))
    size = k if isinstance(param, PerClass) else None
    if param.log:
        value = np.exp(rng.uniform(np.log(param.low), np.log(param.high), size))
    else:
        value = rng.uniform(param.low, param.high, size)
    # rounding may step over the end
    value = np.clip(value, param.low, param.high)
    return value.tolist() if isinstance(param, PerClass) else float(value)


def corners(spec, k=3):
    """Every setting at the ends of the search ranges, with absence where a parameter may be absent."""
    boxes = [_ends(param, k) for param in spec.params]
    names = [param.name for param in spec.params]
    return [dict(zip(names, chosen, strict=True)) for chosen in product(*boxes)]


def _ends(param, k):
    if isinstance(param, Choice):
        return list(param.choices)
    if isinstance(param, PerClass):
        return [None, [param.low] * k, [param.high] * k]
    return [param.low, param.high, *([None] if param.optional else [])]


def is_static(value):
    """Return whether the graph itself depends on an argument: an absent one, or a choice."""
    return value is None or isinstance(value, (str, tuple))
