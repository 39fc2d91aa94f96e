"""The `Outline` of a study: what `tune` would do, shown beforehand by `lossreg tune --dry-run`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lossreg.config import changes
from lossreg.config import study as studies
from lossreg.config.candidates import Candidate
from lossreg.config.schema import Data
from lossreg.config.search_space import shown
from lossreg.errors import count_of
from lossreg.reporting import report
from lossreg.runtime import backend
from lossreg.search import confirming, fresh_scores, history, notes, optuna_samplers, sizing, tracked
from lossreg.search import more as added
from lossreg.search.history import StudyLike
from lossreg.search.resumption import Changes, KeptApartError
from lossreg.storage import shared_study
from lossreg.terminal.masking import masked

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared

READ_WITH = (
    "drop", "preprocess", "image_size", "image_channels", "drop_unreadable", "encoding", "decimal", "thousands",
    "na_values", "drop_unlabelled", "positive", "sheet",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outline:
    """A study before it is run.

    rows has, by loss, candidate, registered name, distribution and `{parameter: space}`; architectures is what is
    searched of batch size and model; asked is what else the study sets; refused maps a candidate to why it
    goes to `model.fit`.
    """

    study: str
    task: str
    metric: str
    direction: str
    data: dict[str, Any]
    rows: list[tuple[str, str, str, dict[str, str]]]
    baseline: str
    learning_rate: str
    trials: int
    done: int
    epochs: int
    lanes: int
    blocks: int
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    optimizer: str = ""
    schedule: str = ""
    architectures: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)


def plan(
    study: StudyLike, overrides: Sequence[str] = (), *, allow_changed: bool = False, data: Any = None,
    more: int | None = None,
) -> Outline:  # fmt: skip
    """Return what `tune` would do; nothing is written. Raises `InputError` as `tune` would."""
    from lossreg.search import preparation

    spec = studies.of(study, overrides, data)
    backend.check()
    optuna_samplers.maker(spec.search.sampler, spec.place(optuna_samplers.KEY))
    tracked.uri(spec)
    folder = shared_study.of(spec)
    if allow_changed:
        folder.require_journal(*changes.ALLOW)
    spec = added.extended(spec, folder, more)
    begun = folder.peek()
    new = added.note(begun, spec, more)
    try:
        prepared = preparation.prepare(spec, Changes.of_file(spec, begun, allowed=allow_changed))
    except KeptApartError as kept:
        added.require_kept(more)
        begun, new = None, [*new, *(f"the former trials are kept apart: {change.described}" for change in kept.changes)]
        prepared = preparation.prepare(spec)
    added.require_searched(more, is_searched=prepared.is_searched)
    stored = prepared.begun.stored if prepared.begun else {}
    new += [f"later trials only: {change.described}" for change in prepared.begun.accepted] if prepared.begun else []
    done = len(history.records(begun)) if begun else 0
    before = 0 if spec.storage.url else sizing.kept(prepared, stored.get("lanes", 0))
    lanes = before or sizing.lanes(prepared, sizing.lane_bytes(prepared))
    return _outlined(prepared, done, lanes, new, has_confirmed=fresh_scores.are_kept(begun))


def _outlined(prepared: Prepared, done: int, lanes: int, new: Sequence[str], *, has_confirmed: bool) -> Outline:
    spec, dataset = prepared.spec, prepared.problem.dataset
    pool = sizing.pool(prepared, lanes)
    try:
        return Outline(
            study=spec.name, task=dataset.task, metric=prepared.metric.name, direction=prepared.metric.direction,
            data=dataset.summary(), rows=_rows(prepared), baseline=prepared.baseline,
            learning_rate=prepared.proposer.rate.describe(), trials=prepared.trials, done=done,
            epochs=spec.train.epochs, lanes=lanes, blocks=sizing.blocks(pool), refused=sizing.refused(prepared, pool),
            notes=[*new, *notes.of_study(prepared, lanes)], optimizer=spec.train.optimizer.describe(),
            schedule=spec.train.schedule.describe() if spec.train.schedule else "",
            architectures=prepared.architecture_spaces,
            asked={**_further_keys(prepared), "confirmed": _confirmed(prepared, has_confirmed=has_confirmed)},
        )  # fmt: skip
    finally:
        pool.shutdown()


def _confirmed(prepared: Prepared, *, has_confirmed: bool) -> str:
    """Return about how many settings are trained again, and on how many splits; has_confirmed: some were before."""
    splits, losses, trials = prepared.spec.search.confirm, len(prepared.candidates), prepared.trials
    if not splits:
        return "nothing: search.confirm = 0"
    settings = min(trials, losses * confirming.settings(losses, trials))
    best = "the best setting" if settings == 1 else f"the best {settings} settings"
    before = ", without those that were done before" if has_confirmed else ""
    return f"{best}, on {count_of(splits, 'fresh split')}: {count_of(settings * splits, 'training')}{before}"


def _rows(prepared: Prepared) -> list[tuple[str, str, str, dict[str, str]]]:
    return [
        (name, candidate.spec.name, _origin(candidate), prepared.spaces[name])
        for name, candidate in prepared.candidates.items()
    ]


def _origin(candidate: Candidate) -> str:
    entry = candidate.entry
    return " ".join(filter(None, (entry.distribution, entry.version))) or entry.plugin


def _further_keys(prepared: Prepared) -> dict[str, str]:
    """Return what a study sets besides data, metric, losses and ranges, in words, and nothing of its defaults."""
    spec = prepared.spec
    data, train, search, stop = spec.data, spec.train, spec.search, spec.train.early_stopping
    values = {
        "model": spec.model.start or (spec.model.reference if spec.model.build != "mlp" else ""),
        "a trial": report.members(spec.document()),
        "columns": ", ".join(f"{name} {kind}" for name, kind in data.columns.items()),
        "read with": ", ".join(_reading(data)),
        "test rows": data.test if isinstance(data.test, str) else "",
        "validation rows": data.validation if isinstance(data.validation, str) else "",
        "groups": data.group or "",
        "forward in time": data.time or "",
        "parts": data.split or "",
        "exposure": f"log({data.exposure}) is added to the raw score" if data.exposure else "",
        "row weights": data.weight or "",
        "class weights": shown(train.class_weight) if train.class_weight else "",
        "callbacks": train.model_dump(mode="json").get("callbacks", ""),
        "early stopping": f"after {count_of(stop.patience, 'epoch')} without a better score" if stop else "",
        "storage": f"{masked(spec.storage.url)}, which all workers share" if spec.storage.url else "",
        "decision": "tuned" if search.decision == "tuned" else "",
        "sampler": search.sampler if search.sampler != "tpe" else "",
        "also": ", ".join(f"{one.name}, {report.arrow(one.direction)}" for one in prepared.objectives[1:]),
        "constraints": ", ".join(constraint.short for constraint in prepared.constraints),
        "pruner": search.pruner if search.pruner != "none" else "",
    }
    return {name: value for name, value in values.items() if value}


def _reading(data: Data) -> Iterator[str]:
    """Yield the keys of a study's data that say how these are read, each with its value."""
    for name in READ_WITH:
        value = getattr(data, name)
        if value != Data.model_fields[name].default:
            yield f"{name} {shown(value)}"
