"""The results of a study: one `TrialRecord` per trial, gathered in a `StudyResult`."""

from __future__ import annotations

import bisect
import itertools
import math
import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from lossreg.contract import recipes
from lossreg.errors import count_of
from lossreg.storage import directions
from lossreg.storage.confirmation import Confirmed
from lossreg.storage.constraints import NONE_KEPT, Constraint, are_kept, in_words, total_violation
from lossreg.storage.pareto import Objective, front
from lossreg.storage.rounding import DIGITS, exact

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from lossreg.storage.confirmation import Confirmation
    from lossreg.storage.verdict import Verdict

CURVES = ("train_loss", "val_loss", "train_score", "val_score")
# scores that are further apart, relative to their size, are not equal to so many digits
NEAR = 10.0 ** (2 - DIGITS)
Worth = tuple[float, bool, int]
Weights = list["np.ndarray"]
NO_METRICS: Mapping[str, float] = {}


class Outcome(StrEnum):
    """The end of a trial: with a score, early by the pruner, in an exception, or non-finite."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    DIVERGED = "diverged"


def finite(value: Any) -> Any:
    """Return `value` with every number that is not finite replaced by None, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def worth(score: float, number: int, *, sign: float, baseline: bool) -> Worth:
    """Return the sort key of a scored trial, larger is better: its score, among equals the baseline, then the earliest.

    sign is 1 where a higher score is better, else -1.
    """
    return (sign * exact(score), baseline, -number)


def spread(scores: Sequence[float]) -> float | None:
    """Return the standard deviation of the members' scores (n - 1 in the denominator), None of fewer than two."""
    import statistics

    return statistics.stdev(scores) if len(scores) > 1 and all(map(math.isfinite, scores)) else None


@dataclass(frozen=True, slots=True, repr=False)
class TrialRecord:
    """One ended trial.

    state: complete, pruned, failed (an exception) or diverged (went non-finite);
    candidate: the study's name of the loss; loss: its registered name; params: what was
    suggested, by Optuna name (`focal.gamma`, `learning_rate`); loss_params: every keyword
    argument of the loss, fixed ones included; constants: what the loss takes from the training samples (those of
    the first fold where there are folds), None where an older version did not keep it; expression: source of a
    loss that no registry has, `lossreg.wrap(my_loss, ...)`; score: the study's metric on validation data at
    `epoch` (1-based), None unless complete; scores: those of the members at that epoch, empty unless
    folds or seeds made several, score being their mean and spread their standard deviation (n - 1);
    curves: by name of `CURVES`, one value per epoch, the members' mean; seconds: wall time from the first
    to the last epoch; asking: seconds that asking for it took, 0 where an older version did not keep it;
    trainer: population or fit; reason: why it failed or diverged; refusal: why no
    population could train it; started, ended: POSIX seconds; predicts_only: the class that the model
    predicts for every validation sample (0 in tasks without classes), None where its predictions vary; weights: of
    the training samples, `rows` naming the column ("" where it has no name), `classes` a list in class order, and
    `exposure` naming the column of exposures; empty where all count 1; default_score: the score without tuned
    decisions, decision: the tuned one of the first member,
    `{"threshold": 0.3}`, `{"shift": [0.1, -0.1]}` or `{"temperature": 1.2}`; None and empty where none is tuned;
    worker: the name of the one that trained it, `host:process:random`, empty where there was but one; metrics: further
    ones that the study has, by name, at the epoch of the score.
    """

    number: int
    state: str
    candidate: str
    loss: str
    params: Mapping[str, Any]
    loss_params: Mapping[str, Any]
    learning_rate: float
    score: float | None
    epoch: int
    curves: Mapping[str, list[float | None]]
    seconds: float
    trainer: str = "population"
    reason: str = ""
    refusal: str = ""
    distribution: str = ""
    version: str = ""
    started: float = 0.0
    ended: float = 0.0
    scores: list[float] = field(default_factory=list)
    spread: float | None = None
    predicts_only: int | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)
    expression: str = ""
    weights: Mapping[str, Any] = field(default_factory=dict)
    default_score: float | None = None
    decision: Mapping[str, Any] = field(default_factory=dict)
    worker: str = ""
    asking: float = 0.0
    metrics: Mapping[str, float | None] = field(default_factory=dict)

    def __repr__(self) -> str:
        reached = "no score" if self.score is None else f"score {self.score:.5g} at epoch {self.epoch}"
        return f"<trial {self.number}, {self.state}: {reached}, {self.recipe}, learning rate {self.learning_rate:.3g}>"

    @classmethod
    def of_training(
        cls, outcome: Outcome, *, params: Mapping[str, Any], loss_params: Mapping[str, Any],
        curves: Mapping[str, list[float]], chosen: int, scores: Sequence[float], predicts_only: int | None,
        default_score: float | None, decision: Mapping[str, Any], started: float,
        metrics: Mapping[str, float] = NO_METRICS, **others: Any,
    ) -> Self:  # fmt: skip
        """Return the record of a trial that ends now; one that is not complete has no score.

        params: as Optuna has them, the choice of loss included; chosen: the epoch that is scored, from 1;
        scores, predicts_only, default_score, decision, metrics: those there.
        """
        now, is_complete = time.time(), outcome == Outcome.COMPLETE
        last = 0 if outcome == Outcome.FAILED else len(curves["val_score"])
        members = list(scores) if is_complete and len(scores) > 1 else []
        return cls(
            state=outcome.value,
            params={name: value for name, value in params.items() if name != "loss"},
            loss_params=finite(loss_params),
            curves={name: finite(curve) for name, curve in curves.items()},
            score=curves["val_score"][chosen - 1] if is_complete else None,
            epoch=chosen if is_complete else last,
            scores=members,
            spread=spread(members),
            predicts_only=predicts_only if is_complete else None,
            default_score=default_score if is_complete else None,
            decision=dict(decision) if is_complete else {},
            metrics=finite(metrics) if is_complete else {},
            started=started,
            ended=now,
            seconds=now - started,
            **others,
        )

    @property
    def recipe(self) -> str:
        """The loss that was trained, ready to paste: `lossreg.get("focal", gamma=2.0, from_logits=True)`.

        Constants of the training samples stand in it as numbers. A function of the user's own, which the registry
        does not know, is called by its name.
        """
        function = "" if self.distribution else self.loss
        return recipes.recipe(self.expression or function or f'"{self.loss}"', self.loss_params, self.constants)

    @property
    def finite_score(self) -> float | None:
        """The score of a completed trial, None where it is not finite."""
        is_finite = self.state == Outcome.COMPLETE and self.score is not None and math.isfinite(self.score)
        return self.score if is_finite else None

    @property
    def epochs(self) -> int:
        """The number of epochs trained."""
        return len(self.curves.get("val_score", ()))

    def summary(self) -> dict[str, Any]:
        """Return the form used in `best` and `baseline` of the JSON documents, without what was confirmed."""
        names = (
            "recipe", "learning_rate", "score", "default_score", "decision", "spread", "scores", "epoch", "epochs",
            "predicts_only",
        )  # fmt: skip
        return {
            "trial": self.number,
            "loss": self.candidate,
            "params": dict(self.params),
            "settings": dict(self.loss_params),
            "constants": dict(self.constants),
            **{name: getattr(self, name) for name in names},
        }


# the file in a study's folder that has its trials
JOURNAL = "journal.log"
# key of the score that Optuna is told of a trial, beside its record
TOLD = "told"
# fields of a trial's record that Optuna keeps by itself
IN_OPTUNA = ("number", "params", "score")
# keys, with the kinds of their values, that a journal must have of a study, and of a trial that has ended
STUDY_KEYS: dict[str, type] = {
    **dict.fromkeys(("id", "metric", "direction", "task", "baseline"), str),
    **dict.fromkeys(("losses", "data", "spec", "fingerprint", "provenance", "spaces", "seconds"), Mapping),
}
TRIAL_KEYS: dict[str, type] = {
    **{
        column.name: object
        for column in fields(TrialRecord)
        if column.default is MISSING and column.default_factory is MISSING and column.name not in IN_OPTUNA
    },
    **dict.fromkeys(("state", "candidate", "loss"), str),
    **dict.fromkeys(("loss_params", "curves"), Mapping),
    TOLD: object,
}


# field names up to 0.2.0
FORMER = {"label": "candidate", "constant": "predicts_only", "settings": "loss_params"}


def current(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's record as read from a journal of any version, its fields under their present names."""
    if FORMER.keys().isdisjoint(record):
        return dict(record)
    return {FORMER.get(name, name): value for name, value in record.items()}


def is_study_folder(path: str | Path) -> bool:
    """Tell whether a folder has the trials of a study."""
    return os.path.isfile(os.path.join(path, JOURNAL))  # noqa: PTH113, PTH118 - no error where it may not be read


def lacking(record: Any, keys: Mapping[str, type]) -> str:
    """Return the first of `keys` that a record read from a journal lacks or has of another kind; empty if none.

    Something that is no record at all lacks the first key. An empty text is none: with an empty id every run in MLflow
    would be the study's.
    """
    record = current(record) if isinstance(record, Mapping) else {}
    return next((key for key, kind in keys.items() if key not in record or not _is_of(record[key], kind)), "")


def _is_of(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and value != ""


@dataclass(frozen=True, slots=True)
class Standing:
    """One row of the leaderboard: a candidate and its best trial (None when none completed).

    confirmed: that trial's setting on fresh splits, None where it was not trained there. Equal scores have the same
    rank, and the next rank counts them all: 1, 1, 3. A candidate without a completed trial has none.
    """

    candidate: str
    loss: str
    trials: int
    best: TrialRecord | None
    is_baseline: bool
    rank: int | None = None
    confirmed: Confirmed | None = None


@dataclass(slots=True, repr=False)
class StudyResult:
    """A study as far as it has come.

    losses maps candidate to registered name, in study order; data and spec are plain summaries;
    seconds has total, training, search (what training waited for), search_spent (that and what was done
    meanwhile), verdict (once it was reached for), tracking; tracking has uri, experiment, run_id, and
    model (its address) of model_trial (its number) where MLflow has one;
    trainer has population, fit (numbers of trials) and reasons; notes are lines for the user; verdict is None until
    the test rows were looked at; failure: the note on the last attempt at a verdict where that failed, else empty;
    started: POSIX seconds, 0 of a study that lossreg 0.2.0 or earlier began; confirmation: the best settings of these
    trials on fresh splits, None until they were trained there; constraints: the values of further metrics that trials
    must keep; objectives: the metrics that are optimised together, the first of them `metric`, none where it is alone;
    file: the name of the study file, without its folder, empty where there was none or lossreg 0.2.0 began the study;
    versions: those of system, backend and packages that it began with, by name; overrides: what `--set` was given,
    without passwords, and the trials that `--more` added; is_shared: whether several workers share its storage.
    """

    study: str
    metric: str
    direction: str
    task: str
    losses: dict[str, str]
    baseline: str
    trials: list[TrialRecord] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    tracking: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    folder: str = ""
    verdict: Verdict | None = None
    failure: str = ""
    started: float = 0.0
    confirmation: Confirmation | None = None
    constraints: tuple[Constraint, ...] = ()
    objectives: tuple[Objective, ...] = ()
    file: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    is_shared: bool = False

    @property
    def recommended(self) -> TrialRecord | None:
        """The trial to train with: the verdict's, without one the best."""
        if self.verdict is None:
            return self.best
        number = self.verdict.recommended.trial
        return next((trial for trial in self.trials if trial.number == number), self.best)

    @property
    def best(self) -> TrialRecord | None:
        """The completed trial with the best score; of equals the baseline's, then the earliest.

        Where settings were confirmed it is the one with the best mean on the fresh splits.
        """
        return self._best(self.trials)

    def confirmed(self, trial: TrialRecord | None) -> Confirmed | None:
        """Return a trial's setting on the fresh splits, None where it was not trained there to its end."""
        return self.confirmation.of(trial.number) if self.confirmation and trial else None

    def compared_score(self, trial: TrialRecord | None) -> float | None:
        """Return the score by which trials are compared: the mean on the fresh splits, else that of the search."""
        if confirmed := self.confirmed(trial):
            return confirmed.mean
        return trial.score if trial else None

    def measured(self, trial: TrialRecord) -> Mapping[str, float | None]:
        """Return the further metrics of a trial: the means on the fresh splits, else those of the search."""
        confirmed = self.confirmation.metrics_of(trial.number) if self.confirmation else {}
        return {**trial.metrics, **confirmed}

    def keeps(self, trial: TrialRecord) -> bool:
        """Return whether a trial keeps all constraints: on the fresh splits where it was trained there."""
        return not self.constraints or are_kept(self.constraints, self.measured(trial))

    @property
    def unkept(self) -> str:
        """Return that no trial keeps all constraints, and how near the nearest is; empty where one does.

        Where settings were confirmed only these are compared.
        """
        done = [trial for trial in filter(_is_scored, self.trials) if not self.confirmation or self.confirmed(trial)]
        if not self.constraints or not done or any(map(self.keeps, done)):
            return ""
        nearest = min(done, key=lambda trial: total_violation(self.constraints, self.measured(trial)))
        values = self.measured(nearest)
        near = ", ".join(
            f"{one.metric} {'unknown' if value is None else one.text(value, 4)}"
            for one in self.constraints
            for value in [values.get(one.metric)]
        )
        where = " on the fresh splits on which settings are confirmed" if self.confirmation else ""
        return f"{NONE_KEPT} {in_words(self.constraints)}{where}; the nearest is trial {nearest.number} ({near})"

    def objective_values(self, trial: TrialRecord) -> list[float | None]:
        """Return a trial's values of the metrics that are optimised together, in the search."""
        return [trial.finite_score, *(trial.metrics.get(one.metric) for one in self.objectives[1:])]

    @property
    def front(self) -> list[TrialRecord]:
        """The trials than which none is better in all metrics (the Pareto front), by their scores in the search.

        Trials that violate a constraint there are left out; the best by the first metric is the first.
        """
        kept = [trial for trial in self.trials if are_kept(self.constraints, trial.metrics)] if self.objectives else []
        items = []
        for trial in kept:
            values = [value for value in self.objective_values(trial) if value is not None]
            if len(values) == len(self.objectives):
                signed = [one.sign * exact(value) for one, value in zip(self.objectives, values, strict=True)]
                items.append((trial, signed))
        return front(items)

    def __repr__(self) -> str:
        best, score = self.best, self.compared_score(self.best)
        reached = "no score" if best is None else f"{self.extreme} {self.metric} {score:.5g} ({best.candidate})"
        trials, losses = count_of(len(self.trials), "trial"), count_of(len(self.losses), "loss", "losses")
        return f"<study {self.study}: {trials} over {losses}, {reached}>"

    @property
    def counts(self) -> dict[str, int]:
        """Number of trials in each state; disjoint."""
        seen = Counter(trial.state for trial in self.trials)
        return {outcome.value: seen[outcome] for outcome in Outcome}

    def add(self, record: TrialRecord) -> None:
        """Insert a record, in order of number; a verdict on fewer trials is none on these."""
        self.verdict = self.confirmation = None
        bisect.insort(self.trials, record, key=lambda trial: trial.number)

    def best_so_far(self) -> list[tuple[TrialRecord, float]]:
        """Return the completed trials by number, each with the best score up to it; scores must be finite.

        Trials that violate a constraint are left out.
        """
        better = max if self.direction == "maximize" else min
        scored = [(trial, score) for trial in self.trials if (score := trial.finite_score) is not None]
        done = [(trial, score) for trial, score in scored if are_kept(self.constraints, trial.metrics)]
        done.sort(key=lambda pair: pair[0].number)
        best = itertools.accumulate((score for _, score in done), better)
        return [(trial, score) for (trial, _), score in zip(done, best, strict=True)]

    def ranking(self) -> list[Standing]:
        """Return a row per candidate, best first; of equals the baseline, then the earlier trial; no score last."""
        trials: defaultdict[str, list[TrialRecord]] = defaultdict(list)
        for trial in self.trials:
            trials[trial.candidate].append(trial)
        rows = [self._standing(candidate, loss, trials[candidate]) for candidate, loss in self.losses.items()]
        rows.sort(key=lambda row: self._worth(row.best), reverse=True)
        scores = [self._worth(row.best)[:3] for row in rows]
        return [replace(row, rank=scores.index(self._worth(row.best)[:3]) + 1 if row.best else None) for row in rows]

    @property
    def extreme(self) -> str:
        """`highest` or `lowest`: the end of the metric that is better."""
        return "highest" if self.direction == "maximize" else "lowest"

    @property
    def ties(self) -> list[str]:
        """The candidates that share the best score; empty when one candidate alone has it."""
        first = [row.candidate for row in self.ranking() if row.rank == 1]
        return first if len(first) > 1 else []

    @property
    def untried(self) -> list[str]:
        """The candidates without a trial, of a study that has some."""
        tried = {trial.candidate for trial in self.trials}
        return [candidate for candidate in self.losses if candidate not in tried] if tried else []

    def to_json(self) -> dict[str, Any]:
        """Return the document that `tune --json` and `results --json` print."""
        board = self.ranking()
        baseline = next((row.best for row in board if row.is_baseline), None)
        document: dict[str, Any] = finite(
            {
                "study": self.study,
                "metric": self.metric,
                "direction": self.direction,
                "task": self.task,
                "noise": self.data.get("noise"),
                "trials": self.counts,
                "best": self._summary(self.best),
                "ties": self.ties,
                "verdict": self.verdict.to_json() if self.verdict else None,
                "baseline": self._summary(baseline),
                "losses": [
                    {
                        "name": row.candidate,
                        "loss": row.loss,
                        "rank": row.rank,
                        "best_score": row.best.score if row.best else None,
                        "default_score": row.best.default_score if row.best else None,
                        "spread": row.best.spread if row.best else None,
                        "confirmed": row.confirmed.to_json() if row.confirmed else None,
                        "trials": row.trials,
                        "params": dict(row.best.params) if row.best else {},
                        "settings": dict(row.best.loss_params) if row.best else {},
                        "recipe": row.best.recipe if row.best else None,
                        **self._kept(row.best),
                    }
                    for row in board
                ],
                "seconds": self.seconds,
                "tracking": self.tracking,
                "trainer": self.trainer,
                "notes": self.notes,
                **({"constraints": [asdict(one) for one in self.constraints]} if self.constraints else {}),
                **self._objectives(),
            }
        )
        return document

    def _summary(self, trial: TrialRecord | None) -> dict[str, Any] | None:
        if trial is None:
            return None
        confirmed = self.confirmed(trial)
        return {**trial.summary(), "confirmed": confirmed.to_json() if confirmed else None, **self._kept(trial)}

    def _objectives(self) -> dict[str, Any]:
        """Return the metrics that are optimised together, and the trials of the Pareto front; nothing of one metric."""
        if not self.objectives:
            return {}
        names = [one.metric for one in self.objectives]
        rows = [
            {"trial": t.number, "loss": t.candidate, "scores": dict(zip(names, self.objective_values(t), strict=True))}
            for t in self.front
        ]
        return {"objectives": [asdict(one) for one in self.objectives], "pareto": rows}

    def _kept(self, trial: TrialRecord | None) -> dict[str, Any]:
        """Return a trial's further metrics, and whether it keeps the constraints; nothing without constraints."""
        kept = {"keeps": trial is not None and self.keeps(trial)} if self.constraints else {}
        has_metrics = self.constraints or self.objectives
        return {"metrics": dict(self.measured(trial)) if trial else {}, **kept} if has_metrics else {}

    def ranked(self, candidate: str) -> list[TrialRecord]:
        """Return the completed trials of a candidate by their scores in the search, best first.

        Those that violate a constraint there come last.
        """
        trials = [trial for trial in self.trials if trial.candidate == candidate and trial.finite_score is not None]

        def key(trial: TrialRecord) -> tuple[bool, float, int]:
            is_kept = are_kept(self.constraints, trial.metrics)
            return is_kept, self.sign * exact(trial.score or 0.0), -trial.number

        return sorted(trials, key=key, reverse=True)

    def _standing(self, candidate: str, loss: str, trials: Sequence[TrialRecord]) -> Standing:
        best = self._best(trials)
        is_baseline = candidate == self.baseline
        return Standing(candidate, loss, len(trials), best, is_baseline, confirmed=self.confirmed(best))

    def _best(self, trials: Sequence[TrialRecord]) -> TrialRecord | None:
        done = list(filter(_is_scored, trials))
        if self.confirmation:
            return max(filter(self.confirmed, done), key=self._worth, default=None) or self._best_of_search(done)
        return self._best_of_search(done)

    def _best_of_search(self, trials: Sequence[TrialRecord]) -> TrialRecord | None:
        done = list(filter(self.keeps, trials)) or trials if self.constraints else trials
        scores = [self.sign * (trial.score or 0.0) for trial in done]
        top = max(scores, default=0.0)
        # only these can be the first among equals; none is left out where a score is not finite
        near = top - NEAR * abs(top)
        contenders = (trial for trial, score in zip(done, scores, strict=True) if not score < near)
        return max(contenders, key=self._worth, default=None)

    @property
    def sign(self) -> float:
        """1 where a higher score is better, else -1."""
        return directions.sign(self.direction)

    def _worth(self, trial: TrialRecord | None) -> tuple[bool, bool, *Worth]:
        """Return the sort key of a trial, larger is better; the smallest of all where there is no score.

        Confirmed settings come first, and of these, as of the others, those that keep the constraints.
        """
        score = self.compared_score(trial)
        if trial is None or score is None:
            return (False, False, -math.inf, False, 0)
        is_confirmed = self.confirmed(trial) is not None
        return (
            is_confirmed,
            self.keeps(trial),
            *worth(score, trial.number, sign=self.sign, baseline=trial.candidate == self.baseline),
        )


def _is_scored(trial: TrialRecord) -> bool:
    return trial.score is not None and trial.state == Outcome.COMPLETE
