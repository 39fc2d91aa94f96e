"""`init`: data are looked at, and a study file is written that fits them."""

from __future__ import annotations

import os
import shlex
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lossreg.config import study as studies
from lossreg.config.fields import safe
from lossreg.contract.data_options import GIVEN
from lossreg.contract.targets import REGRESSION
from lossreg.data import files, foreign, inputs, sources
from lossreg.data.dataset import Dataset
from lossreg.data.origin import Origin, listed
from lossreg.data.raw import Raw, TargetError
from lossreg.data.raw_objects import from_object
from lossreg.errors import (
    DataError,
    InputError,
    brief,
    did_you_mean,
    is_text,
    on_disk,
    represented,
    require_path,
    shortened,
)
from lossreg.inspection import columns, likely, recommendation, target, warnings
from lossreg.inspection.recommendation import Choice
from lossreg.inspection.study_file import Draft
from lossreg.inspection.suspects import Suspects
from lossreg.inspection.target import Numbers
from lossreg.metrics import catalogue
from lossreg.registry import registry
from lossreg.storage.replaced_file import part_of, replaced
from lossreg.terminal.caller import words

Target = str | Sequence[str] | None
FRAME, ARRAYS, HERE = "data.parquet", "data.npz", "data"
SHOWN = 80  # letters of a name
SAVED = {
    FRAME: 'write the rows there first: frame.to_parquet("data.parquet", index=False)',
    ARRAYS: 'write the rows there first: numpy.savez("data.npz", x=x, y=y)',
}


@dataclass(frozen=True, slots=True, repr=False)
class Inspection:
    """The findings on data, and the study file that fits them.

    dataset: the data as `tune` reads, splits and preprocesses them; numbers: the distribution of a target of numbers,
    None for classes; suspects: columns that are no ordinary features; constant: columns with one value; identifiers:
    columns that are left out; notes: how the data are read; warnings: what a dry run and the notes of a run say too;
    left_out: losses that do not fit; text: the study file.
    """

    source: str
    target: Target
    dataset: Dataset
    numbers: Numbers | None
    suspects: Suspects
    constant: list[str]
    identifiers: list[str]
    task: Choice
    metric: Choice
    losses: dict[str, str]
    left_out: dict[str, str]
    notes: list[str]
    warnings: list[str]
    text: str

    def __repr__(self) -> str:
        rows = len(self.dataset.rows.labels.y)
        return f"<inspection of {self.source}: {rows:,} rows, task {self.task.value}, {len(self.warnings)} warnings>"

    @property
    def classes(self) -> dict[str, int]:
        """The rows of each class, or with each label; of masks, pixels."""
        labels = self.dataset.rows.labels
        if not labels.classes:
            return {}
        rows = target.counts(labels.y, len(labels.classes), several=labels.task == "multilabel")
        return dict(zip(labels.classes, rows.tolist(), strict=True))

    def write(self, path: str | Path) -> Path:
        """Write the study file; raises `InputError` where there is a file already, or none can be written."""
        return write(self.text, require_path(path, "path"))

    def to_json(self) -> dict[str, Any]:
        """Return the document that `init --json` prints."""
        suspects, numbers, rows = self.suspects, self.numbers, self.dataset.rows
        return {
            "source": self.source,
            "target": self.target if self.target is None or isinstance(self.target, str) else list(self.target),
            "task": asdict(self.task),
            "data": self.dataset.summary(),
            "classes": self.classes,
            "positive": self.dataset.classes[1] if self.task.value == "binary" else None,
            "numbers": None if numbers is None else {name: getattr(numbers, name) for name in numbers.__slots__},
            "missing": {name: count for name, (count, _) in inputs.gaps(rows.raw.x, rows.readings).items()},
            "constant": self.constant,
            "copies": suspects.copies,
            "identifiers": [*self.identifiers, *suspects.identifiers],
            "groups": suspects.groups,
            "times": suspects.times,
            "splits": suspects.splits,
            "betraying": suspects.betraying,
            "terms": suspects.terms,
            "repeated_rows": rows.layout.repeated,
            "metric": asdict(self.metric),
            "losses": self.losses,
            "left_out": self.left_out,
            "notes": self.notes,
            "warnings": self.warnings,
            "study": self.text,
        }


def init(data: Any, target: Target = None, *, folder: str | Path = ".") -> Inspection:
    """Look at data, and return what was seen, with the text of a study file that fits them. Nothing is written.

    data: the source of a study (a file, `sklearn:NAME`, `file.py:function`), a DataFrame, or what a function of a study
    may return; target: the column to predict, or several columns of 0 and 1; arrays bring their labels; folder: where
    the study file will be, from which the paths in it start. The result has `text`, `warnings`, `notes`, `to_json()`
    and `write(path)`. Raises `InputError`: without a target, or with one that is not there, it names likely columns.
    """
    checked = _checked_target(target)
    source, raw = _read(data, checked, require_path(folder, "folder"))
    return _inspected(source, raw, checked, where=str(data) if isinstance(data, (str, Path)) else HERE)


def _checked_target(target: Any) -> Target:
    if target is None or is_text(target):
        return target  # type: ignore[no-any-return]
    if isinstance(target, (list, tuple)) and target and all(map(is_text, target)):
        if twice := next((name for name in target if target.count(name) > 1), None):
            raise InputError(
                f"names {shortened(repr(twice), SHOWN)} twice", where="target", hint="Name each column once."
            )
        return tuple(target)
    raise InputError(f"must be a column or a list of columns, not {represented(target)}", where="target")


def _read(data: Any, target: Target, folder: Path) -> tuple[str, Raw]:
    """Return the source as the study file names it, and the rows."""
    columns_asked = target if target is None or isinstance(target, str) else tuple(target)
    try:
        if isinstance(data, (str, Path)):
            source = str(data)
            studies.require_trusted(studies.from_dict({"data": {"source": source}}))
            origin = Origin("", source, columns_asked)
            return _from(folder, source), sources.read(origin, drop=(), base=Path(), seed=0)
        origin = Origin(HERE, GIVEN, columns_asked)
        frame = foreign.plain(data, origin)
        raw = from_object(frame, origin)
    except TargetError as error:
        raise _with_likely(error, target) from None
    except InputError as error:
        raise _from_here(error) from None
    if len(raw.y) == 0:
        raise DataError("no rows", where=HERE)
    return FRAME if isinstance(frame, pd.DataFrame) else ARRAYS, raw


def _from_here(error: InputError) -> InputError:
    """Return the error as of rows that were given, or without a path that is the source itself."""
    if error.where == GIVEN:
        return error.at(HERE)
    return type(error)(error.what.removesuffix(f": {error.where}"), where=error.where, hint=error.hint)


def _with_likely(error: TargetError, target: Target) -> InputError:
    """Return the error with the columns that are likely to be meant."""
    where = HERE if error.where == GIVEN else error.where
    if error.table is None:
        return error.at(where)
    names = list(map(str, error.table.columns))
    descriptions = {name: likely.describe(error.table[name], name) for name in likely.targets(error.table)}
    shown = ", ".join(f"{name} ({what})" for name, what in descriptions.items())
    others = f"Likely: {shown}." if descriptions else f"Columns: {listed(names) or 'none'}."
    if target is None:
        what = words("a table needs --target COLUMN", "a table needs a target")
        return DataError(what, where=where, hint=f"{error.advice} {others}".strip())
    wanted = next((name for name in ([target] if isinstance(target, str) else target) if name not in names), "")
    hint = error.hint if wanted in error.index else did_you_mean(wanted, names)
    hints = " ".join(filter(None, [error.advice, hint, others]))
    return DataError(f"no column {shortened(repr(wanted), SHOWN)}", where=where, hint=hints)


def _from(folder: Path, source: str) -> str:
    """Return a source with its path as seen from a folder; what is no file stays as it is."""
    path, colon, function = source.rpartition(":") if ".py:" in source else (source, "", "")
    is_no_path = "://" in source or source.startswith("sklearn:") or len(path) > files.LONGEST
    with on_disk(source):
        if is_no_path or Path(path).is_absolute() or not Path(path).exists():
            return source
    return Path(os.path.relpath(path, folder)).as_posix() + colon + function


def _inspected(source: str, raw: Raw, asked: Target, where: str) -> Inspection:
    try:
        dataset, task = recommendation.read(raw, where)
    except DataError as error:
        raise error.at(where) if error.where == raw.name else error from None
    suspects = Suspects.of(dataset)
    development = dataset.rows.labels.y[dataset.rows.development]
    numbers = Numbers.of(development) if task.value in REGRESSION and len(np.unique(development)) > 1 else None
    metric = _usable(recommendation.metric(dataset, numbers), dataset)
    losses, left_out = recommendation.losses(registry.default(), dataset, numbers)
    resolved = catalogue.resolve(metric.value, task.value)
    warning_lines = [
        *suspects.lines(), *warnings.of_noise(dataset, resolved), *warnings.of_verdict(dataset, resolved),
    ]  # fmt: skip
    batch_size, epochs = recommendation.training(len(dataset.train))
    saved, unlabelled = (
        _saved(source, suspects.beside) if where == HERE else "",
        len(raw.y) - len(dataset.rows.labels.y),
    )
    draft = Draft(
        source, asked, task, metric, losses, left_out, recommendation.trials(len(losses)), batch_size, epochs, dataset,
        suspects, warning_lines, saved, unlabelled,
    )  # fmt: skip
    text = draft.text()
    studies.from_dict(tomllib.loads(text))
    notes = [note for note in dataset.notes if not note.startswith(f"Task {task.value}, ")]
    return Inspection(
        source, asked, dataset, numbers, suspects, _constant(dataset.rows.raw), _left_out(raw, dataset.rows.raw), task,
        metric, losses, left_out, notes, warning_lines, text,
    )  # fmt: skip


def _saved(source: str, beside: Iterable[str]) -> str:
    """Return how rows that came from no file get into the source, with the arrays beside them that are proposed."""
    further = "".join(f", {name}={name}" for name in sorted(beside) if name.isidentifier())
    return SAVED.get(source, "").replace("y=y)", f"y=y{further})")


def _left_out(raw: Raw, kept: Raw) -> list[str]:
    """Return the columns of a table that loading leaves out."""
    if not isinstance(raw.x, pd.DataFrame) or not isinstance(kept.x, pd.DataFrame):
        return []
    return [str(name) for name in raw.x.columns if name not in kept.x.columns]


def _usable(metric: Choice, dataset: Dataset) -> Choice:
    """Return the metric, or the task's usual one where the validation rows do not define it."""
    try:
        catalogue.resolve(metric.value, dataset.task).check(dataset.validation.y, dataset.n_classes)
    except DataError:
        return Choice(catalogue.default(dataset.task), "the usual one")
    return metric


def _constant(raw: Raw) -> list[str]:
    """Return the columns with one value, gaps aside."""
    return [
        f"{part}.{name}" if part else str(name)
        for part, table in columns.tables(raw.x)
        for name in table.columns
        if _is_constant(table[name])
    ]


def _is_constant(column: pd.Series[Any]) -> bool:
    there = column.dropna()
    try:
        return bool(there.nunique() <= 1)
    except TypeError:  # values without a hash, such as lists
        return False


def place(source: str, out: str | Path | None) -> Path:
    """Return where the study file goes: as asked, or named after the data; raises `InputError` if it is there."""
    path = Path(out) if out is not None else Path(f"{_stem(source)}.toml")
    with on_disk(path):
        if path.suffix != ".toml":
            hint = words("Such as --out study.toml.", "Such as study.toml.")
            raise InputError("must end in .toml", where=brief(path), hint=hint)
        if path.exists() or path.is_symlink():
            hint = words(
                f"Run it with `lossreg tune {shlex.quote(str(path))}`, or write another one with --out OTHER.toml.",
                "Choose another path; no file is overwritten.",
            )
            raise InputError("already exists", where=brief(path), hint=hint)
        if not path.parent.is_dir():
            raise InputError("no such folder", where=brief(path.parent))
    return path


def _stem(source: str) -> str:
    """Return a name for the study of a source."""
    name = source.rpartition(":")[2] if ":" in source else Path(source).name.partition(".")[0]
    return safe(name.partition("?")[0]) or "study"


def write(text: str, path: Path) -> Path:
    """Write a study file where there is none, all or nothing; raises `InputError`."""
    path = place("", path)
    with on_disk(path), replaced(part_of(path), path) as file:
        file.write(text.encode())
    return path
