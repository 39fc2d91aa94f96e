"""Image files as arrays of bytes, read by Pillow as `keras.utils.load_img` reads them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lossreg.data import files
from lossreg.errors import DataError
from lossreg.runtime import system

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
KNOWN = f"Known: {', '.join(ENDINGS)}."
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
CHANNELS = {1: "1 channel (grey)", 3: "3 channels (RGB)", 4: "4 channels (RGB and transparency)"}
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
GREY = ("1", "L", "LA", "La", *SIXTEEN_BITS)
TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
# Pillow reads more, some of them by other programs (EPS)
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
ORIENTATION, TURNED = 0x0112, range(5, 9)  # of EXIF: from 5 on height and width change places
SHOWN = 5


class Header(NamedTuple):
    """The form of an image file: `(height, width)`, 1 or 3 channels, and whether it has transparency besides."""

    size: tuple[int, int]
    channels: int
    is_transparent: bool


class Unreadable(NamedTuple):
    """The reason why a file cannot be read as an image."""

    reason: str


@dataclass(frozen=True, slots=True)
class ImageReader:
    """Reads image files in one form: upright as their EXIF orientation says, then converted, then resized bilinearly.

    Of an animation it is the first picture; 16 bits become 8.
    """

    height: int
    width: int
    channels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of an image."""
        return self.height, self.width, self.channels

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Return an image `(height, width, channels)`; raises what Pillow raises."""
        from PIL import Image, ImageOps

        with _opened(path) as image:
            converted = _in_bytes(ImageOps.exif_transpose(image)).convert(MODES[self.channels])
            if converted.size != (self.width, self.height):
                converted = converted.resize((self.width, self.height), Image.Resampling.BILINEAR)
            return np.asarray(converted, np.uint8).reshape(self.shape)

    def rows(self, given: Any) -> NDArray[np.uint8] | None:
        """Return the images of a file, of a folder in the order of the paths in it, or of a list of files.

        None for anything else. Raises `DataError` for files that cannot be read.
        """
        paths = _paths(given)
        if paths is None:
            return None
        array = np.empty((len(paths), *self.shape), np.uint8)
        if unreadable := fill(array, self, paths):
            what, hint = described(unreadable, len(paths), Path())
            raise DataError(what, hint=f"{hint}.")
        return array


def fill(array: NDArray[np.uint8], reader: ImageReader, paths: Sequence[Path]) -> dict[Path, str]:
    """Read images into an array `(n, *shape)`; return why files cannot be read, by path."""
    unreadable = {}
    for row, (path, image) in enumerate(zip(paths, _each(reader.read, paths), strict=True)):
        if isinstance(image, Unreadable):
            unreadable[path] = image.reason
        else:
            array[row] = image
    return unreadable


def headers(paths: Sequence[Path]) -> tuple[dict[Path, Header], dict[Path, str]]:
    """Return the form of each file, and why others cannot be read."""
    by_path = dict(zip(paths, _each(_header, paths), strict=True))
    unreadable = {path: header.reason for path, header in by_path.items() if isinstance(header, Unreadable)}
    return {path: header for path, header in by_path.items() if path not in unreadable}, unreadable


def is_image(name: str) -> bool:
    """Return whether a file is an image by its name; hidden ones are not."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def described(unreadable: dict[Path, str], of: int, base: Path) -> tuple[str, str]:
    """Return a message on unreadable files, which names the first of them, and a hint."""
    number = len(unreadable)
    shown = [f"{_relative(path, base)} ({reason})" for path, reason in list(unreadable.items())[:SHOWN]]
    more = f", and {number - SHOWN:,} more" if number > SHOWN else ""
    what = f"{number:,} of {of:,} files cannot be read as {'images' if number > 1 else 'an image'}"
    return f"{what}: {', '.join(shown)}{more}", "Repair or remove " + ("them" if number > 1 else "it")


def _relative(path: Path, base: Path) -> str:
    return str(path.relative_to(base) if path.is_relative_to(base) else path)


def _each(function: Callable[[Path], Any], paths: Sequence[Path]) -> Iterator[Any]:
    """Yield the result for each file in order, or why it cannot be read; memory that runs out is raised."""

    def tried(path: Path) -> Any:
        try:
            return function(path)
        except MemoryError:
            raise
        except Exception as error:  # Pillow raises errors of many kinds on damaged files
            return Unreadable(_reason(error))

    # of Pillow on colours and sizes, about single files
    with warnings.catch_warnings(), ThreadPoolExecutor(system.cores()) as pool:
        warnings.simplefilter("ignore")
        yield from pool.map(tried, paths)


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "no image, or a damaged one"
    return files.reason(error)[:100]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from PIL import Image

    if not path.is_file():
        raise OSError("no such file" if not path.exists() else "is no file")
    with Image.open(path, formats=FORMATS) as image:
        yield image


def _header(path: Path) -> Header:
    with _opened(path) as image:
        width, height = image.size
        # for an orientation after its pixels, a PNG file would be read in full
        has_exif = image.format != "PNG" or "exif" in image.info
        turned = has_exif and image.getexif().get(ORIENTATION) in TURNED
        is_transparent = image.mode in TRANSPARENT or "transparency" in image.info
        size = (width, height) if turned else (height, width)
        return Header(size, 1 if image.mode in GREY else 3, is_transparent)


def _in_bytes(image: Any) -> Any:
    """Return an image of 8 bits per channel."""
    from PIL import Image

    if image.mode in SIXTEEN_BITS:
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("its pixels have 32 bits, and 8 or 16 are read")
    return image


def walked(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the place and name of every visible file in a folder, in the order of folders, then of names.

    Links to folders are not followed. Raises `OSError` for folders that cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    for place, _, names in sorted(os.walk(folder, onerror=refuse), key=lambda entry: entry[0]):
        if all(map(is_visible, Path(place).relative_to(folder).parts)):
            yield from ((Path(place), name) for name in sorted(names) if not name.startswith("."))


def is_visible(name: str) -> bool:
    """Return whether a folder is the user's: not hidden, nor one that macOS puts into archives."""
    return not name.startswith(".") and name != "__MACOSX"


def _paths(given: Any) -> list[Path] | None:
    """Return the files that a path or a list of paths names; None for what is neither."""
    if isinstance(given, (str, os.PathLike)):
        return paths_of(Path(given).expanduser())
    if isinstance(given, np.ndarray) and given.dtype.kind not in "OU":
        return None
    if isinstance(given, Iterable) and not hasattr(given, "columns"):
        listed = list(given)
        if listed and all(isinstance(path, (str, os.PathLike)) for path in listed):
            return [Path(path).expanduser() for path in listed]
    return None


def paths_of(path: Path) -> list[Path]:
    """Return the image of a path, or those of a folder in the order of their paths; raises `DataError` for none."""
    if not path.is_dir():
        if path.exists():
            return [path]
        raise DataError("no such file", where=str(path), hint=files.near(path))
    with files.reading(path, str(path)):
        paths = [place / name for place, name in walked(path) if is_image(name)]
    if not paths:
        raise DataError("has no images", where=str(path), hint=KNOWN)
    return paths
