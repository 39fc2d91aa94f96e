"""A fitted preprocessor as a JSON file of numbers and texts; reading it runs nothing that is in it.

Versions up to 0.2.0 wrote pickles (`.joblib`), which run code when they are loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lossreg.contract.data_options import Options
from lossreg.data.conversions import AsDays, AsDurations, AsMiddles, AsNumbers, AsRanks
from lossreg.data.dates import Dates
from lossreg.data.exposures import ExposedPreprocessor, Fitted, Terms, base_of
from lossreg.data.fitted_steps import FittedSteps
from lossreg.data.image_files import ImageReader
from lossreg.data.inputs import InputsPreprocessor, Preprocessor, Single
from lossreg.data.lost import NO_DATE, NO_DURATION, NO_NUMBER, NO_RANK, Reason
from lossreg.data.numerals import Numerals
from lossreg.data.preprocess import AsGiven, ImagePreprocessor, TablePreprocessor
from lossreg.data.reading import Reading
from lossreg.data.readings import Readings
from lossreg.data.scaling import Limits
from lossreg.data.thousands import Thousands
from lossreg.data.translation import Translation
from lossreg.errors import InputError, on_disk, one_line, represented, require_path
from lossreg.runtime import safety

ANEW = "Write it again on the machine that has the study."  # there may be no lossreg here
READER: Any = Field(default=None, exclude_if=lambda reader: reader is None)  # of version 0.3.0 and later
ReasonName = Literal["number", "date", "duration", "rank"]
REASONS: dict[ReasonName, Reason] = {"number": NO_NUMBER, "date": NO_DATE, "duration": NO_DURATION, "rank": NO_RANK}


class Document(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class StoredReading(Document):
    """The reading of one column."""

    column: str
    kind: str
    read: Literal["numbers", "days", "durations", "ranks", "middles"] | None = None
    numerals: Numerals | None = None
    dates: Dates | None = None
    ranks: tuple[str, ...] = ()
    reason: ReasonName
    note: str = ""
    mark: str = ""
    gaps: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)

    @classmethod
    def of(cls, column: str, reading: Reading) -> StoredReading:
        """Return a reading in this form."""
        reason = next(name for name, known in REASONS.items() if known == reading.reason)
        return cls(
            column=column, kind=reading.kind, reason=reason, note=reading.note, mark=reading.mark,
            gaps=tuple(sorted(reading.gaps)), **_of_way(reading.read),
        )  # fmt: skip

    def restored(self) -> Reading:
        """Return the reading."""
        way, reason = self._way(), REASONS[self.reason]
        return Reading(self.kind, way, reason, self.note, self.mark, gaps=frozenset(self.gaps))

    def _way(self) -> Any:
        if self.read is None:
            return None
        makers = {
            "numbers": lambda: AsNumbers(self.numerals or Numerals()), "days": lambda: AsDays(self.dates or Dates()),
            "durations": AsDurations, "ranks": lambda: AsRanks(self.ranks), "middles": AsMiddles,
        }  # fmt: skip
        return makers[self.read]()


def _of_way(read: Any) -> dict[str, Any]:
    match read:
        case AsNumbers(numerals=numerals):
            return {"read": "numbers", "numerals": numerals}
        case AsDays(dates=dates):
            return {"read": "days", "dates": dates}
        case AsDurations():
            return {"read": "durations"}
        case AsRanks(categories=categories):
            return {"read": "ranks", "ranks": categories}
        case AsMiddles():
            return {"read": "middles"}
    return {}


class StoredOptions(Document):
    """The study's options for reading, as far as they hold for new rows."""

    encoding: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    na_values: tuple[str | int | float, ...] | dict[str, tuple[str | int | float, ...]] = ()
    sheet: str | None = Field(default=None, exclude_if=lambda value: value is None)

    @classmethod
    def of(cls, options: Options | None) -> StoredOptions | None:
        """Return options in this form, None where they say nothing."""
        if options is None:
            return None
        stored = cls(
            encoding=options.encoding, decimal=options.decimal, thousands=options.thousands,
            na_values=_plain(options.na_values), sheet=options.sheet,
        )  # fmt: skip
        return None if stored == cls() else stored

    def restored(self) -> Options:
        """Return the options."""
        return Options(self.encoding, self.decimal, self.thousands, self.na_values, sheet=self.sheet)


def _plain(gaps: Any) -> Any:
    return dict(gaps) if isinstance(gaps, Mapping) else tuple(gaps)


class StoredTable(Document):
    """A `TablePreprocessor`."""

    kind: Literal["table"] = "table"
    groups: dict[str, list[str]]
    notes: list[str]
    readings: list[StoredReading]
    categories: dict[str, list[str]]
    flags: tuple[str, ...]
    thousands: dict[str, Thousands]
    limits: dict[str, tuple[float, float]]
    fitted: FittedSteps
    options: StoredOptions | None = Field(default=None, exclude_if=lambda value: value is None)

    @classmethod
    def of(cls, part: TablePreprocessor) -> StoredTable:
        """Return a fitted preprocessor in this form."""
        if not hasattr(part, "terms_"):
            hint = "Fit it again, or keep the file that it was loaded from."
            raise InputError("a preprocessor of lossreg 0.1.0 cannot be written in this form", hint=hint)
        steps, terms = part.transformer_, part.terms_
        fitted = steps if isinstance(steps, FittedSteps) else FittedSteps.of(steps, part.groups_)
        return cls(
            groups=part.groups_, notes=part.notes, fitted=fitted, flags=terms.flags, thousands=dict(terms.thousands),
            readings=[StoredReading.of(name, reading) for name, reading in part.readings_.items()],
            categories={name: sorted(known.names) for name, known in terms.categories.items()},
            limits={name: (float(low), float(high)) for name, (low, high) in part.limits_.items()},
            options=StoredOptions.of(part.options),
        )  # fmt: skip

    def restored(self) -> TablePreprocessor:
        """Return the preprocessor."""
        part = TablePreprocessor(self.options.restored() if self.options else None)
        part.readings_ = Readings({stored.column: stored.restored() for stored in self.readings})
        part.features_, part.groups_, part.notes = list(part.readings_), self.groups, self.notes
        part.terms_ = Translation.restored(part.readings_, self.categories, self.flags, self.thousands)
        part.limits_ = {name: Limits(*ends) for name, ends in self.limits.items()}
        part.transformer_ = self.fitted
        return part


class StoredArray(Document):
    """An `ImagePreprocessor`."""

    kind: Literal["array"] = "array"
    shape: tuple[int, ...]
    limits: tuple[float, float]
    mean: float
    scale: float
    notes: list[str]
    images: ImageReader | None = READER

    @classmethod
    def of(cls, part: ImagePreprocessor) -> StoredArray:
        """Return a fitted preprocessor in this form."""
        low, high = map(float, part.limits_)
        return cls(
            shape=part.shape_, limits=(low, high), mean=part.mean_, scale=part.scale_, notes=part.notes,
            images=part.images_,
        )  # fmt: skip

    def restored(self) -> ImagePreprocessor:
        """Return the preprocessor."""
        part = ImagePreprocessor()
        part.shape_, part.limits_, part.notes = self.shape, Limits(*self.limits), self.notes
        part.mean_, part.scale_, part.images_ = self.mean, self.scale, self.images
        return part


class StoredAsGiven(Document):
    """An `AsGiven`."""

    kind: Literal["as given"] = "as given"
    features: list[str]
    shape: tuple[int, ...]
    notes: list[str]
    options: StoredOptions | None = Field(default=None, exclude_if=lambda value: value is None)
    images: ImageReader | None = READER

    @classmethod
    def of(cls, part: AsGiven) -> StoredAsGiven:
        """Return a fitted preprocessor in this form."""
        options = StoredOptions.of(part.options)
        return cls(
            features=part.features_, shape=part.shape_, notes=part.notes, options=options, images=part.images_
        )  # fmt: skip

    def restored(self) -> AsGiven:
        """Return the preprocessor."""
        part = AsGiven(self.options.restored() if self.options else None)
        part.features_, part.shape_, part.notes, part.images_ = self.features, self.shape, self.notes, self.images
        return part


Stored = Annotated[StoredTable | StoredArray | StoredAsGiven, Field(discriminator="kind")]


class StoredExposure(Document):
    """The `Terms` of a column of exposures."""

    reading: StoredReading
    thousands: Thousands | None = None

    @classmethod
    def of(cls, terms: Terms) -> StoredExposure:
        """Return terms in this form."""
        return cls(reading=StoredReading.of(terms.column, terms.reading), thousands=terms.thousands)

    def restored(self) -> Terms:
        """Return the terms."""
        return Terms(self.reading.column, self.reading.restored(), self.thousands)


class StoredPreprocessor(Document):
    """The whole file: a preprocessor for each input, "" for a single one; the classes that a model predicts of them.

    exposure: how the column of exposures is read, None without.
    """

    format: Literal["lossreg preprocessor 1"]
    classes: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)
    exposure: StoredExposure | None = Field(default=None, exclude_if=lambda value: value is None)
    parts: dict[str, Stored] = Field(min_length=1)


def dumps(preprocessor: Fitted) -> str:
    """Return a fitted preprocessor as JSON; raises `InputError` for anything else."""
    base = base_of(preprocessor)
    parts = base.parts if isinstance(base, InputsPreprocessor) else {"": base}
    stored = {name: _stored(part) for name, part in parts.items()}
    document = StoredPreprocessor(
        format="lossreg preprocessor 1", parts=stored, classes=base.classes,
        exposure=StoredExposure.of(preprocessor.terms) if isinstance(preprocessor, ExposedPreprocessor) else None,
    )  # fmt: skip
    return f"{json.dumps(document.model_dump(mode='json'))}\n"


def _stored(part: Single) -> Any:
    match part:
        case TablePreprocessor():
            return StoredTable.of(part)
        case ImagePreprocessor():
            return StoredArray.of(part)
        case AsGiven():
            return StoredAsGiven.of(part)
    raise InputError(f"must be a preprocessor of lossreg, not {represented(part)}")


def save_preprocessor(preprocessor: Fitted, path: str | Path) -> None:
    """Write a fitted preprocessor into a JSON file, which `load_preprocessor` reads; raises `InputError`."""
    text = dumps(preprocessor)
    with on_disk(path):
        Path(path).write_text(text)


def load_preprocessor(path: str | Path) -> Fitted:
    """Return the preprocessor of a file that `lossreg model` or a study has written; nothing of a JSON file is run.

    A `.joblib` file, as versions up to 0.2.0 wrote, is a pickle: loading it runs the code in it, and safe mode refuses
    it. Raises `InputError`.
    """
    file = require_path(path, "lossreg.load_preprocessor")
    with on_disk(path):
        content = file.read_bytes()
    return _unpickled(file) if file.suffix == ".joblib" else _loads(content, str(file))


def _loads(content: bytes, where: str) -> Fitted:
    try:
        stored = StoredPreprocessor.model_validate(json.loads(content))
        parts = _restored(stored)
    except (ValueError, RecursionError, KeyError) as error:
        what = f"is no preprocessor of lossreg, or damaged ({_reason(error)})"
        raise InputError(what, where=where, hint=ANEW) from error
    preprocessor = parts[""] if list(parts) == [""] else InputsPreprocessor(parts)
    preprocessor.classes = stored.classes
    return preprocessor if stored.exposure is None else ExposedPreprocessor(preprocessor, stored.exposure.restored())


def _restored(stored: StoredPreprocessor) -> dict[str, Single]:
    return {name: part.restored() for name, part in stored.parts.items()}


def _reason(error: Exception) -> str:
    """Return the first mistake: `parts.x.limits: Field required`."""
    if not isinstance(error, ValidationError):
        return one_line(error)
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _unpickled(file: Path) -> Preprocessor:
    """Return the preprocessor of a pickle, which runs code."""
    safety.refuse("is a pickle, which is code", str(file))
    import joblib

    try:
        loaded = joblib.load(file)
    except Exception as error:
        raise InputError(f"cannot be loaded: {one_line(error)}", where=str(file)) from error
    if not isinstance(loaded, Preprocessor):
        raise InputError(f"holds no preprocessor but {represented(loaded)}", where=str(file))
    return loaded
