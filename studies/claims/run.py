"""Known claims about losses, each tried in a small study.

    KERAS_BACKEND=jax python studies/claims/run.py          # `make claims`; goes on where it stopped
    python studies/claims/run.py --table                    # writes the table of docs/claims.md anew

For each seed the data are cut, or made, anew, and a study of this folder searches over its losses, their parameters
and the learning rate. The best confirmed setting of each loss is then trained `REPEATS` times, each time on another
split of the development rows and from other weights, and scored on test rows, whose labels are right. Scores go into
`results.jsonl`, with the version of lossreg and a digest of the study (`digest_of`). A study is run again if it has no
line of this digest and version; `--anew` has all studies, or those in `--only`, run again, and each line stands until
then. One process runs all studies, and another, which can be stopped at any time, stores their lines. The table has
only lines of the present digests; others are left out, and named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import chdir, closing, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "measuring"))

import measurements
from measurements import Line, Progress, Results

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
SEEDS, REPEATS = 5, 3
MODULES = ("claim_data.py", "claim_measures.py")
OUTDATED = (
    "docs/claims.md: 'What was seen' is written by hand, and has numbers that the table no longer has: {}. Look at "
    "docs/does-the-loss-matter.md too."
)


class Setting(NamedTuple):
    """A study of this folder with other values of some keys."""

    study: str
    name: str
    changes: Mapping[str, Mapping[str, Any]]


def settings() -> Iterator[Setting]:
    """Yield the settings of all studies."""
    for share, epoch in ((0.2, "last"), (0.4, "last"), (0.6, "last"), (0.4, "best")):
        changes = {"data": {"noise": share}, "search": {"score_epoch": epoch}}
        yield Setting("noise", f"{share:.0%}, {epoch} epoch", changes)
    for ratio in (10, 50, 100):
        yield Setting("imbalance", f"{ratio}:1", {"data": {"source": f"claim_data.py:imbalanced_{ratio}"}})
    for percent in (5, 20):
        yield Setting("outliers", f"{percent}%", {"data": {"source": f"claim_data.py:outliers_{percent}"}})
    yield Setting("counts", "zeros", {})
    for name in ("digits", "breast_cancer"):
        yield Setting("square", name, {"data": {"source": f"sklearn:{name}"}})
    yield Setting("smoothing", "digits", {})
    for name, noise in (("digits", 0.0), ("digits, 20% wrong labels", 0.2)):
        yield Setting("focal", name, {"data": {"noise": noise}})


def study_of(setting: Setting, seed: int = 0) -> dict[str, Any]:
    """Return a study with the values of a setting."""
    study = tomllib.loads((HERE / f"{setting.study}.toml").read_text())
    for section, values in {**setting.changes, "search": {**setting.changes.get("search", {}), "seed": seed}}.items():
        study[section] = {**study[section], **values}
    if study["data"]["source"].startswith("claim_data.py"):
        study["data"].pop("test", None)  # they have test rows of their own
    return {**study, "name": re.sub(r"\W+", "-", f"{setting.study} {setting.name} {seed}")}


def rows_of(source: str, seed: int) -> dict[str, np.ndarray] | None:
    """Return the rows of a function of `claim_data.py`, made from the seed; None for other sources."""
    file, _, function = source.partition(":")
    if file != "claim_data.py":
        return None
    import claim_data as data

    (x, y), (x_test, y_test) = getattr(data, function)(seed)
    return {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test}


def digest_of(setting: Setting, seed: int) -> str:
    """Return a short hash of what a line depends on: the study, the number of trainings, data and measures."""
    study = json.dumps(study_of(setting, seed))
    code = [(HERE / module).read_text() for module in MODULES if module in study]
    return hashlib.sha256("\n".join([study, str(REPEATS), *code]).encode()).hexdigest()[:12]


def measured(study: dict[str, Any], seed: int) -> Line:
    """Run a study, and return the scores of each loss on its test rows, those of each training."""
    import lossreg
    from lossreg.runtime import backend

    result, prepared = searched(study, rows_of(study["data"]["source"], seed))
    best = {row.candidate: row.best for row in result.ranking() if row.best}
    dataset, predicted = prepared.problem.dataset, predictions(prepared, best)
    return {
        "baseline": result.baseline, "test_rows": len(dataset.test),
        "trials": {name: len(result.ranked(name)) for name in best},
        "recipes": {name: f"{trial.recipe}, learning rate {trial.learning_rate:.3g}" for name, trial in best.items()},
        "scores": {arm: scores(prepared.metric, dataset, np.stack(made)) for arm, made in predicted.items()},
        "version": lossreg.__version__, "backend": backend.name(),
    }  # fmt: skip


def searched(study: dict[str, Any], rows: dict[str, np.ndarray] | None) -> tuple[Any, Any]:
    """Run a study, and return its result and what its losses are trained with again."""
    import lossreg
    from lossreg.config import study as studies
    from lossreg.search import preparation

    if rows:
        study["data"].pop("source")
    result = lossreg.tune(study, data=rows, progress=False)
    return result, preparation.prepare(studies.of(study, (), rows), rehearsed=False)


def predictions(prepared: Any, best: Mapping[str, Any]) -> dict[str, list[np.ndarray]]:
    """Train the best trial of each loss again; return what they predict of the test rows, by loss and its decision."""
    from lossreg.search import one_split, restore
    from lossreg.search.arms import WINNER
    from lossreg.search.predictions import Predictor
    from lossreg.search.retrainer import Group
    from lossreg.storage.observer import Observer

    group = Group({name: restore.plan_of(prepared, trial) for name, trial in best.items()})
    splits = range(one_split.FIRST, one_split.FIRST + REPEATS)
    predictor, predicted = Predictor(), dict[str, list[np.ndarray]]()
    with one_split.retrainer(prepared, Observer(), range(REPEATS)) as retrainer:
        for one in retrainer.train_groups([group], splits, "test rows", wants_weights=True):
            if one.training.weights is None:
                continue
            of_arms = predictor.of_arm(WINNER, retrainer.problem, one.plan, one.training.weights)
            for arm, values in of_arms.items():  # with the decision as usual, and with it tuned
                predicted.setdefault(arm.replace(WINNER, one.asked.name), []).append(values)
    return predicted


def scores(metric: Any, dataset: Any, repeats: np.ndarray) -> dict[str, list[float]]:
    """Return each measure of an arm, of the repeats that have one."""
    from claim_measures import calibration_error, tempered

    from lossreg.metrics import catalogue

    y = dataset.test.y
    finite = np.isfinite(repeats).all(axis=tuple(range(1, repeats.ndim)))
    kept = repeats[finite].astype(np.int64) if metric.response == "label" else repeats[finite]
    if not len(kept):
        return {}
    made = {metric.name: metric.score_lanes(y, kept)}
    if metric.name == "mean_absolute_error":
        root = catalogue.resolve("root_mean_squared_error", dataset.task)
        made[root.name] = root.score_lanes(y, kept)
    if metric.name == "share_right":
        made["calibration_error"] = [calibration_error(y, repeat) for repeat in kept]
        made["calibration_error, temperature"] = [calibration_error(y, tempered(y, repeat)) for repeat in kept]
    return {name: np.round(values, 6).tolist() for name, values in made.items()}


Case = tuple[Setting, int]  # and the seed


def cases(seeds: int, only: Sequence[str] = ()) -> list[Case]:
    """Return the settings of all studies, or of some, with each seed."""
    return [(one, seed) for seed in range(seeds) for one in settings() if not only or one.study in only]


def run_here(todo: Iterable[Case]) -> None:
    """Run studies in this process, and print their lines."""
    from lossreg.training import programs

    with programs.shared():
        for setting, seed in todo:
            with redirect_stdout(sys.stderr):
                line = line_of(setting, seed)
            print(json.dumps(line), flush=True)


def run(results: Results, todo: Sequence[Case], progress: Progress) -> None:
    """Run studies in another process, and store their lines; it ends with the first one that fails."""
    command = [sys.executable, __file__, "--here", json.dumps([key_of_case(case) for case in todo])]
    with closing(measurements.output(command)) as lines, suppress(subprocess.CalledProcessError):
        progress.name_next()
        for line in lines:
            results.put(json.loads(line))
            progress.done += 1
            progress.name_next()


def line_of(setting: Setting, seed: int) -> Line:
    """Run a study in a folder of its own, and return its line."""
    begin, digest = time.perf_counter(), digest_of(setting, seed)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        (Path(folder) / "claim_measures.py").write_text((HERE / "claim_measures.py").read_text())
        found = measured(study_of(setting, seed), seed)
    of = {"study": setting.study, "setting": setting.name, "seed": seed, "digest": digest}
    return {**of, **found, "seconds": round(time.perf_counter() - begin)}


# ------------------------------------------------------------------ lines


def results_of(file: Path) -> Results:
    return Results(file, key_of)


def current(lines: Iterable[Line]) -> list[Line]:
    """Return the lines that the present studies would have, of each study the last one."""
    known = {(one.study, one.name): one for one in settings()}
    of_settings = [(line, known.get(key_of(line)[:2])) for line in lines]
    kept = {
        key_of(line): line for line, one in of_settings if one and line.get("digest") == digest_of(one, line["seed"])
    }
    return list(kept.values())


def missing(results: Results, wanted: Iterable[Case]) -> list[Case]:
    """Return what has no line of the present study and version, or is to be run again."""
    import lossreg

    lines = current(results.lines())
    done = [key_of(line) for line in lines if line["version"] == lossreg.__version__ and measurements.AGAIN not in line]
    return [case for case in wanted if key_of_case(case) not in done]


def key_of(line: Line) -> tuple[str, str, int]:
    return line["study"], line["setting"], line["seed"]


def key_of_case(case: Case) -> tuple[str, str, int]:
    setting, seed = case
    return setting.study, setting.name, seed


def named(key: tuple[str, str, int]) -> str:
    study, setting, seed = key
    return f"{study} {setting}, seed {seed}"


# ------------------------------------------------------------------ the command


def main() -> None:
    """Run what is missing, and write the table."""
    args = arguments().parse_args()
    if args.here:
        keys = {tuple(key) for key in json.loads(args.here)}
        run_here(case for case in cases(max(seed for *_, seed in keys) + 1) if key_of_case(case) in keys)
        return
    results = results_of(args.out.absolute())
    results.report_broken()
    if args.table:
        write_table(results.lines())
    elif failed := run_missing(results, cases(args.seeds, args.only), anew=args.anew):
        sys.exit(f"{failed}: without a result; the same command tries again")


def run_missing(results: Results, wanted: Sequence[Case], *, anew: bool) -> str:
    """Run the studies that have no result, or all of them anew, and write the table; return what failed."""
    if anew:
        results.request(map(key_of_case, wanted))
    todo, before = missing(results, wanted), {key_of(line): line.get("seconds") for line in results.lines()}
    names = {named(key): before.get(key) for key in map(key_of_case, todo)}
    progress = Progress("studies", names, len(wanted), measurements.going_on(__file__, "KERAS_BACKEND"))
    with measurements.stoppable(progress):
        progress.announce()
        if todo:
            run(results, todo, progress)
        write_table(results.lines())
    return "".join(list(names)[progress.done : progress.done + 1])


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = sorted({one.study for one in settings()})
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--only", nargs="+", default=[], metavar="STUDY", choices=known, help=", ".join(known))
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--anew", action="store_true", help="run these studies again")
    what.add_argument("--table", action="store_true", help="write the table alone")
    what.add_argument("--here", help=argparse.SUPPRESS)
    return parser


def write_table(lines: Sequence[Line]) -> None:
    """Write the table of the lines that are of the present studies, and name those that are not."""
    import claim_table as table

    kept = current(lines)
    for line in lines:
        if line not in kept:
            print(f"left out, as its study has changed since: {named(key_of(line))}", file=sys.stderr)
    page = table.written(table.PAGE.read_text(), kept)
    measurements.write(table.PAGE, page)
    if outdated := table.outdated(page):
        print(OUTDATED.format(", ".join(outdated)), file=sys.stderr)


if __name__ == "__main__":
    main()
