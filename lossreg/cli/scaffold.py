"""`lossreg new-plugin`: the files of a plugin package that installs and passes its checks as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path
from shutil import rmtree
from string import Template
from tempfile import mkdtemp

from lossreg.errors import InputError, UnknownError, brief, did_you_mean, on_disk, refusal
from lossreg.registry import registry
from lossreg.version import __version__

PREFIX = "lossreg-"
WORDS = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# what the written module itself needs
IMPORTED = ("ops", "hookimpl", "lossreg_losses")

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "$distribution"
version = "0.1.0"
description = "The loss $loss, as a plugin of lossreg"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["lossreg>=$version"]

[project.optional-dependencies]
test = ["pytest"]

# lossreg finds the package by this: the name of the plugin, and the module that has lossreg_losses
[project.entry-points.lossreg]
$loss = "$module"

[tool.hatch.build.targets.wheel]
only-include = ["$module.py"]
"""

README = """\
# $distribution

The loss `$loss`, as a plugin of lossreg.

    pip install .
    lossreg show $loss
    lossreg check $loss

In a study:

    [losses.$loss]                # searched over the ranges that the package declares

In a model of your own:

    model.compile(optimizer="adam", loss=lossreg.get("$loss", $parameter=$default))

`$module.py` has the loss and what lossreg must know of it. `pip install pytest` and `pytest` run the tests:
one line there runs lossreg's conformance suite on the loss.
"""

REGRESSION = '''\
"""The loss $loss, as a plugin of lossreg."""

from lossreg import Float, LossSpec, hookimpl, ops


def $loss(y_true, y_pred, *, c):
    """c^2 (sqrt(1 + (e/c)^2) - 1), e = prediction - y: quadratic near 0, straight far from it.

    y_true `(batch, 1)`; y_pred `(batch, 1)` predictions, both in units of the target's robust scale;
    c > 0, in the same units; returns `(batch,)`, at least 0. Put your own formula and its source here.
    """
    x = ops.square((y_pred - y_true)[:, 0] / c)
    # sqrt(1 + x) - 1, without its cancellation near 0
    return c**2 * x / (ops.sqrt(1.0 + x) + 1.0)


@hookimpl
def lossreg_losses():
    """The losses that this package offers."""
    yield LossSpec(
        name="$loss",
        function=$loss,
        tasks=("regression",),
        summary="Quadratic near 0, straight for outliers.",
        reference="an example: name the paper or the source here",
        formula="c^2 (sqrt(1 + (e/c)^2) - 1)",
        # default, search range, and the values for which the formula holds
        params=(Float("c", 1.0, 0.1, 10.0, log=True, domain="(0, inf)"),),
        target="real",
        outputs="1",
        activation="identity",
        symmetric=True,
    )
'''

REGRESSION_TEST = """\
import lossreg.testing
import numpy as np
import pytest
import $module

test_conformance = lossreg.testing.conformance("$loss")


def test_a_value_worked_out_by_hand():
    # e = 3 and c = 4: sqrt(16 + 9) = 5, so 4 * 5 - 16 = 4
    y, prediction = np.array([[1.0]]), np.array([[4.0]])
    assert float($module.$loss(y, prediction, c=4.0)[0]) == pytest.approx(4.0, rel=1e-5)
"""

MULTICLASS = '''\
"""The loss $loss, as a plugin of lossreg."""

from lossreg import Float, LossSpec, hookimpl, ops


def $loss(y_true, y_pred, *, weight):
    """-sum y log p + weight sum (p - y)^2, p = softmax(z): cross-entropy plus the Brier score.

    y_true `(batch, k)` one-hot or class probabilities; y_pred `(batch, k)` raw scores; weight >= 0;
    returns `(batch,)`, at least 0. Put your own formula and its source here.
    """
    log_p = ops.log_softmax(y_pred, axis=-1)
    return ops.sum(-y_true * log_p + weight * ops.square(ops.exp(log_p) - y_true), axis=-1)


@hookimpl
def lossreg_losses():
    """The losses that this package offers."""
    yield LossSpec(
        name="$loss",
        function=$loss,
        tasks=("binary", "multiclass"),
        summary="Cross-entropy plus the Brier score.",
        reference="an example: name the paper or the source here",
        formula="-log p_t + weight sum (p - y)^2",
        # default, search range, and the values for which the formula holds
        params=(Float("weight", 1.0, 0.1, 10.0, log=True, domain="[0, inf)"),),
        target="onehot",
        outputs="k",
        activation="softmax",
        probabilistic=True,
        shift_invariant=True,
        elicits="probability",
    )
'''

MULTICLASS_TEST = """\
import lossreg.testing
import numpy as np
import pytest
import $module

test_conformance = lossreg.testing.conformance("$loss")


def test_a_value_worked_out_by_hand():
    # p = 1/2, 1/4, 1/4 and the first class is right: log 2 + 2 (1/4 + 1/16 + 1/16)
    y, scores = np.array([[1.0, 0.0, 0.0]]), np.log([[0.5, 0.25, 0.25]])
    assert float($module.$loss(y, scores, weight=2.0)[0]) == pytest.approx(np.log(2) + 0.75, rel=1e-5)
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A template for one task: module, test, and the parameter that the README gives as an example."""

    module: str
    test: str
    parameter: str
    default: str = "1.0"


KINDS = {
    "regression": Kind(REGRESSION, REGRESSION_TEST, "c"),
    "multiclass": Kind(MULTICLASS, MULTICLASS_TEST, "weight"),
}


@dataclass(frozen=True, slots=True)
class Names:
    """What a new plugin is called: its loss, its module and its distribution."""

    loss: str

    @property
    def module(self) -> str:
        """`lossreg_tilted`."""
        return f"lossreg_{self.loss}"

    @property
    def distribution(self) -> str:
        """`lossreg-tilted`."""
        return PREFIX + self.loss.replace("_", "-")


def names(given: str) -> Names:
    """The names that follow from `tilted` or `lossreg-tilted`; raises `InputError` for bad and taken ones."""
    loss = given.replace("-", "_").removeprefix(PREFIX.replace("-", "_"))
    if not WORDS.fullmatch(loss) or iskeyword(loss) or loss in (*IMPORTED, "lossreg"):
        hint = "Write lower-case words with hyphens between, such as lossreg-tilted: the loss is then called tilted."
        raise InputError("is no name for a plugin", where=brief(repr(given)), hint=hint)
    _check_free(loss)
    return Names(loss)


def write(named: Names, folder: Path = Path(), task: str = "regression") -> list[Path]:
    """Write the package of a new plugin into a new folder of its own in `folder`: the files, in order.

    task: of the example loss, one of `KINDS`. Raises `InputError`, having written nothing, for
    another task, and for a folder that exists or cannot be made.
    """
    if task not in KINDS:
        raise UnknownError(f"there is no template for {task!r}; known: {', '.join(KINDS)}", where="--task",
                           hint=did_you_mean(task, KINDS))  # fmt: skip
    target = folder / named.distribution
    texts = files(named, task)
    with _made(target) as partial:
        for name, text in texts.items():
            path = partial / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return [target / name for name in texts]


def files(named: Names, task: str) -> dict[str, str]:
    """The text of every file, by its path in the package's folder."""
    kind = KINDS[task]
    templates = {
        "pyproject.toml": PYPROJECT,
        "README.md": README,
        f"{named.module}.py": kind.module,
        f"tests/test_{named.loss}.py": kind.test,
    }
    values = {
        "loss": named.loss, "module": named.module, "distribution": named.distribution,
        "parameter": kind.parameter, "default": kind.default, "version": __version__,
    }  # fmt: skip
    return {path: Template(text).substitute(values) for path, text in templates.items()}


def _check_free(loss: str) -> None:
    entry = registry.default().look_up(loss)
    if entry is None:
        return
    origin = "is built in" if entry.plugin == "builtin" else f"comes from {entry.distribution or entry.plugin}"
    what = f"there is a loss of that name: {entry.spec.name}, which {origin}"
    raise InputError(
        what, where=repr(loss), hint="Choose another name; names are compared without case and underscores."
    )


@contextmanager
def _made(target: Path) -> Iterator[Path]:
    """A folder that becomes `target` when all is written, and is gone if anything fails."""
    with on_disk(target):
        if target.exists():
            raise InputError("is there already", where=brief(target), hint="Choose another name or --folder.")
    partial = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        partial.chmod(0o755)
        yield partial
        partial.rename(target)
    except OSError as error:
        raise InputError(f"cannot be written: {refusal(error)}", where=brief(target)) from error
    finally:
        if partial is not None:
            rmtree(partial, ignore_errors=True)
