"""The attributes of a study in Optuna's storage: what it began with, and a summary of its runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial

from lossreg.config import study as studies
from lossreg.config.study import StudySpec
from lossreg.reporting.last_runs import key_of
from lossreg.runtime import versions
from lossreg.search import budget, frozen, history
from lossreg.search.resumption import CALLBACKS_CODE, METRIC_CODE, START_DIGEST
from lossreg.storage import identity, pareto
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trials import ATTRIBUTE, has_score
from lossreg.terminal.masking import masked_values

if TYPE_CHECKING:
    from lossreg.search.preparation import Prepared

CHANGES = "changes"  # key of the changes that were allowed, each with the number of trials before it


def initial(prepared: Prepared, lanes: int, openings: int = 0) -> dict[str, Any]:
    """Return the attributes of a study that begins; openings: of its test rows, by a former run."""
    data, objectives = prepared.problem.dataset, pareto.of(prepared.objectives)
    return {
        "id": identity.new(),
        "started": time.time(),
        "file": Path(prepared.spec.origin).name,
        "versions": versions.installed(distribution for distribution, _ in prepared.provenance.values()),
        "metric": prepared.metric.name,
        "direction": prepared.metric.direction,
        **({METRIC_CODE: code} if (code := prepared.metric_code) else {}),
        **({CALLBACKS_CODE: code} if (code := prepared.callbacks_code) else {}),
        **({START_DIGEST: digest} if (digest := prepared.problem.builder.digest) else {}),
        **({history.CONSTRAINTS: [asdict(one) for one in prepared.constraints]} if prepared.constraints else {}),
        **({history.OBJECTIVES: [asdict(one) for one in objectives]} if objectives else {}),
        "task": data.task,
        "baseline": prepared.baseline,
        "data": data.summary() | {"slugs": dict(zip(data.slugs, data.classes, strict=True))},
        **_definition(prepared),
        "lanes": lanes,
        budget.FIRST: prepared.trials,
        frozen.TESTED: data.rows.tested,
        frozen.BEFORE: openings,
        history.OVER: -1,
        "seconds": {},
        "tracking": {},
        "trainer": {},
        "notes": [],
    }


def _definition(prepared: Prepared) -> dict[str, Any]:
    """Return what a study is: its document and how that came about, its losses and what is searched."""
    spec = prepared.spec
    return {
        "spec": spec.document(),
        "overrides": list(spec.overrides),
        "is_shared": spec.is_shared,
        "fingerprint": studies.fingerprint(spec),
        "losses": {name: candidate.spec.name for name, candidate in prepared.candidates.items()},
        "provenance": {name: list(origin) for name, origin in prepared.provenance.items()},
        "spaces": prepared.spaces,
        "shapes": prepared.architecture_spaces,
    }


def note_overrides(study: optuna.Study, spec: StudySpec) -> None:
    """Note what `--set` was given for this run if the last one was given something else."""
    begun, document = study.user_attrs[ATTRIBUTE], spec.document()
    given = [
        one
        for one in spec.overrides
        # a run sets keys by itself, to what the study has already
        if one in begun.get("overrides", ()) or _at(document, key_of(one)) != _at(begun["spec"], key_of(one))
    ]
    if given != history.overrides(study):
        study.set_user_attr(history.OVERRIDES, given)


def _at(document: Mapping[str, Any], key: str) -> Any:
    """Return the value of a key such as `search.trials`; None where there is none."""
    value: Any = document
    for part in key.split("."):
        value = value.get(part.strip()) if isinstance(value, Mapping) else None
    return value


def of_trial(attributes: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return the attributes of a study as they were when a trial was begun."""
    later = (change for change in attributes.get(CHANGES, ()) if number < change["trials"])
    return {**attributes, **next((change["before"] for change in later), {})}


def first_trial(attributes: Mapping[str, Any]) -> int:
    """Return the number of the first trial since the study changed last."""
    stages = attributes.get(CHANGES)
    return stages[-1]["trials"] if stages else 0


def is_finished(study: optuna.Study | None, trials: int, counts: Callable[[FrozenTrial], bool] = has_score) -> bool:
    """Return whether no trial is left to run; counts: says which trials have ended and use up the budget."""
    return study is not None and sum(map(counts, study.get_trials(deepcopy=False))) >= trials


def write_summary(study: optuna.Study, result: StudyResult, completion: Mapping[str, Any]) -> None:
    """Write the results of a study's runs; completion is the note of a study of which nothing is left to do."""
    names = ("seconds", "trainer", "tracking", "notes", "failure")
    verdict = {"verdict": result.verdict.stored() if result.verdict else None}
    summary = {name: getattr(result, name) for name in names} | verdict | dict(completion)
    note(study, **summary)


def note(study: optuna.Study, **values: Any) -> None:
    """Write some of a study's attributes, without secrets."""
    study.set_user_attr(ATTRIBUTE, {**study.user_attrs[ATTRIBUTE], **masked_values(values)})


def trainers(result: StudyResult) -> dict[str, Any]:
    """Return the numbers of trials by trainer, and why some were not trained in a population."""
    count = Counter(trial.trainer for trial in result.trials)
    reasons = sorted({trial.refusal for trial in result.trials if trial.refusal})
    return {"population": count["population"], "fit": count["fit"], "reasons": reasons}
