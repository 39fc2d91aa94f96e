"""A folder of images as rows: its folders are the classes, or parts (train, test) with a folder for each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.image_options import ImageOptions
from lossreg.data import files, image_files, room
from lossreg.data.image_files import CHANNELS, ImageReader
from lossreg.data.origin import Origin, listed
from lossreg.data.parts import NAMES, TRAIN, WORDS
from lossreg.data.raw import Raw
from lossreg.errors import DataError, count_of, paths_start

# pixels of a side: equal images up to the first keep their size, others are resized to the second
LARGEST, USUAL = 128, 64
EXAMPLE = "Put the images of each class into a folder of their own, such as cats/1.jpg and dogs/1.jpg."
OWN = {"target": "the column of labels", "weight": "the column of weights"}
OF_TABLES = ("decimal", "thousands", "na_values")


@dataclass(frozen=True, slots=True)
class LabelledFiles:
    """Image files with the class and the part of each, and what else lies there, relative to the folder."""

    paths: list[Path]
    labels: list[str]
    parts: list[int]
    nested: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def plus(self, other: LabelledFiles) -> LabelledFiles:
        """Return these files and those of another part."""
        return LabelledFiles(*(mine + theirs for mine, theirs in zip(_fields(self), _fields(other), strict=True)))

    def without(self, paths: Any) -> LabelledFiles:
        """Return these files without some."""
        kept = [i for i, path in enumerate(self.paths) if path not in paths]
        paths, labels, parts = (
            [self.paths[i] for i in kept],
            [self.labels[i] for i in kept],
            [self.parts[i] for i in kept],
        )
        return LabelledFiles(paths, labels, parts, self.nested, self.others)


def _fields(labelled: LabelledFiles) -> tuple[Any, ...]:
    return labelled.paths, labelled.labels, labelled.parts, labelled.nested, labelled.others


def of(source: str, base: Path) -> Path | None:
    """Return the folder that a source names, None where it is none."""
    try:
        path = base / Path(source).expanduser()
        return path if path.is_dir() else None
    except (OSError, RuntimeError):
        return None


def missing(source: str, base: Path, origin: Origin) -> DataError:
    """Return the error for a folder that is not there."""
    path = base / Path(source)
    return origin.error(f"no such folder: {path}", files.near(path) or paths_start(base))


def _check_keys(origin: Origin) -> None:
    """Raise `DataError` for keys of tables."""
    for key, name in {"target": origin.target, "weight": origin.weight, **origin.aside}.items():
        if name is not None:
            what = f"{key} names {OWN.get(key, 'a column')} of a table, and the folders are the classes here"
            raise origin.error(what, "Leave it out.")
    for key in OF_TABLES:
        if getattr(origin.options, key):
            raise origin.error(f"{key} is for tables, and this is a folder of images", "Leave it out.")


def read(path: Path, origin: Origin, options: ImageOptions) -> Raw:
    """Return the images of a folder as `(n, height, width, channels)` bytes, their classes as labels.

    Raises `DataError` for a folder without classes, and for files that cannot be read unless they are to be left out.
    """
    _check_keys(origin)
    with files.reading(path, origin.where):
        labelled = _labelled(path, origin)
    forms, unreadable = image_files.headers(labelled.paths)
    if not forms:
        return _refuse(labelled, unreadable, path, origin)
    reader, notes = _reader(list(forms.values()), options)
    room.check(np.broadcast_to(np.float32(0), (1, *reader.shape)), len(forms), 1, origin.where)
    array = np.empty((len(forms), *reader.shape), np.uint8)
    damaged = image_files.fill(array, reader, list(forms))
    kept = _kept(labelled, unreadable | damaged, path, origin, options)
    array = array[[each not in damaged for each in forms]] if damaged else array
    notes += [*_beside(kept), *_left_out(unreadable | damaged, len(labelled.paths), path)]
    return _raw(array, kept, reader, replace(origin, name=path.resolve().name), notes)


def _raw(
    array: NDArray[np.uint8], labelled: LabelledFiles, reader: ImageReader, origin: Origin, notes: list[str]
) -> Raw:
    """Return the rows; a category is a class even where it is a number or a date."""
    given = np.array(labelled.parts, np.int8) if len(set(labelled.parts)) > 1 else None
    for part in sorted(set(labelled.parts) - {TRAIN}):
        notes.append(f"{NAMES[part].capitalize()} rows: the given {NAMES[part]} set.")
    y = pd.Series(pd.Categorical(labelled.labels))
    return Raw(origin.name, array, y, given=given, images=reader, notes=notes)


# ------------------------------------------------------------------ files


def _labelled(path: Path, origin: Origin) -> LabelledFiles:
    """Return the images of a folder, those of its training part first, and of its test part last."""
    folders = [each for each in sorted(path.iterdir()) if each.is_dir() and image_files.is_visible(each.name)]
    parts = _parts(folders, origin)
    if not parts:
        return _classes(path, folders, path, TRAIN, origin)
    labelled = LabelledFiles([], [], [])
    for part in sorted(parts):
        inner = [each for each in sorted(parts[part].iterdir()) if each.is_dir() and image_files.is_visible(each.name)]
        labelled = labelled.plus(_classes(parts[part], inner, path, part, origin))
    _check_parts(labelled, {part: folder.name for part, folder in parts.items()}, origin)
    return labelled


def _parts(folders: Sequence[Path], origin: Origin) -> dict[int, Path]:
    """Return the folders of parts, none where the folders are classes, one of which may be called train."""
    named = [folder for folder in folders if folder.name.lower() in WORDS]
    parts = {WORDS[folder.name.lower()]: folder for folder in named}
    if TRAIN not in parts or len(parts) < 2 or not any(each.is_dir() for each in parts[TRAIN].iterdir()):
        return {}
    if len(parts) < len(named):
        raise origin.error(f"two of the folders {listed(each.name for each in named)} are the same part", "Join them.")
    if others := [folder.name for folder in folders if folder not in named]:
        what = f"has the parts {listed(each.name for each in named)}, and beside them {listed(others, 5)}"
        raise origin.error(what, "Move that elsewhere: each part has a folder for each class.")
    return parts


def _classes(folder: Path, inner: Sequence[Path], base: Path, part: int, origin: Origin) -> LabelledFiles:
    """Return the images of a folder with a folder for each class."""
    name = "" if folder == base else f"{folder.name} "
    loose = sorted(each.name for each in folder.iterdir() if each.is_file() and image_files.is_image(each.name))
    if not inner:
        raise _without_classes(folder, base, len(loose), origin)
    if len(inner) == 1 and not name:
        deeper = any(each.is_dir() and image_files.is_visible(each.name) for each in inner[0].iterdir())
        hint = f'Its folders may be the classes: source = "{origin.where.rstrip("/")}/{inner[0].name}".'
        what = f"has one class folder, {inner[0].name}, and at least two are needed"
        raise origin.error(what, hint if deeper else EXAMPLE)
    labelled = LabelledFiles([], [], [], others=tuple(str((folder / each).relative_to(base)) for each in loose))
    for of_class in inner:
        labelled = labelled.plus(_of_class(of_class, base, part, origin))
    return labelled


def _without_classes(folder: Path, base: Path, images: int, origin: Origin) -> DataError:
    """Return the error for a folder, or a part of one, that has no class folders."""
    source, within = origin.where.rstrip("/"), sorted(each.name for each in folder.iterdir() if each.is_file())
    if folder != base:
        train = next(each.name for each in base.iterdir() if WORDS.get(each.name.lower()) == TRAIN)
        what = f"{folder.name} has {count_of(images, 'image')} and no class folders"
        return origin.error(what, f'Without labels nothing is tested: source = "{source}/{train}".')
    if within and not images:
        what = f"is a folder without images: it has {listed(within, 5)}"
        return origin.error(what, f'Name a file, such as source = "{source}/{within[0]}".')
    return origin.error(f"has {count_of(images, 'image') if images else 'no images'} and no class folders", EXAMPLE)


def _of_class(folder: Path, base: Path, part: int, origin: Origin) -> LabelledFiles:
    every = list(image_files.walked(folder))
    paths = [place / name for place, name in every if image_files.is_image(name)]
    others = [str((place / name).relative_to(base)) for place, name in every if not image_files.is_image(name)]
    nested = dict.fromkeys(str(each.parent.relative_to(base)) for each in paths if each.parent != folder)
    if not paths and part == TRAIN:
        has = f"files that end in {listed(_endings(others), 5)}" if others else "none"
        what = f"the class folder {folder.relative_to(base)} has no images: it has {has}"
        raise origin.error(what, f"{image_files.KNOWN} Move a folder that is no class elsewhere.")
    return LabelledFiles(paths, [folder.name] * len(paths), [part] * len(paths), tuple(nested), tuple(others))


def _endings(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(Path(name).suffix.lower() or "no dot" for name in names))


def _check_parts(labelled: LabelledFiles, names: dict[int, str], origin: Origin) -> None:
    """Raise `DataError` for classes of other parts that no training row has."""
    by_part = {
        part: {each for each, of in zip(labelled.labels, labelled.parts, strict=True) if of == part} for part in names
    }
    for part, classes in by_part.items():
        if unknown := sorted(classes - by_part[TRAIN]):
            what = f"{names[part]} has class folders that {names[TRAIN]} lacks: {listed(unknown, 5)}"
            raise origin.error(what, f"{names[TRAIN]} has {listed(sorted(by_part[TRAIN]), 5)}.")


def _kept(
    labelled: LabelledFiles, unreadable: dict[Path, str], base: Path, origin: Origin, options: ImageOptions
) -> LabelledFiles:
    """Return the files without those that cannot be read; raises `DataError` unless these are to be left out."""
    if not unreadable:
        return labelled
    if not options.drop_unreadable:
        what, hint = image_files.described(unreadable, len(labelled.paths), base)
        raise origin.error(what, f"{hint}, or set data.drop_unreadable = true.")
    kept = labelled.without(unreadable)
    return _refuse(labelled, unreadable, base, origin) if set(kept.labels) < set(labelled.labels) else kept


def _refuse(labelled: LabelledFiles, unreadable: dict[Path, str], base: Path, origin: Origin) -> NoReturn:
    """Raise `DataError` for a class of which no image can be read."""
    what, hint = image_files.described(unreadable, len(labelled.paths), base)
    lost_classes = sorted(set(labelled.labels) - set(labelled.without(unreadable).labels))
    raise origin.error(f"{what}; no image of {listed(lost_classes, 5)} can be read", f"{hint}.")


# ------------------------------------------------------------------ form


def _reader(forms: Sequence[image_files.Header], options: ImageOptions) -> tuple[ImageReader, list[str]]:
    """Return how the files are read, and notes on it."""
    sizes = list(dict.fromkeys(form.size for form in forms))
    size = options.size or _usual(sizes, [form.size for form in forms])
    channels = options.channels or max(form.channels for form in forms)
    reader = ImageReader(*size, channels)
    return reader, list(_form_notes(reader, forms, sizes, options))


def _usual(sizes: Sequence[tuple[int, int]], every: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the size of all images, or a smaller one where they differ or are large."""
    if len(sizes) == 1 and max(sizes[0]) <= LARGEST:
        return sizes[0]
    height, width = np.median(np.array(every), axis=0)
    return min(USUAL, int(height)), min(USUAL, int(width))


def _form_notes(
    reader: ImageReader, forms: Sequence[image_files.Header], sizes: Sequence[tuple[int, int]], options: ImageOptions
) -> Iterator[str]:
    count = f"Images: {count_of(len(forms), 'file')} of {_range(sizes)} pixels (height x width)"
    now = f"{reader.height} x {reader.width}"
    if sizes == [(reader.height, reader.width)]:
        yield f"{count}, read in {CHANNELS[reader.channels]}."
    else:
        hint = "" if options.size else "; data.image_size = [height, width] sets another size"
        yield f"{count}, read in {CHANNELS[reader.channels]} and resized to {now}{hint}."
    transparent = sum(form.is_transparent for form in forms)
    if transparent and reader.channels != 4:
        images = count_of(transparent, "image has", "images have")
        yield f"{images} transparency, which is left out: data.image_channels = 4 keeps it."
    coloured = sum(form.channels > 1 for form in forms)
    if reader.channels > 1 and 0 < coloured < len(forms) and not options.channels:
        grey = count_of(len(forms) - coloured, "of the images is", "of the images are")
        yield f"{grey} grey, and read in {CHANNELS[reader.channels]} as the others."


def _range(sizes: Sequence[tuple[int, int]]) -> str:
    low, high = (function(np.array(sizes), axis=0).tolist() for function in (np.min, np.max))
    return " to ".join(dict.fromkeys(f"{height} x {width}" for height, width in (low, high)))


def _beside(labelled: LabelledFiles) -> Iterator[str]:
    """Yield notes on what lies beside the images of the classes."""
    if labelled.nested:
        yield f"Images in folders within a class folder are of that class: {listed(labelled.nested, 5)}."
    loose = [name for name in labelled.others if image_files.is_image(Path(name).name)]
    if loose:
        yield f"{count_of(len(loose), 'image lies', 'images lie')} in no class folder, left out: {listed(loose, 5)}."
    rest = Counter(Path(name).suffix.lower() or "no ending" for name in labelled.others if name not in loose)
    if rest:
        counts = ", ".join(f"{number:,} {ending}" for ending, number in rest.items())
        yield f"Files that are no images by their names, left out: {counts}. {image_files.KNOWN}"


def _left_out(unreadable: dict[Path, str], of: int, base: Path) -> list[str]:
    return [f"{image_files.described(unreadable, of, base)[0]}: left out."] if unreadable else []
