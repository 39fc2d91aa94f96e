"""Other ways to spend the trainings of a search with confirmation, each with as many trainings of one split.

    KERAS_BACKEND=jax python studies/benchmarks/confirm_variants.py --seeds 8 --out variants.jsonl
    python studies/benchmarks/confirm_variants.py --report variants.jsonl [--against confirm.jsonl]

Data sets, their rows, the confirmation and the scores on test rows are those of `confirm.py`. Trials are the first
of one random sequence per study, so that what several ways train is trained once, and counted for each.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from confirm import CASES, REPEATS, SCORERS, Case, compare, document, read, retrained_scores, rows_of, run, with_error

from lossreg.search import confirming

CONFIRMED, TRIALS, FOLDS, SHARE, SEED = "confirmed", 48, 5, 0.8, 50_000
RACED = 64  # trials that a race has at most
Splits = Callable[[int], Sequence[int]]  # of a trial, by its number
Pairs = Sequence[tuple[Any, Sequence[int]]]  # of plans and splits


class Way(NamedTuple):
    """A way to search; kind: of its splits.

    trials, repeats: their number, and that of the confirmation's fresh splits, None for as many as the trainings allow;
    in_all: settings that are confirmed, about; bar: of a race, what a trial that is given up is below.
    """

    words: str
    kind: str
    trials: int | None = TRIALS
    repeats: int | None = REPEATS
    in_all: int = confirming.SETTINGS
    bar: Callable[[Any], Any] | None = None

    def again(self, losses: int, trials: int) -> int:
        """Return the number of settings that are confirmed, at most."""
        return losses * confirming.settings(losses, trials, self.in_all)

    def sized(self, losses: int, budget: int) -> Way:
        """Return the way with as many trials and repeats as make so many trainings of one split, or just fewer."""
        splits, repeats = len(SPLITS[self.kind](0)), self.repeats
        if repeats is None:
            return self._replace(repeats=(budget - TRIALS) // self.again(losses, TRIALS))
        fit = (n for n in range(budget, 0, -1) if n * splits + repeats * self.again(losses, n) <= budget)
        return self._replace(trials=self.trials or next(fit))


WAYS = {
    CONFIRMED: Way("as it is: about 20 settings again on 5 fresh splits", "own"),
    "fewer": Way("about 10 settings again on twice as many fresh splits", "own", repeats=None, in_all=10),
    "trials": Way("one split, no confirmation", "own", None, 0),
    "folds": Way("5 folds, no confirmation", "folds", None, 0),
    "folds confirmed": Way("5 folds, some settings again on 5 fresh splits", "folds", None),
    "reshuffled": Way("each trial on a split of its own, confirmed as it is", "reshuffled"),
    "forgiving": Way("raced folds, given up below the worst fold of the loss's best", "folds", RACED, 0, bar=np.min),
    "aggressive": Way("raced folds, given up below the mean of the loss's best", "folds", RACED, 0, bar=np.mean),
}
SPLITS: dict[str, Splits] = {
    "own": lambda number: [0], "folds": lambda number: range(FOLDS), "reshuffled": lambda number: [number + 1]
}  # fmt: skip


class Chosen(NamedTuple):
    """The trial that a way chooses, its own score of it, and what it took."""

    trial: Any
    own: float
    trials: int
    trainings: int


class Trainings:
    """Trainings of plans on splits, each made once; seed: that on split 0, where it is not the plan's own."""

    def __init__(self, retrainer: Any, seed: int | None = None) -> None:
        self.retrainer, self._seed, self._known = retrainer, seed, dict[tuple[str, int], Any]()

    def of(self, pairs: Pairs) -> list[list[Any]]:
        """Return how each plan ended on its splits."""
        asked = {(repr(plan), split): self._asked(plan, split) for plan, splits in pairs for split in splits}
        new = [one for key, one in asked.items() if key not in self._known]
        for one in self.retrainer.train(new, "variants") if new else ():
            self._known[one.asked.name, one.asked.split] = one.training
        return [[self._known[repr(plan), split] for split in splits] for plan, splits in pairs]

    def _asked(self, plan: Any, split: int) -> Any:
        from lossreg.search.retrainer import OnSplit

        return OnSplit(repr(plan), split, plan if self._seed is None else replace(plan, seed=self._seed + split))


class Search:
    """One search of random trials, none of which depends on a score."""

    def __init__(self, prepared: Any, way: Way, budget: int, seed: int) -> None:
        from lossreg.search.fold_search import FoldSearch

        self.way = way.sized(len(prepared.candidates), budget)
        self._prepared, self._search = prepared, FoldSearch(prepared, self.way.trials, seed)
        self.plans: dict[int, Any] = {}
        while asked := dict(self._search.ask()):
            self.plans |= asked
        self.result, self.budget, self.trials, self.spent = self._search.result, budget, len(self.plans), 0

    @property
    def pairs(self) -> Pairs:
        """The plans with their splits."""
        return [(plan, SPLITS[self.way.kind](n)) for n, plan in self.plans.items()]

    def tell(self, ended: Sequence[Sequence[Any]]) -> None:
        """Have the trials ended so; those that a race gives up or never begins are none."""
        by_number, self.spent = dict(zip(self.plans, ended, strict=True)), sum(map(len, ended))
        if self.way.bar:
            sign = 1 if self.result.direction == "maximize" else -1
            scores = {n: [sign * one.score for one in each] for n, each in by_number.items()}
            losses = {n: plan.candidate for n, plan in self.plans.items()}
            through, self.trials, self.spent = raced(scores, losses, self.budget, self.way.bar)
            by_number = {n: by_number[n] for n in through}
        self._search.tell({n: mean(each) for n, each in by_number.items()})

    @property
    def again(self) -> Pairs:
        """The plans of the contenders with the fresh splits."""
        from lossreg.search import restore

        return [(restore.plan_of(self._prepared, one), range(self.way.repeats)) for one in self._contenders()]

    def _contenders(self) -> list[Any]:
        return confirming.contenders(self.result, self.way.in_all) if self.way.repeats else []

    def chosen(self, again: Sequence[Sequence[Any]], ratio: float) -> Chosen:
        """Return what is chosen; again: how the contenders ended on fresh splits."""
        scores = {one.number: [each.score for each in ended]
                  for one, ended in zip(self._contenders(), again, strict=True)}  # fmt: skip
        if scores:
            self.result.confirmation = confirming.confirmed(self.result, scores, self.way.repeats, ratio=ratio)
        best = self.result.best
        return Chosen(best, self.result.compared_score(best), self.trials, self.spent + sum(map(len, again)))


def raced(
    scores: Mapping[int, Sequence[float]], losses: Mapping[int, str], budget: int, bar: Callable[[Any], Any]
) -> tuple[list[int], int, int]:
    """Return the trials that got through, folds trained one after another, and how many trials and trainings it took.

    A trial is given up when its mean so far is below `bar` of the folds of its loss's best trial (Bergman 2024).
    """
    best, through, spent = dict[str, Sequence[float]](), list[int](), 0
    for begun, (n, of_trial) in enumerate(scores.items()):
        known = best.get(losses[n])
        least = -np.inf if known is None else bar(known)
        taken = next((k for k in range(1, len(of_trial)) if not np.mean(of_trial[:k]) >= least), len(of_trial))
        if spent + taken > budget:
            return through, begun, spent
        spent += taken
        if taken == len(of_trial) and np.isfinite(of_trial).all():
            through.append(n)
            best[losses[n]] = max(known or of_trial, of_trial, key=np.mean)
    return through, len(scores), spent


def choose(prepared: Any, folded: Any, seed: int) -> dict[str, Chosen]:
    """Return what each way chooses in one study; folded: the same study with folds."""
    from lossreg.search import confirming_stage
    from lossreg.search.retrainer import Retrainer
    from lossreg.storage.observer import Observer

    losses, dataset = len(prepared.candidates), prepared.problem.dataset
    budget = TRIALS + REPEATS * WAYS[CONFIRMED].again(losses, TRIALS)
    searches = {name: Search(prepared, way, budget, seed) for name, way in WAYS.items()}
    first = seed + confirming_stage.FIRST_SEED
    with ExitStack() as stack:

        def trainings(splits: int, data: Callable[[Sequence[int]], Any], seed: int | None = None) -> Trainings:
            return Trainings(stack.enter_context(Retrainer(prepared, Observer(), range(splits), data)), seed)

        single = trainings(1 + TRIALS, lambda numbers: dataset.resampled([seed + SEED + n for n in numbers], SHARE))
        folds = trainings(FOLDS, lambda numbers: folded.problem.dataset)
        for made, of_folds in ((single, False), (folds, True)):
            ways = [search for search in searches.values() if (search.way.kind == "folds") is of_folds]
            told(made, ways, lambda search: search.pairs, Search.tell)
        most, seeds = max(search.way.repeats for search in searches.values()), confirming_stage.FIRST_TRAINING_SEED
        fresh = trainings(most, lambda numbers: dataset.resampled([first + n for n in numbers]), seed + seeds)
        chosen = told(
            fresh, list(searches.values()), lambda search: search.again,
            lambda search, ended: search.chosen(ended, confirming.ratio_of(fresh.retrainer.problem.dataset)),
        )  # fmt: skip
    return dict(zip(searches, chosen, strict=True))


def told(
    made: Trainings, ways: Sequence[Search], pairs: Callable[[Search], Pairs], tell: Callable[..., Any]
) -> list[Any]:
    """Train at once what these ways ask for, and tell each how its own ended."""
    asked = [pairs(search) for search in ways]
    made.of([pair for of_way in asked for pair in of_way])
    return [tell(search, made.of(of_way)) for search, of_way in zip(ways, asked, strict=True)]


def mean(ended: Sequence[Any]) -> Any:
    """Return the training with the mean score, as one that failed where one did."""
    one = next((one for one in ended if not np.isfinite(one.score)), ended[0])
    return replace(one, score=float(np.mean([one.score for one in ended])))


def measured(case: Case, seed: int) -> dict[str, Any]:
    """Return the scores of what each way chooses, there and on the test rows."""
    from lossreg.config import study as studies
    from lossreg.search import preparation

    study, rows = document(case, seed, TRIALS, "random"), rows_of(case, seed)
    prepared, folded = (
        preparation.prepare(studies.of({**study, "data": data}, (), rows), rehearsed=False)
        for data in ({}, {"folds": FOLDS})
    )
    chosen = choose(prepared, folded, seed)
    settings = {name: repr((one.trial.candidate, sorted(one.trial.params.items()))) for name, one in chosen.items()}
    arms = {settings[name]: one.trial for name, one in chosen.items()}
    tested, _ = retrained_scores(study, rows, arms, SCORERS[case.metric])
    test = {name: tested[settings[name]] for name in chosen}
    parts = {
        part: {name: getattr(one, part) for name, one in chosen.items()} for part in ("own", "trials", "trainings")
    }
    return {"test": test, **parts}


def report(lines: Sequence[Mapping[str, Any]]) -> None:
    """Print the table: means over seeds, and over all pairs the difference to the first way.

    Own scores are those by which a way chose; flipped labels are left out there.
    """
    cases = [name for name in CASES if any(line["case"] == name for line in lines)]
    columns = ("way", "trials", "trainings", *cases, "own score - test", "difference", "better, worse, equal")
    print(f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|")
    for name, way in WAYS.items():
        spent = [f"{np.mean([line[what][name] for line in lines]):.0f}" for what in ("trials", "trainings")]
        means = [f"{np.mean([line['test'][name] for line in lines if line['case'] == case]):.4f}" for case in cases]
        lucky = [line["own"][name] - line["test"][name] for line in lines if not CASES[line["case"]].noise]
        gains = np.array([line["test"][name] - line["test"][CONFIRMED] for line in lines])
        count = f"{(gains > 0).sum()}, {(gains < 0).sum()}, {(gains == 0).sum()}"
        print(f"| {' | '.join((way.words, *spent, *means, f'{np.mean(lucky):+.3f}', with_error(gains), count))} |")


def main() -> None:
    """Run what is missing, or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--out", type=Path, default=Path("variants.jsonl"))
    parser.add_argument("--report", type=Path)
    parser.add_argument("--against", type=Path, help="the same studies by confirm.py, for the first way")
    args = parser.parse_args()
    if args.report:
        lines = read(args.report)
        report(lines)
        if args.against:
            compare(lines, read(args.against))
        return
    run(args.out, args.seeds, args.cases, measured)


if __name__ == "__main__":
    main()
