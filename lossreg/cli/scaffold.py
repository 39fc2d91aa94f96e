"""`lossreg new-plugin`: the files of a plugin package that installs and passes its checks as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path
from string import Template

from lossreg.errors import InputError, UnknownError, brief, did_you_mean, on_disk, refusal
from lossreg.registry import registry
from lossreg.storage.replaced_file import folder_beside
from lossreg.version import __version__

PREFIX = "lossreg-"
WORDS = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# names that the written module itself uses
IMPORTED = ("ops", "hookimpl", "lossreg_losses", "regression_loss", "softmax_loss")
TEMPLATES = Path(__file__).with_name("templates")
# the parameter of the example loss for each task
PARAMETERS = {"regression": "c", "multiclass": "weight"}


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a new plugin: its loss, its module and its distribution."""

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
    """Return the names that follow from `tilted` or `lossreg-tilted`; raises `InputError` for bad and taken ones."""
    loss = given.replace("-", "_").removeprefix(PREFIX.replace("-", "_"))
    if not WORDS.fullmatch(loss) or iskeyword(loss) or loss in (*IMPORTED, "lossreg"):
        hint = "Write lower-case words with hyphens between, such as lossreg-tilted: the loss is then called tilted."
        raise InputError("is no name for a plugin", where=brief(repr(given)), hint=hint)
    _check_free(loss)
    return Names(loss)


def write(named: Names, folder: Path = Path(), task: str = "regression") -> list[Path]:
    """Write the package of a new plugin into a new folder in `folder`, and return its files in order.

    task: of the example loss, one of `PARAMETERS`. Raises `InputError`, having written nothing, for
    another task, and for a folder that exists or cannot be made.
    """
    if task not in PARAMETERS:
        raise UnknownError(f"there is no template for {task!r}; known: {', '.join(PARAMETERS)}", where="--task",
                           hint=did_you_mean(task, PARAMETERS))  # fmt: skip
    target = folder / named.distribution
    texts = files(named, task)
    with _new_folder(target) as partial:
        for name, text in texts.items():
            path = partial / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return [target / name for name in texts]


def files(named: Names, task: str) -> dict[str, str]:
    """Return the text of every file, by its path in the package's folder."""
    templates = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{named.module}.py": f"{task}.py",
        f"tests/test_{named.loss}.py": f"{task}_test.py",
    }
    values = {
        "loss": named.loss, "module": named.module, "distribution": named.distribution,
        "parameter": PARAMETERS[task], "version": __version__,
    }  # fmt: skip
    return {path: _filled(template, values) for path, template in templates.items()}


def _filled(template: str, values: Mapping[str, str]) -> str:
    text = (TEMPLATES / f"{template}.template").read_text(encoding="utf-8")
    return Template(text).substitute(values)


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
def _new_folder(target: Path) -> Iterator[Path]:
    """Yield a folder that becomes `target` at the end of the block, and is removed if anything fails."""
    with on_disk(target):
        if target.exists():
            raise InputError("already exists", where=brief(target), hint="Choose another name or --folder.")
    try:
        with folder_beside(target) as beside:
            partial = beside / target.name
            partial.mkdir()
            yield partial
            partial.rename(target)
    except OSError as error:
        raise InputError(f"cannot be written: {refusal(error)}", where=brief(target)) from error
