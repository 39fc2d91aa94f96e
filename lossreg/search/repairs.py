"""Repair of a damaged journal: lines that are not whole are left out, and trials keep their numbers.

`lossreg.storage.creations` replaces missing creations of trials. A finished trial that lost a line on which its
result rests is marked as failed.
"""

from __future__ import annotations

import math
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState

from lossreg.config import study as studies
from lossreg.errors import InputError, count_of, on_disk, one_line
from lossreg.search.history import OBJECTIVES, StudyLike, UnreadableError, kept_records
from lossreg.storage import lines, shared_study
from lossreg.storage.creations import numbered
from lossreg.storage.journal_keys import TOLD, current, study_fault, trial_fault
from lossreg.storage.lines import Line
from lossreg.storage.study_folder import FRESH
from lossreg.storage.trials import ATTRIBUTE, RETRY_OF, START, TrialValue
from lossreg.terminal.caller import words

MOST_STRAY = 5  # lines of another session among those of one
MOST_TOLD = 20
TWICE, STRAY, UNCONFIRMED = "it is there twice", "it is of another study", "no record confirms it"


@dataclass(slots=True)
class Repaired:
    """A journal that Optuna can read: its text, lines of the damaged one that were left out, and affected trials."""

    text: bytes
    left_out: list[Line] = field(default_factory=list)
    affected: dict[int, str] = field(default_factory=dict)
    lost_start: bool = False

    @property
    def is_whole(self) -> bool:
        """True if nothing had to be done."""
        return not self.left_out and not self.affected and not self.lost_start


@dataclass(slots=True)
class Report:
    """The repair of a study: its journal, the files moved aside with their trials, and the folder where they are."""

    study: str
    journal: Repaired
    files: dict[Path, int]
    aside: Path | None = None

    @property
    def is_whole(self) -> bool:
        """True if nothing had to be done."""
        return self.journal.is_whole and not self.files


def repair(study: StudyLike) -> Report:
    """Make a study's journal readable for Optuna, and move files that cannot be read aside; leave a whole study alone.

    study is a file, a table of its sections or a `StudySpec`. The damaged journal is kept. Raises
    `InputError` for a study that was never run, that another process runs, or of whose journal nothing is left.
    """
    spec = studies.of(study)
    folder = shared_study.of(spec)
    folder.require_journal("lossreg repair", "lossreg.repair")
    folder.require_begun()
    with folder.lock():
        with on_disk(folder.journal):
            text = folder.journal.read_bytes()
        try:
            report = Report(folder.name, repaired(text, folder.name), folder.damaged())
        except InputError as error:
            raise error.at(str(folder.journal)) from error
        if report.journal.text != text or report.files:
            with on_disk(folder.path):
                changed = report.journal.text if report.journal.text != text else b""
                report.aside = folder.set_aside(report.files, changed)
        return report


def lines_of(report: Report, study: str) -> list[str]:
    """Return what was found and done, in lines; study: its file."""
    journal = report.journal
    if report.is_whole:
        return [f"study {report.study} is whole: nothing was written"]
    sentences = [
        f"line {line.number} of the journal is left out: {line.fault}" for line in journal.left_out[:MOST_TOLD]
    ]
    if (more := len(journal.left_out) - MOST_TOLD) > 0:
        sentences.append(f"{count_of(more, 'more line is', 'more lines are')} left out")
    sentences += [f"trial {number}: {what}" for number, what in sorted(journal.affected.items())]
    sentences += [
        f"{file.name} is damaged and was moved aside{_lost_model(number)}" for file, number in report.files.items()
    ]
    if journal.lost_start:
        tune = words("lossreg tune", "lossreg.tune")
        sentences.append(f"what the study began with is lost: `{tune}` takes the study and its data as they are now")
    if report.aside:
        sentences.append(f"what was damaged is kept in {report.aside}")
    return [*sentences, f"Go on with: lossreg tune {shlex.quote(study)}"]


def _lost_model(number: int) -> str:
    """Return the consequence for the trial of a file, where that is known."""
    return f", so trial {number} has no model" if number >= 0 else ""


def repaired(text: bytes, name: str) -> Repaired:
    """Return all that can be saved of the journal of the study of that name; raises `InputError` if that is nothing."""
    all_lines = lines.read(text)
    _drop_doubles(all_lines)
    _drop_strays(all_lines, name)
    _drop_odd_parameters(all_lines)
    before = [line for line in all_lines if not line.fault]
    remaining = numbered(_begun(before, name))
    outcome = Repaired(b"")
    _drop_late(remaining)
    remaining, recorded = _completed([line for line in remaining if not line.fault], name, outcome)
    new = {id(line) for line in remaining} - {id(line) for line in all_lines}
    outcome.left_out = sorted((line for line in all_lines if line.fault), key=lambda line: line.number)
    for line in outcome.left_out:
        if line.fault == UNCONFIRMED and line.log["trial_id"] not in recorded:
            outcome.affected[line.log["trial_id"]] = "its record is lost, so it is run again"
    for line in outcome.left_out:
        if line.trial is not None and line.fault not in (TWICE, STRAY):
            outcome.affected.setdefault(line.trial, "a line about it is lost, on which no result rests")
    if new or outcome.left_out:
        _name_unended(_replayed(remaining, name).get_trials(deepcopy=False), outcome)
        outcome.text = b"".join(line.raw + b"\n" for line in remaining)
    else:
        outcome.text = text
    return outcome


def _name_unended(trials: Sequence[FrozenTrial], outcome: Repaired) -> None:
    """Note the trials of a damaged journal that are run again: the lines that ended them may be lost."""
    for trial in trials:
        if trial.state == TrialState.RUNNING:
            outcome.affected.setdefault(trial.number, "it had not ended, or its end is lost, so it is run again")


# ------------------------------------------------------------------------ what does not belong


def _drop_doubles(all_lines: Sequence[Line]) -> None:
    """Mark creations of trials that are there twice; those of queued trials may be equal."""
    seen: set[bytes] = set()
    last = b""
    for line in all_lines:
        if line.op == lines.CREATE_TRIAL:
            attributes = line.log.get("user_attrs", {})
            is_unique = START in attributes or RETRY_OF in attributes or line.log["datetime_start"]
            line.fault = TWICE if line.raw == last or (is_unique and line.raw in seen) else line.fault
            seen.add(line.raw)
        last = line.raw


def _drop_strays(all_lines: Sequence[Line], name: str) -> None:
    """Mark lines of other studies: a writer holds the study's lock, so lines of a session are next to each other."""
    sessions: dict[str, list[Line]] = defaultdict(list)
    for line in all_lines:
        if line.fault:
            continue
        if line.log.get("study_id", 0) != 0 or line.log.get("study_name", name) != name:
            line.fault = STRAY
        elif line.writer != lines.REPAIRER:
            sessions[line.writer].append(line)
    spans = [(session[0].number, session[-1].number) for session in sessions.values()]
    for session, (first, last) in zip(sessions.values(), spans, strict=True):
        is_inside = any(other_first < first and last < other_last for other_first, other_last in spans)
        if is_inside and len(session) <= MOST_STRAY:
            for line in session:
                line.fault = STRAY


def _drop_odd_parameters(all_lines: Sequence[Line]) -> None:
    """Mark parameters whose kind or choices are not those of most lines of that name: Optuna trusts the first."""
    kinds: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    parameters = [(line, lines.kind_of(line.log)) for line in all_lines if not line.fault and line.op == lines.PARAM]
    for line, kind in parameters:
        kinds[line.log["param_name"]].append(kind)
    usual = {name: Counter(all_kinds).most_common(1)[0][0] for name, all_kinds in kinds.items()}
    for line, kind in parameters:
        if kind != usual[line.log["param_name"]]:
            line.fault = "its distribution is not that of the other lines"


def _begun(remaining: Sequence[Line], name: str) -> list[Line]:
    """Return the lines with one in front that creates the study with the direction that its attributes have."""
    for line in remaining:
        if _has_attributes(line) and not _is_whole(line.log["user_attr"][ATTRIBUTE]):
            line.fault = "its entry for the study is incomplete"
    remaining = [line for line in remaining if not line.fault]
    named = [_directions(line.log["user_attr"][ATTRIBUTE]) for line in remaining if _has_attributes(line)]
    coded = [line.log["directions"] for line in remaining if line.op == lines.CREATE_STUDY]
    directions = next(filter(None, [*named[:1], *coded[:1]]), None)
    if not directions:
        raise InputError("it has no entry for the study", hint=f"`{words(*FRESH)}` starts over.")
    if remaining[0].op == lines.CREATE_STUDY and remaining[0].log["directions"] == directions:
        return remaining
    log = {"op_code": lines.CREATE_STUDY, "worker_id": lines.repairer(0), "study_name": name, "directions": directions}
    return [lines.written(0, log), *remaining]


def _is_whole(about: Any) -> bool:
    """Return whether what a line tells of the study can be read, with its verdict and what was confirmed."""
    if study_fault(about):
        return False
    try:
        kept_records(about)
    except UnreadableError:
        return False
    return True


def _directions(attributes: Mapping[str, Any]) -> list[int]:
    """Return the directions of a study's metrics as Optuna codes them; none where one is unknown."""
    several = [one.get("direction") for one in attributes.get(OBJECTIVES) or ()] or [attributes["direction"]]
    coded = [{"minimize": 1, "maximize": 2}.get(direction, 0) for direction in several]
    return coded if all(coded) else []


def _has_attributes(line: Line) -> bool:
    return line.op == lines.STUDY_ATTRIBUTE and ATTRIBUTE in line.log["user_attr"]


# ------------------------------------------------------------------------ what a trial must tell


def _drop_late(remaining: Sequence[Line]) -> None:
    """Mark lines before the creation of their trial, lines that are there twice, and ends that no record confirms."""
    created, ended = -1, set()
    parameters: dict[int, set[str]] = defaultdict(set)
    records: dict[int, list[Line]] = defaultdict(list)
    for line in remaining:
        if line.op == lines.CREATE_TRIAL:
            created += 1
            continue
        if line.fault or line.op not in lines.OF_TRIALS:
            continue
        number = line.log["trial_id"]
        if number > created:
            line.fault = "it is about a trial that was not created yet"
        elif number in ended:
            line.fault = "its trial had ended before"
        elif line.op == lines.PARAM and line.log["param_name"] in parameters[number]:
            line.fault = TWICE
        elif line.op == lines.PARAM:
            parameters[number].add(line.log["param_name"])
        elif line.op == lines.ATTRIBUTE_OF_TRIAL and ATTRIBUTE in line.log["user_attr"]:
            line.fault = "its record is not whole" if trial_fault(line.log["user_attr"][ATTRIBUTE]) else ""
            records[number] += [] if line.fault else [line]
        elif line.op == lines.STATE and line.log["state"] in (TrialState.COMPLETE, TrialState.PRUNED):
            line.fault = "" if any(_confirms(one, line) for one in records[number]) else UNCONFIRMED
        if line.op == lines.STATE and not line.fault and TrialState(line.log["state"]).is_finished():
            ended.add(number)


def _confirms(record: Line, end: Line) -> bool:
    """Return whether a record has the same end as a line that ends its trial."""
    about, values = record.log["user_attr"][ATTRIBUTE], end.log["values"]
    if end.log["state"] == TrialState.PRUNED:
        return bool(about["state"] == "pruned")
    return values is not None and _values(about[TOLD]) == values and about["state"] in ("complete", "diverged")


def _completed(remaining: list[Line], name: str, outcome: Repaired) -> tuple[list[Line], set[int]]:
    """Return the lines without those that Optuna fails at, and the trials that have a record.

    Trials that lack something are marked as failed, and lost ends are restored from records.
    """
    study = _replayed(remaining, name)
    remaining = [line for line in remaining if not line.fault]
    trials = study.get_trials(deepcopy=False)
    outcome.lost_start = ATTRIBUTE not in study.user_attrs and any(ATTRIBUTE in trial.user_attrs for trial in trials)
    lacking = _lacking(trials, study.user_attrs.get(ATTRIBUTE, {}))
    creations = [line for line in remaining if line.op == lines.CREATE_TRIAL]
    for trial in trials:
        if creations[trial.number].number == 0 and trial.state != TrialState.FAIL:
            consequence = "; its result is whole" if ATTRIBUTE in trial.user_attrs else ", and it had not ended"
            outcome.affected[trial.number] = f"the line that created it is lost{consequence}"
        if reason := lacking.get(trial.number, ""):
            outcome.affected[trial.number] = f"{reason}, so it is marked as failed"
            _fail(remaining, trial.number)
        elif trial.state == TrialState.FAIL and creations[trial.number].number == 0:
            outcome.affected[trial.number] = "all of it is lost, so it is marked as failed"
    remaining = [line for line in remaining if not line.fault]
    trials = _replayed(remaining, name).get_trials(deepcopy=False)
    for trial in trials:
        if ATTRIBUTE in trial.user_attrs and not trial.state.is_finished():
            remaining.append(_end_of(trial, _last_date(remaining)))
            outcome.affected[trial.number] = "the line that ended it is lost; its end is restored from its record"
    return remaining, {trial.number for trial in trials if ATTRIBUTE in trial.user_attrs}


def _lacking(trials: Sequence[FrozenTrial], about: Mapping[str, Any]) -> dict[int, str]:
    """Return, by number, what finished trials lack on which their results rest."""
    recorded = [trial for trial in trials if ATTRIBUTE in trial.user_attrs]
    usual: dict[str, Counter[str]] = defaultdict(Counter)
    count = Counter(current(trial.user_attrs[ATTRIBUTE])["candidate"] for trial in recorded)
    for trial in recorded:
        usual[current(trial.user_attrs[ATTRIBUTE])["candidate"]].update(list(trial.params))
    lacking = {}
    for trial in trials:
        record = trial.user_attrs.get(ATTRIBUTE)
        if record is None and trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            lacking[trial.number] = "its record is lost"
        if record is None:
            continue
        candidate = current(record)["candidate"]
        # what all others have; which parameters a model has may depend on others
        needed = {"loss"} | {
            n for n, often in usual[candidate].items() if often >= count[candidate] - 1 and count[candidate] > 2
        }
        if missing := sorted(n for n in needed - set(trial.params) if not n.startswith("model.")):
            lacking[trial.number] = f"its parameter {missing[0]} is lost"
        elif wrong := _contradicted(trial, record, about):
            lacking[trial.number] = f"its lines do not agree on {wrong}"
    return lacking


def _contradicted(trial: FrozenTrial, record: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Return the parameter on which a trial's lines and its record do not agree; empty where they agree."""
    record = current(record)
    candidate, loss_params = record["candidate"], record["loss_params"]
    if trial.params["loss"] != candidate:
        return "the loss"
    if about and about["losses"].get(candidate, record["loss"]) != record["loss"]:
        return "the loss"
    pairs: dict[str, Any] = {"learning_rate": record["learning_rate"]}
    if isinstance(loss_params, dict):
        pairs |= {f"{candidate}.{name}": value for name, value in loss_params.items()}
    name: str
    for name, value in trial.params.items():
        both = isinstance(value, float) and isinstance(pairs.get(name), float)
        if both and not math.isclose(value, pairs[name], rel_tol=1e-5):
            return name
    return ""


def _end_of(trial: FrozenTrial, date: str) -> Line:
    """Return the line that ends a trial as its record has it; for Optuna a pruned one has its last reported score."""
    record = trial.user_attrs[ATTRIBUTE]
    if record["state"] == "failed":
        return _ended(trial.number, TrialState.FAIL, None, date)
    if record["state"] == "pruned":
        return _ended(trial.number, TrialState.PRUNED, trial.intermediate_values.get(trial.last_step), date)
    return _ended(trial.number, TrialState.COMPLETE, record[TOLD], date)


def _values(value: TrialValue) -> list[float] | None:
    """Return what Optuna was told of a trial as it keeps it."""
    return value if value is None or isinstance(value, list) else [value]


def _ended(number: int, state: TrialState, value: TrialValue, date: str) -> Line:
    log = {
        "op_code": lines.STATE, "worker_id": lines.repairer(number), "trial_id": number, "state": int(state),
        "values": _values(value), "datetime_complete": date,
    }  # fmt: skip
    return lines.written(0, log)


def _last_date(remaining: Sequence[Line]) -> str:
    """Return the date of the last trial that ended, the earliest possible one where none has."""
    dates = [line.log["datetime_complete"] for line in remaining if line.log.get("datetime_complete")]
    return dates[-1] if dates else "1970-01-01T00:00:00.000000+00:00"


def _fail(remaining: list[Line], number: int) -> None:
    """Drop a trial's record and end it as failed."""
    date = _last_date(remaining)
    for line in remaining:
        if line.log.get("trial_id") != number:
            continue
        if line.op == lines.ATTRIBUTE_OF_TRIAL and ATTRIBUTE in line.log["user_attr"]:
            line.fault = "its trial lost another line"
        if line.op == lines.STATE and TrialState(line.log["state"]).is_finished():
            line.fault = "its trial lost another line"
    remaining.append(_ended(number, TrialState.FAIL, None, date))


# ------------------------------------------------------------------------ Optuna


class _Logs(BaseJournalBackend):  # type: ignore[misc]
    """Lines as a backend of Optuna's journal; `reading` is the line read last."""

    def __init__(self, remaining: Sequence[Line]) -> None:
        self.remaining, self.reading = remaining, remaining[0]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write nothing."""

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the logs from that number on."""
        for line in self.remaining[log_number_from:]:
            self.reading = line
            yield line.log


def _replayed(remaining: Sequence[Line], name: str) -> optuna.Study:
    """Return the study as Optuna reads it; mark the lines that it fails at."""
    while True:
        logs = _Logs([line for line in remaining if not line.fault])
        try:
            return optuna.load_study(study_name=name, storage=JournalStorage(logs))
        except Exception as error:
            logs.reading.fault = f"Optuna fails at it ({one_line(error)})"
