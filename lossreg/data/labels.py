"""Labels: which task they make, and their classes as numbers, names and slugs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import Options
from lossreg.contract.targets import CLASSIFICATION, REGRESSION, TASKS
from lossreg.data import columns, dates, gap_words, label_arrays, label_gaps, numerals, positive, readings, truths
from lossreg.data.cells import text_of
from lossreg.data.classes import Labels, slugs, unique_names
from lossreg.data.conversions import AsNumbers
from lossreg.data.numerals import Numerals
from lossreg.data.origin import listed
from lossreg.data.parts import TRAIN
from lossreg.data.raw import Raw
from lossreg.data.row_numbers import RowNumbers
from lossreg.errors import DataError, InputError, as_seen, did_you_mean, is_hashable, one_line

FEW = 20
SKEWED = 0.5
MANY_ZEROS = 0.05  # of the values are exactly 0: sums of claims, rainfall
LARGEST = float(np.finfo(np.float32).max)
CHOOSE = "Choose a column of classes or numbers."
DATES = ("dates", CHOOSE)
DURATIONS = ("durations", "Give them as numbers, such as y.dt.total_seconds().")
COMPLEX = ("complex numbers", "Give the real part, the imaginary part or the size.")
KINDS = {
    **dict.fromkeys(("M", "date", "datetime", "datetime64", "period"), DATES),
    **dict.fromkeys(("m", "timedelta", "timedelta64", "time"), DURATIONS),
    **dict.fromkeys(("c", "complex"), COMPLEX),
}


def read(raw: Raw, task: str, where: str, options: Options | None = None, *, fewest: int = 2) -> Labels:
    """Return the labels of `raw` for `task`, or for the task that they suggest when it is "auto".

    options: those of the study for its data; fewest: rows that a class needs. Raises
    `DataError` for missing or infinite labels, one class or one value only, a class of fewer rows, and labels that do
    not fit the task.
    """
    _check_task(task)
    labels = _read(raw, task, where, options or Options())
    if labels.task in CLASSIFICATION and fewest > 1:
        _check_counts(labels, where)
    if options and options.positive is not None and labels.task != "binary":
        what = f"belongs to a binary task, and this one is {labels.task}"
        raise InputError(what, where="positive", hint="Leave it out.")
    return labels


def _read(raw: Raw, task: str, where: str, options: Options) -> Labels:
    if not isinstance(raw.y, np.ndarray):
        return _one_each(raw.y, task, raw, where, options)
    if task in ("auto", *REGRESSION):
        label_arrays.check_one_target(raw.y, raw.names, where)
    chosen, reason = label_arrays.infer(raw.y, where, raw.numbers) if task == "auto" else (task, "")
    if chosen in label_arrays.WIDE_TASKS:
        labels = label_arrays.read(raw.y, chosen, raw.names, where, raw.numbers)
        return _noted(labels, f"Task {chosen}, inferred from {reason}.") if reason else labels
    labels = _one_each(label_arrays.as_classes(raw.y, task, where, raw.numbers), task, raw, where, options)
    return _noted(labels, f"y: one-hot rows of {raw.y.shape[1]} columns, read as class numbers.")


def _decimal(raw: Raw) -> str:
    """Return the decimal mark of the texts in the table that the labels come from, empty where it is open."""
    return readings.decimal_mark(raw.x) if isinstance(raw.x, pd.DataFrame) else ""


def _noted(labels: Labels, note: str) -> Labels:
    labels.notes.insert(0, note)
    return labels


def _one_each(y: pd.Series[Any], task: str, raw: Raw, where: str, options: Options) -> Labels:
    """Return labels of one class or number per sample."""
    with _objects_named(where):
        _check_plain(y, task, where)
        y, notes, marks = _tidied(columns.plain(y))
        _check_kind(y, where)
        label_gaps.check_marks(y, where, raw.numbers)
        y = _as_one_type(y, task, raw, options)
        y, text_notes, text_marks = _numbers_if_possible(y, task, raw, where, options)
        _check_present(y, where, raw)
        inferred, reason = _infer(y, in_folders=raw.images is not None)
        chosen = inferred if task == "auto" else task
        is_classes = chosen in CLASSIFICATION
        labels = _classes(y, chosen, raw, where, options) if is_classes else _values(y, chosen, where, raw.numbers)
    labels.marks.extend(mark.encode() for mark in (*marks, *text_marks))
    for note in (*text_notes, *notes):
        _noted(labels, note)
    return _noted(labels, _inference(labels, y, reason)) if task == "auto" else labels


@contextmanager
def _objects_named(where: str) -> Iterator[None]:
    """Name the target in errors that its objects raise."""
    try:
        yield
    except InputError as error:
        raise error if error.where else DataError(f"the target: {error.what}", where=where, hint=error.hint) from None
    except MemoryError:
        raise
    except Exception as error:
        what = f"the target cannot be read: {one_line(error, 200)}"
        raise DataError(what, where=where, hint="Give labels as texts or numbers.") from error


def _tidied(y: pd.Series[Any]) -> tuple[pd.Series[Any], list[str], list[str]]:
    """Return texts without surrounding spaces, blank ones as missing, with a note and a mark if there were any.

    A mark is part of the digest, and keeps the words of version 0.2.0.
    """
    if y.dtype != object and not isinstance(y.dtype, pd.StringDtype):
        return y, [], []
    padded = y.map(lambda value: isinstance(value, str) and (value != value.strip() or not value))
    if not padded.any():
        return y, [], []
    tidy = y.map(lambda value: (value.strip() or None) if isinstance(value, str) else value)
    count = int(padded.sum())
    note = f"{count:,} labels have" if count > 1 else "1 label has"
    mark = f"{count} labels are blank or have spaces around them, taken off."
    return tidy, [f"{note} spaces around, taken off."], [mark]


def _check_kind(y: pd.Series[Any], where: str) -> None:
    """Raise `DataError` for a target of dates, durations or complex numbers."""
    inferred = y.dtype.kind if y.dtype.kind in "mMc" else pd.api.types.infer_dtype(y, skipna=True)
    if inferred == "string" and dates.infer(y.dropna().value_counts()) is not None:
        inferred = "date"
    if y.dtype == object and any(isinstance(value, (complex, np.complexfloating)) for value in y):
        inferred = "complex"
    what, hint = KINDS.get(inferred, ("", ""))
    if what:
        raise DataError(f"the target holds {what}", where=where, hint=hint)


def _check_task(task: str) -> None:
    if task not in ("auto", *TASKS):
        hint = did_you_mean(task, TASKS)
        raise InputError(f"unknown task {task!r}; known: auto, {', '.join(TASKS)}", where="task", hint=hint)


def _check_plain(y: pd.Series[Any], task: str, where: str) -> None:
    """Raise `DataError` where a single column cannot hold the labels of the task, or holds lists."""
    columns = 'Give a column of 0 and 1 for each label: target = ["a", "b"], or y of shape (n, k).'
    odd = next((value for value in y if not is_hashable(value)), None) if y.dtype == object else None
    if odd is not None:
        lists = isinstance(odd, (list, tuple, dict, set, np.ndarray))
        what = "lists" if lists else f"objects of type {type(odd).__name__} that have no hash"
        raise DataError(f"the target holds {what}", where=where, hint=columns)
    if task == "multilabel":
        raise DataError("task multilabel needs several labels per row, and there is one", where=where, hint=columns)
    if task == "segmentation":
        hint = "Give masks as arrays (n, height, width) of 0 and 1, in an .npz file or by a function."
        raise DataError("task segmentation needs a mask per row, and there is one label", where=where, hint=hint)


def _inference(labels: Labels, y: pd.Series[Any], reason: str) -> str:
    return f'Task {labels.task}, inferred from {reason}; set task (such as "{_other(labels, y)}") to override.'


def _other(labels: Labels, y: pd.Series[Any]) -> str:
    """Return another task that the labels may be meant for: skewed counts and sizes are not classes or real numbers."""
    usual = "regression" if labels.classes or labels.task == "positive" else "multiclass"
    if labels.task == "positive" or not columns.is_number(y.dtype) or len(labels.classes) == 2:
        return usual
    values = y.to_numpy(float)
    if not _is_skewed(values):
        return usual
    return "count" if bool((values == np.floor(values)).all()) else "positive"


def _is_skewed(values: NDArray[np.float64]) -> bool:
    """Return whether numbers are 0 or more and skewed to the right, as sizes and counts are."""
    deviation = values - values.mean()
    # the third moment in units of the standard deviation
    skewness = float((deviation**3).mean()), SKEWED * float((deviation**2).mean()) ** 1.5
    return bool(values.min() >= 0) and skewness[0] > skewness[1]


def _as_one_type(y: pd.Series[Any], task: str, raw: Raw, options: Options) -> pd.Series[Any]:
    """Return classes that some parts have as numbers or truth values and others as text as numbers or truth values."""
    if raw.given is None or y.dtype != object or task in REGRESSION or (task == "auto" and y.nunique() > 2 * FEW):
        return y
    is_text = np.array([isinstance(value, str) for value in y], bool)
    texts, rest = y[is_text], pd.api.types.infer_dtype(y[~is_text], skipna=True)
    if rest == "boolean":
        meant = texts.map(truths.of_text)
    elif rest in ("integer", "floating", "mixed-integer-float"):
        meant = pd.Series(AsNumbers(numerals.with_marks(options.marks) or Numerals())(texts), texts.index)
    else:
        return y
    y = y.copy()
    y[is_text] = meant.where(meant.notna(), texts)
    return y.infer_objects()


def _numbers_if_possible(
    y: pd.Series[Any], task: str, raw: Raw, where: str, options: Options
) -> tuple[pd.Series[Any], list[str], list[str]]:
    """Return labels held as objects or texts as numbers where they are numbers, with a note and a mark of texts."""
    if y.dtype == object and pd.api.types.infer_dtype(y, skipna=True) in ("decimal", "mixed-integer-float", "integer"):
        try:
            return pd.to_numeric(y), [], []
        except OverflowError:
            return pd.Series(AsNumbers()(y)), [], []
    if task in CLASSIFICATION or not (y.dtype == object or isinstance(y.dtype, pd.StringDtype)):
        return y, [], []
    form = numerals.infer(_counted(columns.in_texts(y, options.marks)), _decimal(raw), options.marks)
    if form is None and options.marks and task != "auto" and y.notna().any():
        what = (
            f"task {task} needs numbers with a decimal {options.marks[0]!r}, and the target has {y.dropna().iloc[0]!r}"
        )
        raise DataError(what, where=where, hint="Correct data.decimal and data.thousands, or leave them out.")
    return _from_text(y, task, raw, where, form=form, options=options)


def _counted(y: pd.Series[Any]) -> pd.Series[Any]:
    return y.dropna().map(text_of).value_counts()


def _from_text(
    y: pd.Series[Any], task: str, raw: Raw, where: str, *, form: numerals.Numerals | None, options: Options
) -> tuple[pd.Series[Any], list[str], list[str]]:
    """Return texts as numbers of a form, and as they are where there is none."""
    texts = y.dropna().map(text_of)
    distinct = list(texts.unique())
    gaps = any(numerals.is_marker(text) for text in distinct)
    if form is None:
        why = numerals.why_text(texts.value_counts(), options.marks)
        return y, [f"The labels: {why}."] if why else [], []
    if task == "auto" and form.plain and not gaps and len(distinct) <= FEW:
        return y, [], []
    values = pd.Series(AsNumbers(form)(y))
    odd = values.isna().to_numpy(bool) & y.notna().to_numpy(bool)
    if odd.any():
        hint = (
            'Name them in data.na_values and set data.drop_unlabelled = true, correct them, or set task = "multiclass" '
            "if the labels are classes."
        )
        raise DataError(label_gaps.no_numbers(y, odd, raw.numbers), where=where, hint=hint)
    return values, [f"The labels are {form.description()}."], [f"The labels are {form.former_description()}."]


def _check_present(y: pd.Series[Any], where: str, raw: Raw) -> None:
    infinite = np.isinf(y.to_numpy(float, na_value=np.nan)) if columns.is_number(y.dtype) else np.zeros(len(y), bool)
    words = gap_words.on_labels(raw.gap_words)
    label_gaps.check(y.isna().to_numpy(bool), infinite, where, raw.numbers, words=words)


def _infer(y: pd.Series[Any], *, in_folders: bool) -> tuple[str, str]:
    """Return the task that labels suggest, and the reason."""
    distinct = int(y.nunique())
    by_classes = "binary" if distinct == 2 else "multiclass"
    if in_folders:
        return by_classes, f"folders of {distinct:,} classes"
    if not columns.is_number(y.dtype):
        return by_classes, f"labels of type {_kind(y)}"
    whole = bool((y == np.floor(y)).all())
    if whole and distinct <= FEW:
        return by_classes, f"whole numbers with {distinct:,} distinct values"
    values = y.to_numpy(float)
    zeros = float((values == 0).mean())
    if not whole and zeros >= MANY_ZEROS and _is_skewed(values):
        return "positive", f"skewed numbers of 0 and more, {zeros:.0%} of them exactly 0"
    return "regression", f"{'whole' if whole else 'real'} numbers with {distinct:,} distinct values"


def _kind(y: pd.Series[Any]) -> str:
    if pd.api.types.is_bool_dtype(y):
        return "boolean"
    return "category" if isinstance(y.dtype, pd.CategoricalDtype) else "text"


def _classes(y: pd.Series[Any], task: str, raw: Raw, where: str, options: Options) -> Labels:
    values, names = _in_order(y), raw.names
    classes = unique_names([_name(value, names) for value in values])
    index = y.map({value: i for i, value in enumerate(values)}).to_numpy().astype(np.int64)
    _check_trained(classes, index, raw, where)
    _check_classes(classes, task, raw, where)
    counts = np.bincount(index)
    ordered = isinstance(y.dtype, pd.CategoricalDtype) and bool(y.dtype.ordered)
    # up to 0.2.0 the order of classes was that of their texts
    marks = [f"ordered {classes}".encode()] if values != _by_text(values) else []
    notes = [f"Classes in the order of the categories: {listed(classes)}."] if ordered and task != "binary" else []
    if task == "binary":
        pair = positive.Pair(classes, [text_of(value) for value in values], counts.tolist(), ordered)
        chosen = positive.choose(pair, options.positive, options.former)
        notes = [chosen.note]
        if chosen.place == 0:
            index, classes, values = 1 - index, classes[::-1], values[::-1]
    held = () if set(classes) <= set(names) else tuple(values)
    return Labels(task, index, classes, slugs(classes), [*notes, *_alike(classes)], marks, held)


def _check_trained(classes: Sequence[str], index: NDArray[np.int64], raw: Raw, where: str) -> None:
    """Raise `DataError` for classes that only other parts have than the training rows, where parts are given."""
    trained = set() if raw.given is None else set(index[raw.given == TRAIN].tolist())
    if not trained or len(trained) == len(classes):
        return
    rows = np.flatnonzero(~np.isin(index, list(trained)))
    known, new = ([name for i, name in enumerate(classes) if (i in trained) is there] for there in (True, False))
    what = f"no training row of class {listed(new, 5)}, which {raw.numbers.named(rows)} {_have(rows)}"
    only_case = {name.casefold() for name in new} <= {name.casefold() for name in known}
    advice = "The others differ in upper and lower case only: write them alike."
    advice = advice if only_case else "Write the same classes alike; drop or merge rare ones."
    hint = f"Training rows have {listed(known, 5)}. {advice}"
    raise DataError(what, where=where, hint=hint)


def _have(rows: NDArray[np.int64]) -> str:
    return "has" if len(rows) == 1 else "have"


def _check_counts(labels: Labels, where: str) -> None:
    """Raise `DataError` for classes of a single row."""
    single = [name for name, rows in zip(labels.classes, np.bincount(labels.y), strict=True) if rows < 2]
    if not single:
        return
    verb = "has" if len(single) == 1 else "have"
    what = f"{len(single):,} of {len(labels.classes):,} classes {verb} a single row ({', '.join(single[:5])})"
    may_be_numbers = labels.values and columns.is_number(pd.Series(labels.values).dtype)
    other = (
        ', or set task = "regression" or "count" if the target is a number'
        if may_be_numbers
        else ", or choose another target"
    )
    why = [note for note in labels.notes if note.startswith("The labels: ")]
    raise DataError(what, where=where, hint=" ".join([f"Drop or merge them{other}.", *why]))


def _alike(classes: Sequence[str]) -> list[str]:
    """Return notes on classes that look the same or differ in case or blanks only, and on names of gaps."""
    twins = {ascii(name): as_seen(name) for name in classes}
    looks = dict.fromkeys(twins.values(), "")
    notes = _pairs("Classes that look the same, in other characters", twins)
    notes += _pairs("Classes that differ in case or blanks only", {repr(look): _letters(look) for look in looks})
    gaps = [name for name in classes if numerals.is_marker(name)]
    if gaps:
        notes.append(f'The class {gaps[0]!r} may mean that there is no label; data.na_values = ["{gaps[0]}"] says so.')
    return notes


def _letters(name: str) -> str:
    """Return a name without blanks, in one case."""
    return "".join(name.casefold().split())


def _pairs(what: str, keys: Mapping[str, str]) -> list[str]:
    """Return a note on the names that have their key in common, if there are any."""
    by_key: dict[str, list[str]] = {}
    for name, key in keys.items():
        by_key.setdefault(key, []).append(name)
    alike = [" and ".join(names) for names in by_key.values() if len(names) > 1]
    return [f"{what}: {listed(alike, 5)}."] if alike else []


def _in_order(y: pd.Series[Any]) -> list[Any]:
    """Return the classes that there are: ordered categories in their order, others sorted."""
    present = set(y.unique())
    if isinstance(y.dtype, pd.CategoricalDtype) and y.dtype.ordered:
        return [category for category in y.dtype.categories if category in present]
    return _sorted([value.item() if isinstance(value, np.generic) else value for value in y.unique()])


def _sorted(values: list[Any]) -> list[Any]:
    """Return values in their order; texts that are numbers have that of numbers."""
    numbers = [Numerals().number(value) if isinstance(value, str) else math.nan for value in values]
    if any(map(math.isnan, numbers)):
        return _by_text(values)
    return [value for _, value in sorted(zip(numbers, values, strict=True))]


def _by_text(values: list[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=str)


def _name(value: Any, names: Sequence[str]) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
        return names[value]
    return text_of(value)


def _check_classes(classes: Sequence[str], task: str, raw: Raw, where: str) -> None:
    if len(classes) == 1:
        hint = gap_words.on_labels(raw.gap_words) or "There is nothing to learn."
        raise DataError(f"one class only ({classes[0]})", where=where, hint=hint)
    needed = "binary" if len(classes) == 2 else "multiclass"
    if task != needed:
        what = f"{len(classes):,} classes ({listed(classes, 5)}) and task {task}"
        raise DataError(what, where=where, hint=f'Set task = "{needed}".')


def _values(y: pd.Series[Any], task: str, where: str, rows: RowNumbers) -> Labels:
    try:
        values = pd.to_numeric(y.astype(str) if isinstance(y.dtype, pd.CategoricalDtype) else y).to_numpy(np.float64)
    except (ValueError, TypeError):
        numbers = pd.to_numeric(y, errors="coerce")
        odd = next((str(label) for label, n in zip(y, numbers, strict=True) if pd.isna(n)), str(y.iloc[0]))
        hint = 'Set task = "multiclass", or choose another target.'
        raise DataError(f"task {task} needs numbers, and the target has {odd!r}", where=where, hint=hint) from None
    label_gaps.check(np.isnan(values), np.isinf(values), where, rows)
    if (far := np.abs(values) > LARGEST).any():
        is_are = "is" if far.sum() == 1 else "are"
        what = f"{int(far.sum()):,} of {len(values):,} labels {is_are} above {LARGEST:.1e} in size ({values[far][0]:g})"
        raise DataError(what, where=where, hint="Correct these rows, or divide the target by a constant.")
    _check_domain(values, task, where)
    return Labels(task, values, notes=_fractions(values, rows) if task == "count" else [])


def _fractions(values: NDArray[np.float64], rows: RowNumbers) -> list[str]:
    """Return a note on counts that are no whole numbers."""
    odd = np.flatnonzero(values % 1)
    if not odd.size:
        return []
    are, first = "is no whole number" if odd.size == 1 else "are no whole numbers", rows.named(odd[:1])
    return [
        f"{odd.size:,} of {len(values):,} labels {are} ({values[odd[0]]:g} in {first}), and task count is for counts: "
        "for claims per year and the like, give counts and data.exposure, or rates and data.weight."
    ]


def _check_domain(values: NDArray[np.float64], task: str, where: str) -> None:
    low = float(values.min())
    if low == values.max():
        raise DataError(f"every label is {low:g}", where=where, hint="There is nothing to learn.")
    if task in ("positive", "count") and low < 0:
        what = f"task {task} needs labels of 0 and more, and the data has {low:g}"
        raise DataError(what, where=where, hint='Set task = "regression".')
