"""Parameters, tags, metrics and status of a study and of a trial in MLflow, as plain values.

Everything follows from the records alone, timestamps included, so that writing it twice
writes the same thing.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeGuard

from lossreg.reporting import description, usage
from lossreg.storage.confirmation import Confirmed
from lossreg.storage.study_result import StudyResult
from lossreg.storage.trial_record import TrialRecord, finite
from lossreg.storage.verdict import Verdict
from lossreg.terminal import plain_text
from lossreg.terminal.plain_text import printable

NOTE = "mlflow.note.content"
PARENT = "mlflow.parentRunId"
TRIAL = "lossreg.trial"
KEY = "lossreg.key"
NAMES = "lossreg.names"
LONGEST_NAME = 250
LONGEST_PARAM = 6_000
LONGEST_TAG = 8_000
LOSS = "loss"  # the tag of children by which MLflow groups them
BEST = "best_score"
# what the parent has of the model: its trial, and its address
MODEL_TRIAL, MODEL = "lossreg.model_trial", "lossreg.model"
VERSIONS = "lossreg.versions"
VERDICT, RECOMMENDED, CAUSE = "lossreg.verdict", "lossreg.recommended", "lossreg.cause"
COMPARED_ARMS = "lossreg.verdict_difference"
OUTER_FOLDS = "lossreg.outer_folds"
EXPLORATORY, CONSTRAINTS = "lossreg.exploratory", "lossreg.constraints"
# names of the metrics by comparison of the verdict
COMPARED = {"against_baseline": "verdict", "against_tuned_decision": "verdict_tuned"}
MEASURED = ("difference", "low", "high", "share_won")
VERDICT_METRICS = tuple(f"{name}_{field}" for name in COMPARED.values() for field in MEASURED)
CONFIRMED_METRICS = ("confirmed_score", "confirmed_standard_error")
# instead of a verdict that the study has no more
OUTDATED = dict.fromkeys((VERDICT, COMPARED_ARMS, RECOMMENDED, CAUSE, OUTER_FOLDS, EXPLORATORY), "outdated")
STATUS = {"complete": "FINISHED", "diverged": "FINISHED", "failed": "FAILED", "pruned": "KILLED"}


class Point(NamedTuple):
    """One value of a metric: `at` in milliseconds since 1970."""

    name: str
    value: float
    at: int
    step: int


def safe_name(name: str) -> str:
    """Return `name` in the letters that MLflow takes: word characters, dots, dashes, blanks, single slashes.

    Of a long name the end gives way to a digest of the whole, so that it stays another one.
    """
    kept = re.sub(r"/+", "/", re.sub(r"[^\w.\-/ ]", "_", name)).strip("/")
    kept = re.sub(r"(^|/)\.{1,2}(?=/|$)", r"\1_", kept) or "_"
    return kept if len(kept) <= LONGEST_NAME else _with_digest(kept, name)


def _with_digest(kept: str, name: str) -> str:
    digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:8]
    return f"{kept[: LONGEST_NAME - 9]}-{digest}"


def safe_names(names: Iterable[str]) -> dict[str, str]:
    """Return each name as MLflow takes it, all different: where two would be the same, a changed one gets a digest."""
    safe = {name: safe_name(name) for name in names}
    shared = Counter(safe.values())
    return {n: _with_digest(kept, n) if shared[kept] > 1 and kept != n else kept for n, kept in safe.items()}


def name_tags(names: Iterable[str]) -> dict[str, str]:
    """Return tags with the full names that MLflow does not take, as JSON objects by the name in MLflow."""
    parts: list[dict[str, str]] = [{}]
    for full, name in safe_names(names).items():
        if full == name:
            continue
        entry = {name: printable(full)[: LONGEST_TAG // 8]}
        if len(json.dumps({**parts[-1], **entry})) > LONGEST_TAG:
            parts.append({})
        parts[-1] |= entry
    return {f"{NAMES}.{i}" if i > 1 else NAMES: json.dumps(part) for i, part in enumerate(parts, start=1) if part}


def text_of(value: Any) -> str:
    """Return a parameter's value as text: floats to nine significant digits, `7.0` as `7`, always the same way."""
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(text_of, value))}]"
    return str(value)


def milliseconds(seconds: float) -> int:
    """Return POSIX seconds as MLflow's integer milliseconds."""
    return round(seconds * 1000)


def trial_params(trial: TrialRecord) -> dict[str, str]:
    """Return `trial`, `loss` (the candidate), and parameters and learning rate by Optuna name, fixed ones included."""
    return _params(_trial_values(trial))


def _trial_values(trial: TrialRecord) -> dict[str, Any]:
    values: dict[str, Any] = {"trial": trial.number, "loss": trial.candidate, "learning_rate": trial.learning_rate}
    values |= trial.params
    for name, value in trial.loss_params.items():
        full = f"{trial.candidate}.{name}"
        if value is not None and not any(known == full or known.startswith(f"{full}.") for known in values):
            values[full] = value
    return {name: value for name, value in values.items() if value is not None}


def _params(values: Mapping[str, Any]) -> dict[str, str]:
    safe = safe_names(values)
    return {safe[name]: printable(text_of(value))[:LONGEST_PARAM] for name, value in values.items()}


def _tags(values: Mapping[str, str]) -> dict[str, str]:
    return {name: printable(value)[:LONGEST_TAG] for name, value in values.items() if value}


def recipe_tag(trial: TrialRecord) -> str:
    """Return a trial's recipe, or where to find it if it is too long for a tag: half of it would be another loss."""
    recipe = trial.recipe
    return (
        recipe if len(recipe) <= LONGEST_TAG else f"{len(recipe):,} characters: see trial {trial.number} in trials.csv"
    )


def trial_tags(trial: TrialRecord, parent: str) -> dict[str, str]:
    """Return the tags of a child run: its parent, the state of the trial, the line that builds its loss."""
    tags = {
        PARENT: parent,
        TRIAL: str(trial.number),
        LOSS: trial.candidate,
        "lossreg.state": trial.state,
        "lossreg.loss": trial.loss,
        "lossreg.candidate": trial.candidate,
        "lossreg.trainer": trial.trainer,
        "lossreg.epoch": str(trial.epoch),
        "lossreg.get": recipe_tag(trial),
        "lossreg.distribution": trial.distribution,
        "lossreg.version": trial.version,
        "lossreg.reason": trial.reason,
        "lossreg.decision": usage.decision(trial),
        NOTE: _trial_description(trial),
    }
    return _tags(tags) | name_tags(_trial_values(trial))


def _trial_description(trial: TrialRecord) -> str:
    """Return the description of a child run: its recipe, why it ended, and what it was trained with."""
    recipe = recipe_tag(trial) if len(trial.recipe) > LONGEST_TAG // 2 else usage.code_block(trial, description.WIDTH)
    trained = plain_text.markdown(f"Trained with {', '.join(usage.besides(trial))}.")
    return "\n\n".join(filter(None, [recipe, plain_text.markdown(trial.reason), trained]))


def trial_points(trial: TrialRecord, metric: str) -> list[Point]:
    """Return the curves by epoch (`train_loss`, `val_loss`, `train_<metric>`, `val_<metric>`), `score`,
    `default_score` where decisions are tuned, further metrics by name, and `score_std`, how far the members of a trial
    lie apart.

    What is not finite is left out. Epochs are spread evenly between start and end of the trial. The step of what is a
    single number is 0: MLflow draws that as a bar for each run, and any other step as a dot.
    """
    start, span = trial.started, max(trial.ended - trial.started, 0.0)
    points = []
    for curve, values in trial.curves.items():
        name = safe_name(curve.replace("_score", f"_{metric}"))
        for epoch, value in enumerate(values, start=1):
            at = milliseconds(start + span * epoch / len(values))
            if _is_number(value):
                points.append(Point(name, float(value), at, epoch))
    if _is_number(trial.score):
        points.append(Point("score", float(trial.score), milliseconds(trial.ended), 0))
    if _is_number(trial.default_score):
        points.append(Point("default_score", float(trial.default_score), milliseconds(trial.ended), 0))
    for name, value in trial.metrics.items():
        if _is_number(value):
            points.append(Point(safe_name(name), float(value), milliseconds(trial.ended), 0))
    if _is_number(trial.spread):
        points.append(Point("score_std", float(trial.spread), milliseconds(trial.ended), 0))
    return points


def _is_number(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def study_params(result: StudyResult) -> dict[str, str]:
    """Return the study's configuration, nested tables as dotted names."""
    return _params(_study_values(result))


def _study_values(result: StudyResult) -> dict[str, Any]:
    values = {"metric": result.metric, "direction": result.direction, "task": result.task, "baseline": result.baseline}
    values["losses"] = ", ".join(result.losses)
    return {name: value for name, value in {**values, **dict(_flat(result.spec))}.items() if value is not None}


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def study_tags(result: StudyResult, key: str = "") -> dict[str, str]:
    """Return the tags that find and explain the parent run."""
    tags = {
        "lossreg.study": result.study,
        "lossreg.metric": result.metric,
        "lossreg.task": result.task,
        KEY: key,
        NOTE: description.markdown(result, LONGEST_TAG, title=False),
    }
    if result.best:
        tags |= {"lossreg.best_loss": result.best.candidate, "lossreg.best_get": recipe_tag(result.best)}
    if result.recommended:
        tags["lossreg.recommended_get"] = recipe_tag(result.recommended)
    if result.objectives:
        tags["lossreg.pareto"] = ", ".join(str(trial.number) for trial in result.front)
    if result.constraints:
        tags[CONSTRAINTS] = "no verdict"
    if result.verdict:
        tags |= _verdict_tags(result.verdict)
    tags |= {f"{VERSIONS}.{name}": version for name, version in result.versions.items()}
    tags |= {f"lossreg.trials.{state}": str(count) for state, count in result.counts.items()}
    return _tags(tags) | name_tags(_study_values(result))


def model_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return what the tags of a parent say of its model."""
    return {name: tags[name] for name in (MODEL_TRIAL, MODEL) if name in tags}


def model_of(tags: Mapping[str, str]) -> dict[str, Any]:
    """Return what a study's `tracking` has of the parent's model, its address and its trial; nothing without one."""
    return {"model": tags[MODEL], "model_trial": int(tags[MODEL_TRIAL])} if tags.keys() >= {MODEL, MODEL_TRIAL} else {}


def confirmed_points(result: StudyResult) -> dict[int, list[Point]]:
    """Return `confirmed_score` and `confirmed_standard_error` of each trial by number, NaN where not confirmed."""
    last = result.confirmation.ended if result.confirmation else max((one.ended for one in result.trials), default=0.0)
    at = milliseconds(last)

    def points(confirmed: Confirmed | None) -> list[Point]:
        values = (confirmed.mean, confirmed.error) if confirmed else (None, None)
        pairs = zip(CONFIRMED_METRICS, values, strict=True)
        return [Point(name, value if _is_number(value) else math.nan, at, 0) for name, value in pairs]

    return {trial.number: points(result.confirmed(trial)) for trial in result.trials}


def _verdict_tags(verdict: Verdict) -> dict[str, str]:
    """Return the answer, what is subtracted, the recommended candidate, the cause (or `none`) and the outer folds.

    The last is what was changed after the first look at the test rows, `none` where nothing was.
    """
    return {
        VERDICT: verdict.answer.value,
        COMPARED_ARMS: " minus ".join(verdict.sides),
        RECOMMENDED: verdict.recommended.candidate,
        CAUSE: verdict.cause.value if verdict.cause else "none",
        OUTER_FOLDS: str(verdict.outer),
        **({CONSTRAINTS: _constraints(verdict)} if verdict.constraints else {}),
        EXPLORATORY: ", ".join(verdict.changed or ("trials",) * verdict.exploratory) or "none",
    }


def _constraints(verdict: Verdict) -> str:
    """Return whether the recommended arm keeps each constraint on the test rows: `recall >= 0.9: kept`."""
    is_winner = verdict.recommended.trial == verdict.winner.trial
    parts = []
    for one in verdict.constraints:
        value = (one.winner if is_winner else one.baseline).tested
        known = "not known" if value is None else "kept" if one.constraint.is_kept(value.mean) else "violated"
        parts.append(f"{one.constraint.short}: {known}")
    return ", ".join(parts)


def verdict_points(result: StudyResult) -> list[Point]:
    """Return difference, 95% interval and share of repeats won, NaN where there is none."""
    verdict = result.verdict
    at = milliseconds(max((trial.ended for trial in result.trials), default=0.0))
    compared = {name: getattr(verdict, comparison, None) for comparison, name in COMPARED.items()}
    values = {f"{name}_{field}": getattr(one, field, math.nan) for name, one in compared.items() for field in MEASURED}
    return [Point(name, value if _is_number(value) else math.nan, at, 0) for name, value in values.items()]


def best_points(result: StudyResult, lost: Collection[int] = (), *, is_over: bool = False) -> list[Point]:
    """Return `best_score` with step = trial number: the best of all trials up to that number.

    Unless the run of the study `is_over`, only trials with no unfinished one before them count; `lost` are the
    numbers of those that were cut off and will never end.
    """
    trials = sorted(result.trials, key=lambda trial: trial.number)
    numbers = [trial.number for trial in trials]
    ended = {*lost, *numbers}
    first_unended = math.inf if is_over else next(number for number in itertools.count() if number not in ended)
    latest = dict(zip(numbers, itertools.accumulate((milliseconds(trial.ended) for trial in trials), max), strict=True))
    return [
        Point(BEST, best, latest[trial.number], trial.number)
        for trial, best in result.best_so_far()
        if trial.number < first_unended
    ]


def loss_points(result: StudyResult, curve: Sequence[Point], *, is_over: bool = False) -> list[Point]:
    """Return `best_score/LOSS` at steps of `curve`, which is `best_points`: the best of that loss's trials up to each.

    In the end each goes on to the last step. A loss with a single trial has none: MLflow draws it as a lonely dot.
    """
    at = {point.step: point.at for point in curve}
    names = safe_names(f"{BEST}/{candidate}" for candidate in result.losses)
    points = []
    for candidate in result.losses if len(result.losses) > 1 else ():
        own = replace(result, trials=[trial for trial in result.trials if trial.candidate == candidate])
        best = {trial.number: value for trial, value in own.best_so_far() if trial.number in at}
        if len(best) > 1:
            last = {max(at): [*best.values()][-1]} if is_over else {}
            name = names[f"{BEST}/{candidate}"]
            points += [Point(name, value, at[step], step) for step, value in {**best, **last}.items()]
    return points


def datasets(data: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the splits of a data set that have rows, as `dataset`, by MLflow's context: train, validation, test."""
    rows = data.get("rows")
    splits = [split for split, count in rows.items() if count] if isinstance(rows, Mapping) else []
    return {split: dataset(data, split) for split in splits} or {"tuning": dataset(data)}


def dataset(data: Mapping[str, Any], split: str = "") -> dict[str, str]:
    """Return name, digest, source and profile of a data set, or of a split, for MLflow's entity; no rows are read."""
    source = printable(str(data.get("source", "")))
    count = {"num_rows": data["rows"][split]} if split else {}
    profile = json.dumps(finite({**count, **data}), sort_keys=True, default=str)
    digest = str(data.get("digest") or hashlib.sha256(profile.encode()).hexdigest()[:8])
    return {
        "name": printable(str(data.get("name") or source or "data"))[:500],
        "digest": f"{digest[:24]}-{split}" if split else digest[:36],
        "source_type": "lossreg",
        "source": json.dumps({"uri": source})[:60_000],
        "profile": profile[:1_000_000],
    }


def run_name(trial: TrialRecord) -> str:
    """Return the name of a child run: loss, score or state, parameters, such as `focal 0.953 gamma=1.9`.

    Vectors are left out; where no parameter is left it is the learning rate, `mse 0.31 lr=0.0021`.
    """
    score = trial.finite_score
    reached = trial.state if score is None else f"{score:.{_decimals(score)}f}"
    values = {name: value for name, value in trial.loss_params.items() if isinstance(value, (int, float, str))}
    values = values or {"lr": trial.learning_rate}
    params = (f"{name}={f'{value:.3g}' if isinstance(value, float) else value}" for name, value in values.items())
    return printable(" ".join([trial.candidate, reached, *params]))[:LONGEST_NAME]


def _decimals(score: float) -> int:
    """Return the decimals of a score in a name: the same for scores of one size."""
    size = abs(score)
    return 5 if size < 0.1 else 3 if size < 100 else 1
