"""The verdict of `lossreg tune` on real data sets, beside the tuned baseline and gradient boosting.

    python studies/benchmark/measure.py [NAME ...]        # or: make benchmark

For each data set of `declared.py`, in a process of its own: a study with lossreg's defaults (the losses that are
recommended for the task, 64 trials, settings confirmed on five fresh splits, the verdict nested where there are fewer
than 2,000 rows), and then, on the same test rows and by the verdict's own comparison and interval, the winner against

- the baseline (cross-entropy; mean squared error) with its best learning rate: the verdict;
- the baseline of the same study with `decision = "tuned"`, where the metric has a threshold, shift or temperature and
  there are rows enough to tune it on;
- `HistGradientBoosting` of scikit-learn (`boosting.py`).

Each data set is a line of `results.jsonl`, written when it is done, with the version of lossreg and a digest of its
declaration. A data set is measured again if it has no line of this digest and version, so that the same command goes
on where it was stopped; `--anew` has results measured again, each of which stands until then. At the end `table.py`
writes the tables of docs/benchmark.md and a sentence in README.md, of lines with the present digests; others are left
out, and named.
Seconds are of processor time; `elapsed` has those of the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "measuring"))

import measurements
import table as tables
from declared import DATA_SETS, REPEATS, DataSet
from measurements import Progress, Results

if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "jax")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait leave the cores to others

import numpy as np

import lossreg
from lossreg.errors import did_you_mean
from lossreg.runtime import backend

WINNER, BASELINE = "winner", "baseline"
TUNED = "tuned_baseline"  # that of the study that tunes decisions


def measured(given: DataSet, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the line of a data set."""
    rows, study = given.table(), given.study()
    study["search"] |= overrides
    result, of_study = timed(lambda: lossreg.tune(study, data=rows, progress=False))
    of_rows = on_test_rows(study, rows)
    tuned = with_tuned_decisions(study, rows) if of_rows.is_tuned else None
    boosted, of_boosting = timed(lambda: of_rows.boosted(given, rows))
    arms = {**of_rows.arms, **({TUNED: tuned.pop("arm")} if tuned else {}), "boosting": boosted}
    return {
        "name": given.name, "rows": given.rows, "metric": given.metric, "digest": given.digest,
        **of_verdict(result), **of_rows.compared(arms),
        "with_tuned_decisions": tuned, "seconds": of_study, "boosting_seconds": of_boosting,
        "version": lossreg.__version__, "backend": backend.name(),
    }  # fmt: skip


def with_tuned_decisions(study: Mapping[str, Any], rows: Any) -> dict[str, Any]:
    """Return what the same study with tuned decisions says, and what its baseline predicts of the test rows."""
    study = {**study, "name": f"{study['name']}_tuned", "search": {**study["search"], "decision": "tuned"}}
    result, seconds = timed(lambda: lossreg.tune(study, data=rows, progress=False))
    verdict = result.verdict
    said = {"answer": verdict.answer.value, "winner": verdict.winner.candidate, "decision": verdict.decision}
    gain = interval(verdict.against_baseline)
    return {**said, "gain": gain, "seconds": seconds, "arm": on_test_rows(study, rows).arms[BASELINE]}


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Return what was done, and the seconds of processor time, and of the clock, that it took."""
    begin, clock = sum(os.times()[:4]), time.perf_counter()
    done = work()
    return done, {"processor": sum(os.times()[:4]) - begin, "elapsed": time.perf_counter() - clock}


def of_verdict(result: Any) -> dict[str, Any]:
    """Return what the study says."""
    verdict = result.verdict
    return {
        "trials": len(result.trials), "losses": list(result.losses), "answer": verdict.answer.value,
        "cause": verdict.cause.value if verdict.cause else None, "winner": verdict.winner.candidate,
        "baseline": verdict.baseline.candidate, "recommended": verdict.recommended.candidate,
        "recipe": verdict.recommended.recipe, "learning_rate": verdict.recommended.learning_rate,
        "folds_won": verdict.folds_won, "reason": verdict.reason, "text": str(verdict),
        "same_rate": interval(verdict.against_same_rate), "both_tuned": interval(verdict.against_tuned_decision),
    }  # fmt: skip


@dataclass(frozen=True)
class OnTestRows:
    """The test rows of a study and what its verdict kept: predictions `(repeats, rows, ...)` by arm.

    parts: development and test rows, of each outer fold where there are some.
    """

    prepared: Any
    tested: Any
    parts: list[tuple[np.ndarray, np.ndarray]]
    arms: dict[str, np.ndarray]

    @property
    def is_tuned(self) -> bool:
        """Whether the verdict had a decision to tune, and rows to tune it on."""
        return f"{BASELINE}_tuned" in self.arms

    def boosted(self, given: DataSet, rows: Any) -> np.ndarray:
        """Return what gradient boosting predicts of the test rows."""
        import boosting

        dataset = self.prepared.problem.dataset
        y = np.asarray(dataset.scored_labels(dataset.rows.scored))
        return boosting.predictions(
            rows.drop(columns=given.target), y, self.parts, task=given.task, metric=given.metric,
            response=self.prepared.metric.response, repeats=REPEATS,
        )  # fmt: skip

    def compared(self, arms: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Return mean scores of arms, and the winner's gains over others."""
        metric = self.prepared.metric
        scores = {name: self._score(lanes) for name, lanes in arms.items()}
        gains = {name: self._gain(arms, name) for name in (BASELINE, TUNED, "boosting")}
        return {"direction": metric.direction, "test_rows": self.tested.rows, "scores": scores, "gains": gains}

    def _score(self, lanes: np.ndarray) -> float:
        from lossreg.verdict import variation

        metric, finite = self.prepared.metric, lanes[np.isfinite(lanes).all(axis=tuple(range(1, lanes.ndim)))]
        finite = finite.astype(np.int64) if metric.response == "label" else finite
        return float(variation.scores(metric, self.tested.y, finite, self.tested.folds).mean())

    def _gain(self, arms: Mapping[str, np.ndarray], other: str) -> list[float] | None:
        """Return the winner's gain over an arm with the ends of its 95% interval, as the verdict computes it."""
        from lossreg.verdict.comparison import compare

        if other not in arms:
            return None
        repeats = min(len(arms[WINNER]), len(arms[other]))
        winner, reference = (arms[name][:repeats] for name in (WINNER, other))
        seed, tested = self.prepared.spec.search.seed, self.tested
        return interval(compare(
            self.prepared.metric, tested.y, winner, reference, groups=tested.groups, folds=tested.folds, seed=seed
        ))  # fmt: skip


def on_test_rows(study: Mapping[str, Any], rows: Any) -> OnTestRows:
    """Return what the verdict of a study kept."""
    from lossreg.config import study as studies
    from lossreg.search import preparation
    from lossreg.search.frozen import Notes
    from lossreg.search.judgement import Tested
    from lossreg.storage.journal_keys import FROZEN
    from lossreg.storage.study_folder import StudyFolder
    from lossreg.storage.trials import ATTRIBUTE

    prepared = preparation.prepare(studies.of(study, data=rows), rehearsed=False)
    spec, held = prepared.spec, prepared.problem.dataset.rows
    folder = StudyFolder(spec.folder, spec.name)
    noted = Notes.of_stored(folder.read().user_attrs[ATTRIBUTE][FROZEN], spec.search.trials).last
    outer = held.outer(noted.outer, spec.search.seed) if noted.outer else ()
    parts = [(part.development, part.test) for part in outer] or [(held.development, held.test)]
    arms = folder.predictions.load(noted.key, noted.outer)
    return OnTestRows(prepared, Tested.of(prepared.problem.dataset, outer), parts, arms)


def interval(compared: Any) -> list[float] | None:
    return [compared.difference, compared.low, compared.high] if compared else None


# ------------------------------------------------------------------ one after the other


def main() -> None:
    parser = arguments()
    args = parser.parse_args()
    if problem := refused(args.names):
        parser.error(problem)
    overrides = {"trials": args.trials} if args.trials else {}
    if args.one:
        here(chosen(args.names)[0], overrides)
    elif args.trials:
        end(all_tried(chosen(args.names), args.trials))
    else:
        end(all_of(args.names, anew=args.anew))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of data sets; all by default")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--anew", action="store_true", help="measure these data sets again")
    what.add_argument("--trials", type=int, help="of each study, to try this out: nothing is stored")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser


def refused(names: Sequence[str]) -> str:
    """Return what is wrong with the names, or missing for them; empty where nothing is."""
    known = [given.name for given in DATA_SETS]
    if unknown := [name for name in names if name not in known]:
        hint = did_you_mean(unknown[0], known) or f"There are: {', '.join(known)}"
        return f"there is no data set {unknown[0]!r}. {hint}"
    missing = sorted({given.package for given in chosen(names) if not given.there})
    return f"missing: {', '.join(missing)}; `make benchmark` installs what is needed" if missing else ""


def end(failed: Sequence[str]) -> None:
    """End with an error that names what failed."""
    if failed:
        sys.exit(f"{', '.join(failed)}: without a result; the same command tries again")


def chosen(names: Sequence[str]) -> list[DataSet]:
    return [given for given in DATA_SETS if not names or given.name in names]


def here(given: DataSet, overrides: Mapping[str, Any]) -> None:
    """Measure one data set in this process, and print its line."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with redirect_stdout(sys.stderr):
            line = measured(given, overrides)
    print(json.dumps(line))


def all_of(names: Sequence[str], *, anew: bool = False, path: Path = tables.RESULTS) -> list[str]:
    """Measure what is not measured yet, and write the tables; return what failed."""
    results = tables.results(path)
    results.report_broken()
    if anew:
        results.request(given.name for given in chosen(names))
    todo = missing(names, path)
    progress = progress_of(todo, len(chosen(names)), tables.stored(path))
    with measurements.stoppable(progress):
        progress.announce()
        failed = [given.name for given in todo if not added(given, results, progress)]
        tables.write(path)
    return failed


def progress_of(todo: Sequence[DataSet], total: int, lines: tables.Lines) -> Progress:
    """Return the progress of data sets, with the seconds that their results took."""
    named = {f"{given.name}: {given.rows} rows, {given.metric}": elapsed(lines.get(given.name, {})) for given in todo}
    return Progress("data sets", named, total, measurements.going_on(__file__))


def elapsed(line: Mapping[str, Any]) -> float | None:
    """Return the seconds that a result took; None without one."""
    return sum(parts["elapsed"] for parts in tables.times(line)) if "seconds" in line else None


def added(given: DataSet, results: Results, progress: Progress) -> bool:
    """Measure a data set and store its line; return whether it has one."""
    progress.name_next()
    if line := apart(given):
        results.put(json.loads(line))
        progress.done += 1
    return bool(line)


def missing(names: Sequence[str], path: Path) -> list[DataSet]:
    """Return the data sets without a line of the present declaration and version, and those to be measured again."""
    lines = tables.current(path).items()
    done = [name for name, line in lines if line["version"] == lossreg.__version__ and measurements.AGAIN not in line]
    return [given for given in chosen(names) if given.name not in done]


def all_tried(todo: Sequence[DataSet], trials: int) -> list[str]:
    """Measure data sets with so many trials, and print their lines; return what failed."""
    progress = progress_of(todo, len(todo), {})
    with measurements.stoppable(progress):
        return [given.name for given in todo if not tried(given, trials, progress)]


def tried(given: DataSet, trials: int, progress: Progress) -> bool:
    """Measure a data set with so many trials, print its line, and return whether it has one."""
    progress.name_next()
    line = apart(given, "--trials", str(trials))
    print(line, flush=True)
    progress.done += bool(line)
    return bool(line)


def apart(given: DataSet, *options: str) -> str:
    """Measure a data set in a process of its own, and return its line; empty where that failed."""
    try:
        return list(measurements.output([sys.executable, __file__, "--one", given.name, *options]))[-1].strip()
    except subprocess.CalledProcessError:
        return ""


if __name__ == "__main__":
    main()
