"""Checks of a resumed study: its losses are still installed, and what has changed of it since it began.

Changes are refused, each with its reason, unless they are allowed; a change that only concerns later trials is
then `accepted`, and one that makes scores incomparable raises `KeptApartError`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from lossreg.config import changes
from lossreg.config import study as studies
from lossreg.config.candidates import Candidate, candidates_of
from lossreg.config.changes import Change, Effect
from lossreg.config.search_space import Space
from lossreg.config.study import StudySpec
from lossreg.contract.data_options import GIVEN
from lossreg.errors import InputError, UnknownError
from lossreg.metrics import catalogue, functions
from lossreg.registry import registry
from lossreg.registry.registry import Registry
from lossreg.runtime import start_files
from lossreg.runtime.user_code import is_function
from lossreg.search import choices
from lossreg.search.architectures import OR
from lossreg.storage.trials import ATTRIBUTE
from lossreg.terminal.caller import words

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from lossreg.search.preparation import Prepared


SAME = ": every worker needs the same file"
SCALE = "Optuna keeps the scale of a parameter"
# key of the candidates that a study no longer has, each with its marks in the fingerprint
LEFT_OUT = "left_out"
# key of a mark of the code of a metric of the user's own
METRIC_CODE = "metric_code"
# key of a mark of the code of the user's own callbacks
CALLBACKS_CODE = "callbacks_code"
# key of a mark of the saved model that trials begin from
START_DIGEST = "start"


def missing(spec: StudySpec, installed: Registry, stored: Mapping[str, Any]) -> dict[str, str]:
    """Return the candidates of a study whose loss is no longer installed, and where each came from, in words."""
    origins = {}
    for candidate, loss in stored.get("losses", {}).items():
        if spec.losses and candidate not in spec.losses:
            continue
        distribution, version = stored["provenance"].get(candidate) or ("", "")
        if distribution and installed.look_up(loss) is None:
            origins[candidate] = f"{distribution} {version}, {_state_of(installed, distribution)}"
    return origins


def _state_of(installed: Registry, distribution: str) -> str:
    reports = [report for report in installed.plugins if report.distribution == distribution]
    refused = next((report.error for report in reports if report.error), "")
    if refused:
        return f"which is refused: {refused}"
    return f"which is installed as {reports[0].version} and lacks it" if reports else "which is not installed"


def require_installed(spec: StudySpec, origins: Mapping[str, str]) -> None:
    """Raise `InputError` for losses that are missing, unless the study is to go on without them."""
    if origins and not spec.plugins.skip_missing:
        what = "; ".join(f"the loss {candidate} came from {origin}" for candidate, origin in origins.items())
        way = words("--set plugins.skip_missing=true", '["plugins.skip_missing=true"] as overrides')
        raise UnknownError(what, where=spec.place(), hint=f"Install it, or go on without: {way}.")


class KeptApartError(Exception):
    """A study changed so that its trials cannot be compared with later ones, which a new run is to have."""

    def __init__(self, accepted: Iterable[Change]) -> None:
        super().__init__()
        self.changes = tuple(accepted)


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of a study since it began, and whether they are allowed.

    stored: the attributes that it has; trials: those that it has.
    """

    spec: StudySpec
    stored: Mapping[str, Any]
    allowed: bool = False
    trials: Sequence[FrozenTrial] = ()
    accepted: tuple[Change, ...] = ()

    @classmethod
    def of_file(cls, spec: StudySpec, study: optuna.Study | None, *, allowed: bool = False) -> Self:
        """Return those of the study file, none of a new study; raises what `adding` raises."""
        if study is None:
            return cls(spec, {}, allowed)
        begun = cls(
            spec, with_present_start(study.user_attrs[ATTRIBUTE], spec), allowed, study.get_trials(deepcopy=False)
        )
        marks = _marks_left_out(begun.stored)
        fingerprint = begun.stored["fingerprint"]
        now = studies.fingerprint(studies.with_begun_model(spec, fingerprint))
        differences = changes.of(fingerprint, now, marks)
        if not differences:
            return begun
        spaces = _spaces(spec, _known_candidates(spec, begun.stored))
        alike = (_is_same_metric, _is_same_positive)
        differences = [change for change in differences if not any(same(change, spec, begun.stored) for same in alike)]
        return begun.adding(_with_scales(differences, choices.rescaled(spaces, choices.of_trials(begun.trials))))

    def of_prepared(self, prepared: Prepared, *, scores: bool = True) -> Self:
        """Return these and those of data, losses and search spaces; raises `InputError` or `KeptApartError`.

        scores: whether anything is to be scored, so that the code of the metric counts.
        """
        if not self.stored:
            return self
        known = {change.key.rpartition(".")[0] for change in self.accepted}
        differences = [
            *_changes_of_data(prepared, self.stored),
            *(_changes_of_code(prepared, self.stored) if scores else ()),
            *_changes_of_losses(prepared, self.stored, known),
            *_changes_of_models(prepared, self.stored, known),
            *_changes_of_start(prepared, self.stored),
        ]
        return self.adding([*differences, *(self._changes_of_scale(prepared) if differences or self.accepted else ())])

    def _changes_of_scale(self, prepared: Prepared) -> list[Change]:
        asked = choices.by_name(choices.asked(prepared.proposer))
        return [_of_scale(name) for name in choices.unlike(choices.of_trials(self.trials), asked)]

    def adding(self, differences: Iterable[Change]) -> Self:
        """Return these with others.

        Raises `InputError` unless they are allowed, `KeptApartError` where trials are to be kept apart.
        """
        added = replace(self, accepted=(*self.accepted, *differences))
        if added.accepted and not self.allowed:
            raise changes.refusal(added.accepted, self.spec)
        if any(change.effect == Effect.APART for change in added.accepted):
            raise KeptApartError(added.accepted)
        return added


def left_out(prepared: Prepared) -> dict[str, str]:
    """Return the candidates that a study has trials of and no longer tries, and where each was, in words."""
    begun = prepared.begun.stored.get("losses", {}) if prepared.begun else {}
    untried = (candidate for candidate in begun if candidate not in prepared.candidates)
    return dict.fromkeys(untried, "an earlier state of the study")


def _is_same_metric(change: Change, spec: StudySpec, stored: Mapping[str, Any]) -> bool:
    """Return whether a study now names the metric that it had by default, or no longer names the default."""
    name = spec.search.metric or catalogue.default(stored["task"])
    if change.key != "search.metric" or not isinstance(name, str) or is_function(name):
        return False
    return bool(catalogue.resolve(name, stored["task"]).name == stored["metric"])


def positive_class(stored: Mapping[str, Any]) -> str | None:
    """Return the positive class of a binary study that has begun, None of others."""
    classes = list(stored.get("data", {}).get("classes") or ())
    return classes[1] if stored.get("task") == "binary" and len(classes) == 2 else None


def _is_same_positive(change: Change, spec: StudySpec, stored: Mapping[str, Any]) -> bool:
    """Return whether a study now names the positive class that it had, or no longer names it."""
    if change.key != "data.positive":
        return False
    asked, former = spec.data.positive, positive_class(stored)
    return asked is None or (former is not None and str(asked).strip() == former)


def _marks_left_out(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {key: mark for marks in stored.get(LEFT_OUT, {}).values() for key, mark in marks.items()}


def _known_candidates(spec: StudySpec, attributes: Mapping[str, Any]) -> list[Candidate]:
    """Return the candidates of a study that has changed, none where its task has.

    Raises `InputError` for an unknown metric, loss or parameter: more likely a slip than another study.
    """
    task, data = attributes["task"], attributes["data"]
    if spec.data.task not in ("auto", task):
        return []
    _require_known_metrics(spec, task)
    known = registry.default(tuple(spec.plugins.block))
    missing = [candidate for candidate, name in attributes["losses"].items() if known.look_up(name) is None]
    return candidates_of(spec, known, task, len(data.get("classes") or ()), missing)


def _require_known_metrics(spec: StudySpec, task: str) -> None:
    search = spec.search
    asked = [("search.metric", search.metric), *(("search.metrics", name) for name in search.metrics)]
    asked += [(f"search.constraints.{name}", name) for name in search.constraints]
    for key, name in asked:
        try:
            if isinstance(name, str) and not is_function(name):
                catalogue.resolve(name, task, may_be_left_out=key == "search.metric")
        except InputError as error:
            raise error.at(spec.place(key)) from None


def _spaces(spec: StudySpec, candidates: Iterable[Candidate]) -> dict[str, Space]:
    """Return the search spaces of a study file's losses and learning rate, by key."""
    of_losses = {
        f"losses.{candidate.name}.{name}": space
        for candidate in candidates
        for name, space in candidate.search_space.items()
    }
    return {"train.learning_rate": spec.train.learning_rate, **of_losses}


def _with_scales(differences: Iterable[Change], rescaled: Collection[str]) -> list[Change]:
    """Return the changes, those of the keys that are `rescaled` as changes of scale."""
    by_key = {change.key: change for change in differences}
    return list({**by_key, **{key: _of_scale(key, by_key.get(key)) for key in rescaled}}.values())


def _of_scale(name: str, change: Change | None = None) -> Change:
    """Return the change of a parameter's scale; change: the same as a change of the study file, if there is one."""
    return Change(change.what if change else f"the scale of {name}", Effect.APART, SCALE, name)


def _changes_of_data(prepared: Prepared, stored: Mapping[str, Any]) -> list[Change]:
    before, now = stored["data"].get("digest"), prepared.problem.dataset.digest
    source = prepared.spec.data.source
    # a function has no file that could be another one here
    same = SAME if prepared.spec.storage.url and ":" not in source else ""
    rows = "the rows that are given" if source == GIVEN else f"the data of {source}"
    what = f"{rows} (digest {before} -> {now}), or how they are read{same}"
    return [Change(what, *changes.effect_of("data"))] if before != now else []


def _changes_of_code(prepared: Prepared, stored: Mapping[str, Any]) -> list[Change]:
    """Return the changes of the code of a metric and of callbacks of the user's own; up to 0.2.0 none was noted."""
    metric, callbacks = f"the metric {prepared.metric.name}", "the callbacks"
    return [
        Change(f"the code of {what}", *changes.effect_of(key))
        for what, key, mark, now in (
            (metric, "search.metric", METRIC_CODE, prepared.metric_code),
            (callbacks, "train.callbacks", CALLBACKS_CODE, prepared.callbacks_code),
        )
        if functions.has_changed(stored.get(mark, ""), now)
    ]


def _changes_of_start(prepared: Prepared, stored: Mapping[str, Any]) -> list[Change]:
    """Return the change of the saved model that trials begin from, under the same name."""
    before, now, spec = stored.get(START_DIGEST, ""), prepared.problem.builder.digest, prepared.spec
    if before == now or stored["fingerprint"].get("model.start") != spec.model.start:
        return []
    what = f"the model in {spec.model.start} (digest {before} -> {now}){SAME if spec.storage.url else ''}"
    return [Change(what, *changes.effect_of("model.start"))]


def with_present_start(stored: Mapping[str, Any], spec: StudySpec) -> Mapping[str, Any]:
    """Return the attributes of a study with the present path of the saved model, where that has the same content."""
    start, marks = spec.model.start, stored["fingerprint"]
    if not start or marks.get("model.start") in (None, start):
        return stored
    with suppress(InputError, OSError):
        if start_files.digest(start_files.read(start, spec.base)) == stored.get(START_DIGEST):
            document = {**stored["spec"], "model": {**stored["spec"]["model"], "start": start}}
            return {**stored, "fingerprint": {**marks, "model.start": start}, "spec": document}
    return stored


def _changes_of_models(prepared: Prepared, stored: Mapping[str, Any], known: Iterable[str]) -> list[Change]:
    begun, now = stored.get("shapes", prepared.architecture_spaces), prepared.architecture_spaces
    if _is_as_begun(begun, now) or not {"model", "train"}.isdisjoint(known):
        return []
    return [Change("what is searched of the model", *changes.effect_of("model"))]


def _is_as_begun(begun: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Return whether the same is searched of the model; up to 0.3.0 one way to declare a hyperparameter was stored."""
    return begun in (now, {name: text.partition(OR)[0] for name, text in now.items()})


def _changes_of_losses(prepared: Prepared, stored: Mapping[str, Any], known: Iterable[str]) -> list[Change]:
    """Return the changes of candidates that are not reported as changes of the file."""
    differences = _changes_of_identity(prepared, stored)
    begun = {candidate: _renamed(spaces) for candidate, spaces in stored["spaces"].items()}
    # a change that is reported by its key in the file needs no second line
    reported = {*prepared.missing, *stored.get(LEFT_OUT, ()), *(key.partition(".")[2] for key in known)}
    for candidate in [candidate for candidate in {**begun, **prepared.spaces} if candidate not in reported]:
        if candidate not in prepared.spaces:
            origin = " ".join(stored["provenance"].get(candidate, ())) or "the study"
            what = f"the loss {candidate} is missing (it came from {origin})"
            differences.append(Change(what, Effect.LATER, "later trials are of the others"))
        elif begun.get(candidate) != prepared.spaces[candidate]:
            differences.append(Change(f"the ranges of {candidate}", *changes.effect_of("losses")))
    return differences


def _changes_of_identity(prepared: Prepared, stored: Mapping[str, Any]) -> list[Change]:
    """Return the candidates that are another loss now, and the change of the baseline."""
    begun, known = stored["losses"], registry.default(tuple(prepared.spec.plugins.block))
    differences = []
    for name, candidate in prepared.candidates.items():
        entry = known.look_up(begun[name]) if name in begun and candidate.entry.distribution else None
        if entry and entry.spec.name != candidate.spec.name:
            what = f"losses.{name}.loss: {begun[name]} -> {candidate.spec.name}"
            differences.append(Change(what, Effect.APART, changes.ANOTHER_LOSS))
    if stored["baseline"] != prepared.baseline:
        what = f"the baseline: {stored['baseline']} -> {prepared.baseline}"
        differences.append(Change(what, Effect.APART, "losses are compared with another one"))
    return differences


def _renamed(spaces: Mapping[str, str]) -> dict[str, str]:
    """Return search spaces in the words of this version; up to 0.2.0 they had `one a class`."""
    return {name: text.replace("one a class", "one per class") for name, text in spaces.items()}
