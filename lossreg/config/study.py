"""The study file: data, model, training, search, losses and tracking.

`load` reads and checks a file in milliseconds, without Keras; every mistake is reported with file, dotted key, the
fault and what would work. `fingerprint` and `changed` tell a resumed study from a different one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from lossreg.config import document as documents
from lossreg.config import untrusted
from lossreg.config.document import Origin, dotted
from lossreg.config.fields import CandidateName, Name, reference, safe
from lossreg.config.schema import (
    AUTO,
    BUILT_IN,
    Data,
    Loss,
    Model,
    Plugins,
    Search,
    Section,
    Storage,
    Tracking,
    Train,
    Verdict,
)
from lossreg.config.search_space import shown
from lossreg.contract.data_options import GIVEN
from lossreg.errors import InputError, is_text, represented
from lossreg.runtime import digests, safety, start_files
from lossreg.terminal.masking import masked, masked_values

NO_ORIGIN = Origin()
UNTESTED = "a verdict takes test rows, and data.test = 0 leaves none"
FIXED_SECTIONS = ("data", "model", "train")
FIXED_SEARCH = ("metric", "direction", "predictions", "seed", "seeds", "score_epoch", "sampler", "pruner", "decision",
                "constraints", "metrics")  # fmt: skip


class StudySpec(Section):
    """A checked study. Paths in it are relative to `base`, the folder of its file."""

    name: Name = "study"
    data: Data = Field(
        description='A study needs [data] with a source, such as source = "churn.csv"; rows in Python are given as '
        "data=rows."
    )
    model: Model = Model()
    train: Train = Train()
    search: Search = Search()
    losses: dict[CandidateName, Loss] = Field(default_factory=dict)
    verdict: Verdict = Verdict()
    tracking: Tracking = Tracking()
    storage: Storage = Field(default=Storage(), exclude=True)
    plugins: Plugins = Plugins()
    _document: Mapping[str, Any] = PrivateAttr(default_factory=dict)
    _origin: Origin = PrivateAttr(Origin())
    _base: Path = PrivateAttr(Path())
    _given: Any = PrivateAttr(None)

    @property
    def path(self) -> Path | None:
        """The study file, None for a study that came from no file."""
        return Path(self._origin.file) if self._origin.file else None

    @property
    def base(self) -> Path:
        """The folder where relative paths start."""
        return self._base

    @property
    def given(self) -> Any:
        """The rows that the caller gave in Python, None of a study whose source is read."""
        return self._given

    @property
    def folder(self) -> Path:
        """The folder of the study: `.lossreg/<name>` beside its file."""
        return self._base / ".lossreg" / self.name

    @property
    def is_solo(self) -> bool:
        """True if trials are trained one after the other, with `model.fit`."""
        return self.search.trainer == "fit" or self.train.callbacks is not None

    @property
    def storage_url(self) -> str | None:
        """The address of a shared storage; raises `InputError` in safe mode where only the study file names it."""
        url, given = self.storage.url, self._origin.overridden
        for mistake in untrusted.of_address(untrusted.STORAGE, url, given) if safety.is_on() else ():
            raise mistake.at(self.place(mistake.where))
        return url

    @property
    def origin(self) -> str:
        """The study file as the user gave it; empty for a study that came from no file."""
        return self._origin.file

    @property
    def overrides(self) -> tuple[str, ...]:
        """The overrides of `--set`, in order, without passwords."""
        return tuple(map(masked, self._origin.overrides))

    @property
    def is_shared(self) -> bool:
        """True if several workers share the storage of its trials."""
        return self.storage.url is not None

    def is_overridden(self, dotted_key: str) -> bool:
        """Return whether an override, such as `--set`, gave a key its value."""
        return dotted_key in self._origin.overridden

    def place(self, dotted_key: str = "") -> str:
        """`studies/x.toml: train.epochs`: where to say that a mistake is."""
        return self._origin.of(dotted_key)

    def gathered(self, mistakes: list[InputError]) -> InputError:
        """Return one error of all these mistakes in the study."""
        return documents.gathered(mistakes, self._origin)

    def with_model(self, build: str) -> StudySpec:
        """Return the same study with a built-in model in place of the one that the data decide on."""
        return self.model_copy(update={"model": self.model.model_copy(update={"build": build})})

    def document(self) -> dict[str, Any]:
        """Return the study as plain JSON values, defaults filled in, without its storage and without passwords."""
        document = self.model_dump(mode="json")
        document["tracking"] = masked_values(document["tracking"])
        losses = self.losses.items()
        document["losses"] = {candidate: loss.model_dump(mode="json", exclude_none=True) for candidate, loss in losses}
        return document

    @model_validator(mode="after")
    def _calls_back_from_fit(self) -> StudySpec:
        if self.train.callbacks is not None and self.search.trainer == "population":
            what = 'callbacks are those of model.fit, and search.trainer = "population" trains in lanes'
            raise InputError(what, where="train.callbacks", hint="Leave one of the two out.")
        return self

    @model_validator(mode="after")
    def _forward_in_time(self) -> StudySpec:
        if self.data.time is not None and self.verdict.outer:
            what = "outer folds would train on rows that are newer than those that they test, and the study has times"
            raise InputError(what, where="verdict.outer", hint="Leave it out: the newest rows are the test rows.")
        return self

    @model_validator(mode="after")
    def _tested(self) -> StudySpec:
        if self.verdict.enabled and not self.has_verdict:
            raise InputError(UNTESTED, where="verdict.enabled", hint=self.tested_by)
        return self

    @property
    def has_verdict(self) -> bool:
        """True where a verdict has rows to test on."""
        return self.data.is_tested or bool(self.verdict.outer)

    @property
    def tested_by(self) -> str:
        """The way in which a study without test rows gets a verdict."""
        if self.data.time is not None:
            return "Let data.test be a share of the rows, such as 0.2."
        return "Set verdict.outer = 5, which tests every row once, or let data.test be a share, such as 0.2."

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, document: Any) -> Any:
        """Fill in defaults that follow from other sections: the experiment's name, the epoch that is scored, and that
        a study without test rows has no verdict.
        """
        name, tracking = document.get("name", "study"), document.get("tracking", {})
        if isinstance(name, str) and isinstance(tracking, Mapping):
            document = {**document, "tracking": {**tracking, "experiment": tracking.get("experiment") or name}}
        train, search = document.get("train", {}), document.get("search", {})
        if isinstance(train, Mapping) and isinstance(search, Mapping) and train.get("early_stopping") is not None:
            document = {**document, "search": {"score_epoch": "best", **search}}
        data, verdict = document.get("data", {}), document.get("verdict", {})
        if isinstance(data, Mapping) and isinstance(verdict, Mapping) and _is_zero(data.get("test")):
            document = {**document, "verdict": {"enabled": bool(verdict.get("outer")), **verdict}}
        return document


def _is_zero(share: Any) -> bool:
    return isinstance(share, (int, float)) and not isinstance(share, bool) and share == 0


def load(path: str | Path, overrides: Iterable[str] = ()) -> StudySpec:
    """Return the study of a TOML file, with `key=value` overrides put in.

    A study without a name is named after its file. Raises `InputError` that lists every mistake.
    """
    document = documents.read(path)
    document.setdefault("name", safe(Path(path).stem) or "study")
    return _checked(document, overrides, file=str(path), base=Path(path).parent)


def from_dict(document: Mapping[str, Any], overrides: Iterable[str] = (), *, base: Path = Path()) -> StudySpec:
    """Return the study of a document such as `load` reads; relative paths start at `base`. Raises `InputError`."""
    return _checked(document, overrides, file="", base=base)


def of(
    source: str | Path | Mapping[str, Any] | StudySpec, overrides: Sequence[str] = (), data: Any = None
) -> StudySpec:
    """Return the study of a path, a document, or a study, which is returned as it is without overrides.

    data: its rows, where it names no source. Raises `InputError` for anything else, and for mistakes in it.
    """
    if not isinstance(overrides, (list, tuple)) or not all(map(is_text, overrides)):
        raise InputError(f"overrides are texts such as search.trials=100, not {represented(overrides)}")
    if data is not None:
        return _with_rows(source, overrides, data)
    if isinstance(source, StudySpec):
        if not overrides:
            return source
        return _checked(
            source._document, overrides, file=source._origin.file, base=source.base, given=source._origin,
            rows=source.given,
        )  # fmt: skip
    if isinstance(source, (str, Path)):
        return load(source, overrides)
    return from_dict(source, overrides)


def _with_rows(source: Any, overrides: Sequence[str], rows: Any) -> StudySpec:
    """Return a study, as `of` takes it, whose rows are given, and which names no other source."""
    file, base, given = "", Path(), Origin()
    if isinstance(source, StudySpec):
        file, base, given, source = source._origin.file, source.base, source._origin, source._document
    elif isinstance(source, (str, Path)):
        file, base, source = str(source), Path(source).parent, documents.read(source)
        source.setdefault("name", safe(Path(file).stem) or "study")
    document = documents.checked(source, Origin(file))
    section = document.get("data", {})
    if isinstance(section, Mapping):
        if not (is_text(source := section.get("source", GIVEN)) and source == GIVEN):
            hint = "Leave out one of them."
            raise InputError("the rows are given as data= too", where=Origin(file).of("data.source"), hint=hint)
        document["data"] = {**section, "source": GIVEN}
    return _checked(document, overrides, file=file, base=base, given=given, rows=_kept(rows))


def _kept(rows: Any) -> Any:
    """Return rows that are the same whenever they are read: the arrays of a stream, which may shuffle."""
    from lossreg.data import foreign
    from lossreg.data.origin import Origin as Rows

    if not foreign.is_dataset(rows):
        return rows
    origin = Rows("data", GIVEN)
    try:
        if arrays := foreign.arrays(rows, origin):
            return arrays
        raise origin.error("no rows")
    except InputError as error:
        raise error.at("data") from error


def _checked(
    document: Mapping[str, Any], overrides: Iterable[str], *, file: str, base: Path, given: Origin = NO_ORIGIN,
    rows: Any = None,
) -> StudySpec:  # fmt: skip
    """Return the study of a document; given: what overrides had replaced in it before; rows: its data."""
    overrides = documents.listed(overrides)
    changed, keys = documents.override(documents.checked(document, Origin(file)), overrides)
    origin = Origin(file, (*given.overridden, *keys), (*given.overrides, *overrides))
    try:
        study = StudySpec.model_validate(changed)
    except ValidationError as error:
        raise documents.gathered(documents.explain(error, StudySpec), origin) from None
    study._document, study._origin, study._base, study._given = changed, origin, base, rows
    return study if file or "name" in changed else _named(study)


def _named(study: StudySpec) -> StudySpec:
    """Name the study of a dictionary without a name by its content: the same one is resumed, another one is apart."""
    # under the keys of 0.2.0, so that a study without a name keeps its name
    marks = [_with_activation_as("link", fingerprint(study)), *_functions(study), *_rows(study), *_start(study)]
    hashed = hashlib.sha256(json.dumps(marks, sort_keys=True, default=str).encode()).hexdigest()[:8]
    return study.model_copy(update={"name": f"{study.name}-{hashed}"})


def _rows(study: StudySpec) -> list[str]:
    """Return the digest of the rows that are given; raises `InputError` for what is no data."""
    if study.given is None:
        return []
    from lossreg.data.origin import Origin as Rows
    from lossreg.data.raw_objects import from_object

    section = study.data
    try:
        rows = Rows("data", GIVEN, section.target, section.weight, options=section.options, aside=section.aside)
        return [from_object(study.given, rows).digest()]
    except InputError as error:
        raise error.at("data") from error


def _start(study: StudySpec) -> list[str]:
    """Return the digest of the saved model that trials begin from; one that cannot be read is refused later."""
    with suppress(InputError, OSError):
        return [start_files.digest(start_files.read(study.model.start, study.base))] if study.model.start else []
    return []


def _with_activation_as(name: str, marks: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fingerprint in which the activations of losses have this key: `link`, up to 0.2.0."""
    return {re.sub(r"^(losses\..*\.)(link|activation)$", rf"\1{name}", key): value for key, value in marks.items()}


def _functions(study: StudySpec) -> list[str]:
    """Return the digests of the user's own functions; raises `InputError` where one cannot be computed."""
    marks = []
    for path, function in _given_functions(study).items():
        try:
            marks.append(digests.digest(function))
        except InputError as error:
            what = f"{error.what}, so a study with it needs a name"
            raise InputError(what, where=dotted(path), hint='Give the study a name: {"name": "mine", ...}.') from error
    return marks


def _given_functions(study: StudySpec) -> dict[tuple[str, ...], Any]:
    """Return the user's own functions that were given in Python, by the path of the key."""
    named: dict[tuple[str, ...], Any] = {
        ("losses", name, "function"): loss.function for name, loss in study.losses.items()
    }
    named |= {("search", "metric"): study.search.metric, ("train", "callbacks"): study.train.callbacks}
    named |= {("model", "build"): study.model.build}
    return {path: given for path, given in named.items() if given is not None and not isinstance(given, str)}


def fingerprint(study: StudySpec) -> dict[str, Any]:
    """Return the keys and values that must not change when a study is resumed: dotted keys and plain JSON values."""
    document = study.document()
    marks = {f"{name}.{k}": value for name in FIXED_SECTIONS for k, value in document[name].items()}
    marks |= {f"search.{k}": document["search"][k] for k in FIXED_SEARCH if k in document["search"]}
    for candidate, loss in document["losses"].items():
        source = {} if "function" in loss else {"loss": candidate}
        marks |= {f"losses.{candidate}.{k}": value for k, value in {**source, **loss}.items()}
    return marks if study.losses else {**marks, "losses": "recommended"}


def with_present_names(marks: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fingerprint of any version under the keys of this one."""
    return _with_activation_as("activation", marks)


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Return the differences between two fingerprints by key, each as a line: `train.epochs: 30 -> 50`."""
    old = with_present_names(old)
    keys = dict.fromkeys((*new, *old))
    return {k: f"{k}: {_shown(old.get(k))} -> {_shown(new.get(k))}" for k in keys if old.get(k) != new.get(k)}


def require_trusted(study: StudySpec, *, is_run: bool = True) -> None:
    """Raise `InputError` in safe mode where the study names functions, if it `is_run`, or addresses."""
    mistakes = list(untrusted.mistakes(study, study._origin.overridden, is_run)) if safety.is_on() else []
    if mistakes:
        raise documents.gathered(mistakes, study._origin)


def with_begun_model(study: StudySpec, fingerprinted: Mapping[str, Any]) -> StudySpec:
    """Return a study that leaves the model to the data with the built-in one that it began with, by its fingerprint."""
    begun = fingerprinted.get("model.build")
    return study.with_model(begun) if study.model.build == AUTO and begun in BUILT_IN else study


def as_begun(study: StudySpec, fingerprinted: Mapping[str, Any], document: Mapping[str, Any]) -> StudySpec:
    """Return the study as it was when it began, by its kept fingerprint and document; relative paths start as now."""
    study = with_begun_model(study, fingerprinted)
    unchanged = not changed(fingerprinted, fingerprint(study))
    if unchanged:
        return study
    elsewhere = {"tracking": study.tracking.model_dump(), "storage": study.storage.model_dump()}
    given = Origin(overridden=("tracking", "storage"))
    begun = {**document, **elsewhere, "model": _without_defaults(document.get("model", {}))}
    for path, function in _given_functions(study).items():
        begun = _put_back(begun, path, function)
    return _checked(begun, (), file="", base=study.base, given=given, rows=study.given)


def _without_defaults(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section of a kept model without the defaults of keys that it may not have."""
    defaults = Model().model_dump(mode="json")
    return {key: value for key, value in section.items() if key == "build" or value != defaults.get(key)}


def _put_back(kept: Mapping[str, Any], path: Sequence[str], function: Any) -> dict[str, Any]:
    """Return a kept document with a function in place of its name, if it is defined where the former one was."""
    key, *rest = path
    if rest:
        return {**kept, key: _put_back(kept[key], rest, function)} if key in kept else dict(kept)
    return {**kept, key: function} if kept.get(key) == reference(function) else dict(kept)


def _shown(value: Any) -> str:
    return "not set" if value is None else value if isinstance(value, str) else shown(value)
