"""The study file: data, model, training, search, losses and tracking.

`load` reads and checks a file in milliseconds, without Keras; every mistake is reported with file, dotted key, the
fault and what would work. `candidates` looks the losses up in a registry and gives their search spaces.
`fingerprint` and `changed` tell a resumed study from a different one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from lossreg.config import document as documents
from lossreg.config import untrusted
from lossreg.config.document import Origin, dotted
from lossreg.config.fields import CandidateName, Name, safe
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
from lossreg.config.search_space import Fixed, Range, Space, declared, parse, shown
from lossreg.contract import activations
from lossreg.contract.data_options import GIVEN
from lossreg.contract.declaration import spec_of
from lossreg.contract.params import Float, Param
from lossreg.contract.spec import LossSpec
from lossreg.contract.targets import CLASSIFICATION, REGRESSION
from lossreg.errors import InputError, is_text, represented
from lossreg.registry.discovery import Entry, key
from lossreg.registry.registry import Registry
from lossreg.registry.user_loss import UserLoss, wrap
from lossreg.runtime import digests, safety, user_code
from lossreg.terminal.masking import masked_values

BASELINES = {
    **dict.fromkeys(CLASSIFICATION, "cross_entropy"),
    "multilabel": "multilabel_bce",
    "segmentation": "binary_crossentropy",
    **dict.fromkeys(REGRESSION, "mean_squared_error"),
}
FIXED_SECTIONS = ("data", "model", "train")
FIXED_SEARCH = ("metric", "direction", "predictions", "seed", "seeds", "score_epoch", "sampler", "pruner", "decision")


class StudySpec(Section):
    """A checked study. Paths in it are relative to `base`, the folder of its file."""

    name: Name = "study"
    data: Data = Field(description='A study needs [data] with a source, such as source = "churn.csv".')
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

    def place(self, dotted_key: str = "") -> str:
        """`studies/x.toml: train.epochs`: where to say that a mistake is."""
        return self._origin.of(dotted_key)

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
    def _forward_in_time(self) -> StudySpec:
        if self.data.time is not None and self.verdict.outer:
            what = "outer folds would train on rows that are newer than those that they test, and the study has times"
            raise InputError(what, where="verdict.outer", hint="Leave it out: the newest rows are the test rows.")
        return self

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, document: Any) -> Any:
        """Fill in defaults that follow from other sections: the experiment's name, and the epoch that is scored."""
        name, tracking = document.get("name", "study"), document.get("tracking", {})
        if isinstance(name, str) and isinstance(tracking, Mapping):
            document = {**document, "tracking": {**tracking, "experiment": tracking.get("experiment") or name}}
        train, search = document.get("train", {}), document.get("search", {})
        if isinstance(train, Mapping) and isinstance(search, Mapping) and train.get("early_stopping") is not None:
            document = {**document, "search": {"score_epoch": "best", **search}}
        return document


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
            source._document, overrides, file=source._origin.file, base=source.base, given=source._origin.overridden,
            rows=source.given,
        )  # fmt: skip
    if isinstance(source, (str, Path)):
        return load(source, overrides)
    return from_dict(source, overrides)


def _with_rows(source: Any, overrides: Sequence[str], rows: Any) -> StudySpec:
    """Return a study, as `of` takes it, whose rows are given, and which names no other source."""
    file, base, given = "", Path(), tuple[str, ...]()
    if isinstance(source, StudySpec):
        file, base, given, source = source._origin.file, source.base, source._origin.overridden, source._document
    elif isinstance(source, (str, Path)):
        file, base, source = str(source), Path(source).parent, documents.read(source)
        source.setdefault("name", safe(Path(file).stem) or "study")
    document = documents.checked(source, Origin(file))
    section = document.get("data", {})
    if isinstance(section, Mapping):
        if section.get("source", GIVEN) != GIVEN:
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
    document: Mapping[str, Any], overrides: Iterable[str], *, file: str, base: Path, given: tuple[str, ...] = (),
    rows: Any = None,
) -> StudySpec:  # fmt: skip
    """Return the study of a document; given: the keys that overrides had replaced in it before; rows: its data."""
    changed, keys = documents.override(documents.checked(document, Origin(file)), overrides)
    origin = Origin(file, (*given, *keys))
    try:
        study = StudySpec.model_validate(changed)
    except ValidationError as error:
        raise documents.gathered(documents.explain(error, StudySpec), origin) from None
    study._document, study._origin, study._base, study._given = changed, origin, base, rows
    return study if file or "name" in changed else _named(study)


def _named(study: StudySpec) -> StudySpec:
    """Name the study of a dictionary without a name by its content: the same one is resumed, another one is apart."""
    # under the keys of 0.2.0, so that a study without a name keeps its name
    marks = [_with_activation_as("link", fingerprint(study)), *_functions(study), *_rows(study)]
    hashed = hashlib.sha256(json.dumps(marks, sort_keys=True, default=str).encode()).hexdigest()[:8]
    named = study.model_copy(update={"name": f"{study.name}-{hashed}"})
    named._document, named._origin, named._base = study._document, study._origin, study._base
    named._given = study._given
    return named


def _rows(study: StudySpec) -> list[str]:
    """Return the digest of the rows that are given; raises `InputError` for what is no data."""
    if study.given is None:
        return []
    from lossreg.data.origin import Origin as Rows
    from lossreg.data.raw import from_object

    section = study.data
    try:
        rows = Rows("data", GIVEN, section.target, section.weight, options=section.options, aside=section.aside)
        return [from_object(study.given, rows).digest()]
    except InputError as error:
        raise error.at("data") from error


def _with_activation_as(name: str, marks: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fingerprint in which the activations of losses have this key: `link`, up to 0.2.0."""
    return {re.sub(r"^(losses\..*\.)(link|activation)$", rf"\1{name}", key): value for key, value in marks.items()}


def _functions(study: StudySpec) -> list[str]:
    """Return the digests of the user's own functions; raises `InputError` where one cannot be computed."""
    named = {dotted(("losses", candidate, "function")): loss.function for candidate, loss in study.losses.items()}
    marks = []
    for where, function in {**named, "search.metric": study.search.metric}.items():
        try:
            marks += [digests.digest(function)] if callable(function) else []
        except InputError as error:
            what = f"{error.what}, so a study with it needs a name"
            raise InputError(what, where=where, hint='Give the study a name: {"name": "mine", ...}.') from error
    return marks


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate of the study: its loss, and a search space for every parameter."""

    name: str
    spec: LossSpec
    entry: Entry
    search_space: Mapping[str, Space]
    baseline: bool = False


def candidates(
    study: StudySpec, registry: Registry, task: str, n_classes: int, without: Collection[str] = ()
) -> list[Candidate]:
    """Return the losses that the study searches; exactly one of them is the baseline.

    `n_classes` is 0 for regression. Without [losses] they are the recommended losses of the
    task. If no candidate is the plain baseline, it is added as the first. Candidates in `without` are left out. Raises
    `InputError` that lists every mistake.
    """
    written = {candidate: loss for candidate, loss in study.losses.items() if candidate not in without}
    chosen = (
        _written(study, written, registry, task, n_classes) if study.losses else _recommended(registry, task, n_classes)
    )
    return _with_baseline(chosen, registry.find(BASELINES[task]))


def _recommended(registry: Registry, task: str, n_classes: int) -> list[Candidate]:
    return [
        Candidate(entry.spec.name, entry.spec, entry, {p.name: declared(p, n_classes) for p in entry.spec.params})
        for entry in registry.recommended(task)
    ]


def _written(
    study: StudySpec, losses: Mapping[str, Loss], registry: Registry, task: str, n_classes: int
) -> list[Candidate]:
    chosen: list[Candidate] = []
    mistakes: list[InputError] = []
    for candidate, loss in losses.items():
        try:
            registry, entry = _entry(candidate, loss, study, registry, task)
            _check_facts(candidate, loss, entry.spec)
            _check_task(candidate, entry.spec, registry, task)
        except InputError as mistake:
            mistakes.append(mistake)
            continue
        space, wrong = _space(candidate, loss.params, entry.spec, n_classes)
        entry = _with_ranges(entry, space) if isinstance(entry.spec.function, UserLoss) else entry
        chosen.append(Candidate(candidate, entry.spec, entry, space))
        mistakes += wrong
    if mistakes:
        raise documents.gathered(mistakes, study._origin)
    return chosen


def _entry(candidate: str, loss: Loss, study: StudySpec, registry: Registry, task: str) -> tuple[Registry, Entry]:
    """Return the loss of a candidate; one of the user's own comes with a registry that has it too."""
    if loss.function is not None:
        return _with_user_loss(candidate, loss, study.base, registry, task)
    try:
        return registry, registry.find(loss.loss or candidate)
    except InputError as unknown:
        if not loss.loss and isinstance(named := loss.params.get("candidate"), str):
            hint = f'The key of the loss that a candidate tries is loss: write loss = "{named}".'
            raise InputError("unknown key", where=dotted(("losses", candidate, "candidate")), hint=hint) from None
        raise unknown.at(dotted(("losses", candidate, "loss") if loss.loss else ("losses", candidate))) from None


def _with_user_loss(candidate: str, loss: Loss, base: Path, registry: Registry, task: str) -> tuple[Registry, Entry]:
    """Return the user's own function as a loss: as it is declared if it is, else as what the study says of it."""
    where = dotted(("losses", candidate, "function"))
    function = _located(loss.function, base, where)
    try:
        if (spec := spec_of(function)) is None:
            registry = registry.add(_user_loss(function, loss, _free_name(candidate, registry), task))
            return registry, registry.specs()[-1]
        if present := next((entry for entry in registry.specs() if entry.spec == spec), None):
            return registry, present
        registry = registry.add(spec)
    except InputError as mistake:
        raise mistake.at(where) from mistake
    return registry, registry.specs()[-1]


def _located(function: Any, base: Path, where: str) -> Any:
    try:
        return user_code.locate(function, base) if isinstance(function, str) else function
    except InputError as mistake:
        raise type(mistake)(f"{mistake.where}: {mistake.what}", where=where, hint=mistake.hint) from mistake


def _user_loss(function: Any, loss: Loss, name: str, task: str) -> LossSpec:
    """Return the user's own function as a spec. Labels and predictions in their usual form follow from the task."""
    of_task = loss.activation in (None, "identity") or task == "multilabel"
    usual: dict[str, Any] = {"tasks": (task,)} if loss.target is None and of_task else {}
    return wrap(function, name=name, **loss.facts, **usual)


def _check_facts(candidate: str, loss: Loss, spec: LossSpec) -> None:
    """Raise `InputError` where the study says something else of a function than its declaration."""
    declared = {"activation": activations.get(spec.activation).name, "target": spec.target, "outputs": spec.outputs}
    for name, value in loss.facts.items():
        if value != declared[name]:
            what = f"the function is declared with {name} = {shown(declared[name])}, not {shown(value)}"
            raise InputError(what, where=dotted(("losses", candidate, name)), hint="Leave it out.")


def _with_ranges(entry: Entry, space: Mapping[str, Space]) -> Entry:
    """Return the user's own loss with the ranges that the study gives its parameters, where it gives some."""
    params = tuple(_with_range(param, space[param.name]) for param in entry.spec.params)
    return replace(entry, spec=replace(entry.spec, params=params))


def _with_range(param: Param, space: Space) -> Param:
    """Return a parameter whose range holds the study's, and its default."""
    if not isinstance(param, Float) or not isinstance(space, Range):
        return param
    ends = [space.low, space.high, *([] if param.default is None else [param.default])]
    return replace(param, low=min(ends), high=max(ends))


def _free_name(candidate: str, registry: Registry) -> str:
    """Return a name for the loss of a candidate, in snake_case, that no registered loss has."""
    taken = {key(name) for entry in registry.specs() for name in (entry.spec.name, *entry.spec.aliases)}
    name = re.sub(r"\W+", "_", candidate).lower().lstrip("_0123456789") or "own"
    while key(name) in taken:
        name += "_own"
    return name


def _check_task(candidate: str, spec: LossSpec, registry: Registry, task: str) -> None:
    if task not in spec.tasks:
        fitting = ", ".join(entry.spec.name for entry in registry.for_task(task))
        what = f"{spec.name} is for {', '.join(spec.tasks)} tasks, and this task is {task}"
        raise InputError(what, where=dotted(("losses", candidate)), hint=f"Losses that fit: {fitting}.")


def _space(
    candidate: str, params: Mapping[str, Any], spec: LossSpec, n_classes: int
) -> tuple[dict[str, Space], list[InputError]]:
    """Return a search space for every parameter of the loss, and the mistakes of the study in them."""
    space, mistakes = {param.name: declared(param, n_classes) for param in spec.params}, []
    for name, raw in params.items():
        try:
            space[name] = parse(raw, spec.param(name), n_classes)
        except InputError as mistake:
            mistakes.append(mistake.at(dotted(("losses", candidate, name))))
    return space, mistakes


def _with_baseline(chosen: list[Candidate], entry: Entry) -> list[Candidate]:
    """Return the same, with the first plain baseline marked, or one put in front."""
    for i, candidate in enumerate(chosen):
        if _is_plain(candidate, entry.spec.name):
            return [*chosen[:i], replace(candidate, baseline=True), *chosen[i + 1 :]]
    name = _free_candidate(entry.spec.name, {candidate.name for candidate in chosen})
    space = {param.name: Fixed(param.default) for param in entry.spec.params}
    return [Candidate(name, entry.spec, entry, space, baseline=True), *chosen]


def _is_plain(candidate: Candidate, baseline: str) -> bool:
    """Return whether a candidate is the baseline loss, or one declared the same, kept at its defaults."""
    same = key(baseline) in (key(candidate.spec.name), key(candidate.spec.same_as))
    return same and all(candidate.search_space[p.name] == Fixed(p.default) for p in candidate.spec.params)


def _free_candidate(name: str, taken: set[str]) -> str:
    spare = (f"baseline_{i}" for i in range(2, len(taken) + 3))
    return next(candidate for candidate in (name, "baseline", *spare) if candidate not in taken)


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
    given = ("tracking", "storage")
    return _checked({**document, **elsewhere}, (), file="", base=study.base, given=given, rows=study.given)


def _shown(value: Any) -> str:
    return "not set" if value is None else value if isinstance(value, str) else shown(value)
