"""Sources of rows: scikit-learn's sets and generators, tables, NPZ files, functions of the user."""

from __future__ import annotations

import ast
import inspect
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd

from lossreg.contract.data_options import DROP, GIVEN, TEXT
from lossreg.contract.image_options import ImageOptions
from lossreg.data import compressed, delimited, files, header, image_folder, new_forms, option_checks, room, table_files
from lossreg.data.joined_parts import appended
from lossreg.data.origin import Origin
from lossreg.data.parts import NAMES
from lossreg.data.raw import Raw, TargetError, from_table
from lossreg.data.raw_objects import from_mapping, from_object
from lossreg.errors import DataError, InputError, UnknownError, did_you_mean
from lossreg.runtime import system, user_code

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")
GENERATORS = (
    "make_blobs", "make_circles", "make_classification", "make_friedman1", "make_friedman2", "make_friedman3",
    "make_gaussian_quantiles", "make_hastie_10_2", "make_moons", "make_multilabel_classification", "make_regression",
    "make_s_curve", "make_sparse_uncorrelated", "make_swiss_roll",
)  # fmt: skip
SEVERAL = ("linnerud",)  # refused by its labels: three numbers per row
SEEDS = ("random_state", "seed")
WIDTHS = ("n_features", "n_targets", "n_classes")
SMALLER = "Ask for fewer rows or features, such as n_samples=10000."
COPIES = 3  # what is drawn, what is shuffled, and the rows of the parts
RESERVED = ("return_X_y", "as_frame", "return_centers", "return_distributions", "coef")
PLAIN_ARRAYS = "Save x and y as plain arrays of numbers or strings with numpy.savez."
OTHER_SHEET = "data.sheet in a study names another."
TABLES = f"{compressed.shown(('.csv', '.tsv', '.jsonl'))}, .parquet, .feather, .xlsx"
KINDS = f'Known: {TABLES}, .npz, a folder of images, "sklearn:NAME", "file.py:function", "package.module:function".'


def read(
    origin: Origin, *, drop: Sequence[str], base: Path, seed: int, given: Any = None, images: ImageOptions | None = None
) -> Raw:
    """Return the raw rows that `origin` names, without the columns in `drop`; raises `DataError` or `InputError`.

    given: the rows themselves, where the source is `GIVEN`; images: how a folder of images is read.
    """
    source = origin.where
    files.check_name(source)
    if given is not None and images and images.given:
        raise origin.error("are no folder of images", f"Leave out {' and '.join(images.given)}.")
    folder = None if given is not None else _folder(source, origin, base, images or ImageOptions())
    raw = folder or (_read(source, origin, base, seed) if given is None else _given(given, origin))
    option_checks.check(raw, origin)
    raw = raw.without([*drop, *origin.options.kinds(DROP)], source)
    if len(raw.y) == 0:
        raise DataError("no rows", where=source)
    return raw


def read_parts(
    origin: Origin,
    others: Mapping[int, str],
    *,
    drop: Sequence[str],
    base: Path,
    seed: int,
    given: Any = None,
    images: ImageOptions | None = None,
) -> Raw:
    """Return the rows of a source, and of further files of the same columns as the parts that they are."""
    raw = read(origin, drop=drop, base=base, seed=seed, given=given, images=images)
    if not others:
        return raw
    if raw.given is not None or "split" in origin.aside:
        what = "split gives the parts" if "split" in origin.aside else "has test rows or validation rows of its own"
        raise origin.error(f"{what}, and so does {' and '.join(others.values())}", "Keep one of them.")
    rows, notes = raw, []
    for part, file in others.items():
        further = replace(origin, where=file)
        try:
            part_rows = _further(further, _columns(raw), drop=drop, base=base, seed=seed)
            _check_labels(raw, part_rows, further, origin)
            rows = appended(rows, part_rows, part, further)
        except InputError as error:
            what = error.what if file in error.what else f"{file}: {error.what}"
            raise type(error)(what, where=NAMES[part], hint=error.hint) from None
        notes += [f"{NAMES[part].capitalize()} rows: {file}.", *(f"{file}: {note}" for note in part_rows.notes)]
    return replace(rows, from_files=True, notes=[*rows.notes, *notes])


def _check_labels(raw: Raw, other: Raw, further: Origin, origin: Origin) -> None:
    """Raise `DataError` for labels of a further file that are numbers in another form than those of the first."""
    if not (isinstance(raw.y, pd.Series) and isinstance(other.y, pd.Series)):
        return
    written = new_forms.of_labels(other.y, raw.y, origin.options)
    if written:
        hint = "Write them in the same form in both files."
        raise further.error(f"the labels are written in another form ({written}) than those of {origin.where}", hint)


def _further(origin: Origin, columns: Mapping[str, bool], *, drop: Sequence[str], base: Path, seed: int) -> Raw:
    """Return the rows of a further file, read as the first was; columns: those of the first, as `_columns` has them."""
    if not origin.where.lower().endswith(tuple(READERS)):
        hint = f"Known: {TABLES}, .npz; a function as source may return the parts itself."
        raise DataError("is no file that test or validation rows can be read from", hint=hint)
    options = option_checks.fitting(origin.options, origin.where)
    return read(replace(origin, like=columns, options=options), drop=drop, base=base, seed=seed)


def _columns(raw: Raw) -> dict[str, bool]:
    """Return the columns of a table by name, True for those that hold text."""
    columns = [*raw.aside.values(), *([raw.y] if isinstance(raw.y, pd.Series) else [])]
    columns += [raw.x[name] for name in raw.x.columns] if isinstance(raw.x, pd.DataFrame) else []
    return {str(c.name): c.dtype == object or isinstance(c.dtype, pd.StringDtype) for c in columns}


def _folder(source: str, origin: Origin, base: Path, images: ImageOptions) -> Raw | None:
    """Return the images of a folder, None where the source is none; raises `DataError`."""
    if not source.lower().endswith(tuple(READERS)) and (folder := image_folder.of(source, base)):
        option_checks.check_file("", origin)
        return image_folder.read(folder, origin, images)
    if images.given:
        raise origin.error("is no folder of images", f"Leave out {' and '.join(images.given)}.")
    return None


def _read(source: str, origin: Origin, base: Path, seed: int) -> Raw:
    if source == GIVEN:
        what = "the rows were given in Python, and are not kept"
        raise DataError(what, where=source, hint="Give them again: lossreg.tune(study, data=...).")
    if source.startswith("sklearn:"):
        option_checks.check_file("", origin)
        return _sklearn(source, origin, seed)
    if "://" in source:
        raise DataError("is an address, and lossreg downloads nothing", where=source, hint="Save it to a file first.")
    suffix = "".join(Path(source).suffixes[-2:]).lower()
    for ending, reader in READERS.items():
        if suffix.endswith(ending):
            option_checks.check_file(ending, origin)
            return reader(files.existing(source, base), origin)
    option_checks.check_file("", origin)
    if ":" in source:
        return _function(source, origin, base, seed)
    if source.endswith("/"):
        raise image_folder.missing(source, base, origin)
    what = f"unsupported file type {suffix}" if suffix else "is no file, function or data set that is known"
    if suffix in compressed.OPENERS:
        named = f"{Path(source).stem}.csv{suffix}"
        raise DataError(
            f"its name does not say what is in {suffix}", where=source, hint=f"Call it {named}, or unpack it."
        )
    given = " A table in Python is given itself, not by its name." if source.isidentifier() else ""
    raise DataError(what, where=source, hint=f"{KINDS}{given}")


def _given(rows: Any, origin: Origin) -> Raw:
    option_checks.check_file("", origin)
    return from_object(rows, replace(origin, name="data"))


def _stem(path: Path) -> str:
    ending = max((e for e in READERS if path.name.lower().endswith(e)), key=len)
    return path.name[: -len(ending)]


def _read_text(path: Path, origin: Origin) -> Raw:
    options = origin.options
    as_text = [*options.kinds("category", TEXT), *(name for name, is_text in origin.like.items() if is_text)]
    coded = () if origin.like else origin.targets if origin.as_given else None
    known, targets = tuple(origin.like), origin.targets
    read = delimited.read(path, origin.where, as_text, coded, known=known, targets=targets, options=options)
    try:
        raw = from_table(read.rows, replace(origin, name=_stem(path)), read.place)
    except TargetError as error:
        raise error.with_advice(header.advice(read.rows)) from None
    except DataError as error:
        if header.are_numbers(map(str, read.rows.columns)):
            raise DataError(error.what, where=error.where, hint=header.NO_HEADER) from None
        raise
    words = sum((Counter(read.words.get(name, {})) for name in origin.targets), Counter[str]())
    return replace(raw, notes=[*read.notes, *raw.notes], gap_words=words)


def _read_table(path: Path, origin: Origin) -> Raw:
    read = table_files.read(path, origin.where, origin.options)
    try:
        raw = from_table(read.rows, replace(origin, name=_stem(path)), read.place)
    except TargetError as error:
        raise error.with_advice(" ".join([*read.notes, OTHER_SHEET] if read.notes else [])) from None
    return replace(raw, notes=[*read.notes, *raw.notes])


def _read_npz(path: Path, origin: Origin) -> Raw:
    with files.reading(path, origin.where, hint=PLAIN_ARRAYS), path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            what = f"is a single array of shape {archive.shape} (.npy), not an archive of x and y"
            raise origin.error(what, PLAIN_ARRAYS)
        arrays = {name: _array(archive, name, path, origin) for name in archive.files}
    return from_mapping(arrays, replace(origin, name=_stem(path)))


def _array(archive: Any, name: str, path: Path, origin: Origin) -> Any:
    with files.reading(path, origin.where, f"array {name!r}", PLAIN_ARRAYS):
        return archive[name]


READERS: dict[str, Callable[[Path, Origin], Raw]] = {
    **dict.fromkeys(delimited.SEPARATORS, _read_text),
    **dict.fromkeys(table_files.ENDINGS, _read_table),
    ".npz": _read_npz,
}


def _sklearn(source: str, origin: Origin, seed: int) -> Raw:
    from sklearn import datasets

    name, _, query = source.removeprefix("sklearn:").partition("?")
    name = name.removeprefix("load_")
    _check_known(name, source)
    function = getattr(datasets, name if name in GENERATORS else f"load_{name}")
    arguments, notes = _arguments(function, query, seed, source)
    _check_room(function, arguments, source)
    try:
        value = function(**arguments)
    except MemoryError as error:
        raise DataError(f"{name} needs more memory than there is", where=source, hint=SMALLER) from error
    except Exception as error:
        raise DataError(f"{name} rejects its arguments: {files.reason(error)}", where=source) from error
    raw = from_object(value, replace(origin, name=name.removeprefix("make_")))
    return replace(raw, notes=[*notes, *raw.notes])


def _check_room(function: Callable[..., Any], arguments: Mapping[str, Any], where: str) -> None:
    """Raise `DataError` if the rows that a generator is asked for would not fit in memory."""
    defaults = {name: p.default for name, p in inspect.signature(function).parameters.items()}
    asked = {**defaults, **arguments}
    rows = _size(asked.get("n_samples"))
    width = sum(max(1, _size(asked.get(name))) for name in WIDTHS)
    needed, free = COPIES * 8 * rows * width, system.free_memory()
    if needed > free:
        what = f"{_number(rows)} rows of {_number(width)} numbers need {room.in_gib(needed)} of memory"
        raise DataError(f"{what}, and {room.in_gib(free)} are free", where=where, hint=SMALLER)


def _size(value: Any) -> int:
    """Return the count that an argument asks for: a number, or one per class; 0 for anything else."""
    numbers = value if isinstance(value, (list, tuple)) else [value]
    return sum(max(0, int(n)) for n in numbers if isinstance(n, int) or (isinstance(n, float) and math.isfinite(n)))


def _number(value: int) -> str:
    return f"{value:,}" if value < 10**15 else "over 10^15"


def _check_known(name: str, source: str) -> None:
    known = (*BUNDLED, *GENERATORS)
    if name in (*known, *SEVERAL):
        return
    from sklearn import datasets

    if hasattr(datasets, f"fetch_{name.removeprefix('fetch_')}"):
        hint = "Fetch it once yourself and give a file, or a function of yours."
        raise DataError("would be downloaded, and lossreg downloads nothing", where=source, hint=hint)
    near = did_you_mean(name, known) or did_you_mean(f"make_{name}", known)
    raise UnknownError(f"unknown data set; known: {', '.join(known)}", where=source, hint=near)


def _arguments(function: Callable[..., Any], query: str, seed: int, where: str) -> tuple[dict[str, Any], list[str]]:
    """Return keyword arguments of `function` from `a=1&b=[2,3]`; a seed that is not given is the study's."""
    takes = inspect.signature(function).parameters
    given = dict(_parsed(part, where) for part in query.split("&") if part)
    anything = any(p.kind is p.VAR_KEYWORD for p in takes.values())
    for name in given:
        if name in RESERVED or not (name in takes or anything):
            has = [p for p in takes if p not in RESERVED]
            hint = did_you_mean(name, has)
            raise UnknownError(f"unknown argument {name}; known: {', '.join(has) or 'none'}", where=where, hint=hint)
    seeds = [name for name in SEEDS if name in takes]
    if not seeds or any(name in given for name in seeds):
        return given, []
    source = where.partition("?")[0]
    return {**given, seeds[0]: seed}, [f"data.source: {source} takes {seeds[0]} = {seed}, the study's seed."]


def _parsed(part: str, where: str) -> tuple[str, Any]:
    """Return `n_samples=1000` as a name and a Python literal; other values stay text."""
    name, equals, text = part.partition("=")
    if not equals:
        raise InputError(f"{part!r} is not name=value", where=where)
    try:
        return name, ast.literal_eval(unquote(text))
    except (ValueError, SyntaxError, RecursionError, MemoryError):  # what is nested too deep is no literal either
        return name, unquote(text)


def _function(source: str, origin: Origin, base: Path, seed: int) -> Raw:
    reference, _, query = source.partition("?")
    function = user_code.locate(reference, base)
    if not callable(function):
        raise InputError(f"is no function but {type(function).__name__}", where=source)
    arguments, notes = _arguments(function, query, seed, source)
    value = user_code.call(function, source, user_code.folder(reference, base), **arguments)
    raw = from_object(value, replace(origin, name=reference.rpartition(":")[2]))
    return replace(raw, notes=[*notes, *raw.notes])
