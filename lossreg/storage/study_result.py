"""A study as far as it has come: its trials, their ranking, and what was confirmed and judged."""

from __future__ import annotations

import bisect
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lossreg.errors import count_of
from lossreg.storage import directions
from lossreg.storage.confirmation import Confirmed
from lossreg.storage.constraints import NONE_KEPT, Constraint, are_kept, in_words, total_violation
from lossreg.storage.pareto import Objective, front
from lossreg.storage.result_document import document_of
from lossreg.storage.rounding import DIGITS, exact
from lossreg.storage.trial_record import Outcome, TrialRecord

if TYPE_CHECKING:
    from lossreg.storage.confirmation import Confirmation
    from lossreg.storage.reached import Reached
    from lossreg.storage.verdict import Verdict

# scores that are further apart, relative to their size, are not equal to so many digits
NEAR = 10.0 ** (2 - DIGITS)
Worth = tuple[float, bool, int]


def worth(score: float, number: int, *, sign: float, baseline: bool) -> Worth:
    """Return the sort key of a scored trial, larger is better: its score, among equals the baseline, then the earliest.

    sign is 1 where a higher score is better, else -1.
    """
    return (sign * exact(score), baseline, -number)


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

    @property
    def search_scores(self) -> dict[str, float | None]:
        """The score of the best trial in the search, that without a tuned decision, and the spread of its members."""
        best = self.best
        return {
            "best_score": best.score if best else None,
            "default_score": best.default_score if best else None,
            "spread": best.spread if best else None,
        }


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
    versions: those of system, backend and packages that it began with, by name; overrides: what `--set` was given
    for the last run, without passwords, and the trials that `--more` added; extended_to: the number of trials that the
    study has since `--more`, 0 without it; is_shared: whether several workers share its storage;
    reached: how far the study is, None where that was not looked up; budget: the number of trials that it is to have,
    0 where that was not looked up; is_outdated: whether trials were added since the test rows were looked at, so that
    the verdict of then does not hold for all trials.
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
    extended_to: int = 0
    is_shared: bool = False
    reached: Reached | None = None
    budget: int = 0
    is_outdated: bool = False

    @property
    def is_running(self) -> bool:
        """True if a process is known to run the study now."""
        return self.reached is not None and self.reached.is_running

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
        """Insert a record, in order of number; a verdict on fewer trials is dropped."""
        self.is_outdated = self.is_outdated or self.verdict is not None
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
        return document_of(self)

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
