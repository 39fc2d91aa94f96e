"""The golden values against their sources, where these are installed.

That the losses have these values is a check of the conformance suite. Values of authors' own code
and of packages that the tests do not need (PyTorch, Optax, kornia and others) are as printed.
"""

import json
from importlib.resources import files

import golden_classes
import golden_values
import numpy as np
import pytest

from lossreg import zoo

SOURCES = golden_classes.SOURCES | golden_values.SOURCES
FOLDER = files("lossreg") / "conformance"
GOLDEN = {
    name: entries
    for kind in ("classes", "values")
    for name, entries in json.loads((FOLDER / f"golden_{kind}.json").read_text()).items()
}
INSTALLED = [
    pytest.param(name, entry, id=f"{name}-{n}")
    for name, entries in GOLDEN.items()
    for n, entry in enumerate(entries)
    if entry["source"].startswith(("Keras", "scikit-learn", "SciPy"))
]


def test_every_value_has_a_source():
    assert set(GOLDEN) == {spec.name for spec in zoo.lossreg_losses()}
    assert all(entry["source"] and entry["values"] for entries in GOLDEN.values() for entry in entries)


@pytest.mark.parametrize(("name", "entry"), INSTALLED)
def test_a_source_gives_the_value_again(name, entry):
    (compute,) = [function for part, function in SOURCES[name].items() if part in entry["source"]]
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in entry["params"].items()}
    again = compute(np.array(entry["y"], float), np.array(entry["z"], float), **given, **entry["needs"])
    np.testing.assert_allclose(again, entry["values"], rtol=1e-6, atol=1e-9)
