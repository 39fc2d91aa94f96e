"""Known claims about losses, each tried in a small study.

    KERAS_BACKEND=jax python studies/claims/run.py          # `make claims`; goes on where it stopped
    python studies/claims/run.py --table                    # writes the table of docs/claims.md anew

For each seed the data are cut, or made, anew, and a study of this folder searches over its losses, their parameters and
the learning rate. The best confirmed setting of each loss is then trained `REPEATS` times on fresh splits of the
development rows, and scored on test rows, whose labels are right. Scores go into `results.jsonl`; a study that has its
line there is not run again.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
SEEDS, REPEATS = 5, 3


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


def measured(study: dict[str, Any], seed: int) -> dict[str, Any]:
    """Run a study, and return the scores of each loss on its test rows, those of each repeat."""
    import lossreg
    from lossreg.config import study as studies
    from lossreg.search import one_split, preparation, restore
    from lossreg.search.arms import WINNER
    from lossreg.search.predictions import Predictor
    from lossreg.search.retrainer import Group
    from lossreg.storage.observer import Observer

    rows = rows_of(study["data"]["source"], seed)
    if rows:
        study["data"].pop("source")
    result = lossreg.tune(study, data=rows, progress=False)
    best = {row.candidate: row.best for row in result.ranking() if row.best}
    prepared = preparation.prepare(studies.of(study, (), rows), rehearsed=False)
    plans = {name: restore.plan_of(prepared, trial) for name, trial in best.items()}
    dataset, splits = prepared.problem.dataset, range(one_split.FIRST, one_split.FIRST + REPEATS)
    predictor, predicted = Predictor(), dict[str, list[np.ndarray]]()
    with one_split.retrainer(prepared, Observer(), range(REPEATS)) as retrainer:
        for one in retrainer.train_groups([Group(plans)], splits, "test rows", wants_weights=True):
            if one.training.weights is None:
                continue
            of_arms = predictor.of_arm(WINNER, retrainer.problem, one.plan, one.training.weights)
            for arm, values in of_arms.items():  # with the decision as usual, and with it tuned
                predicted.setdefault(arm.replace(WINNER, one.asked.name), []).append(values)
    return {
        "baseline": result.baseline, "test_rows": len(dataset.test),
        "trials": {name: len(result.ranked(name)) for name in best},
        "recipes": {name: f"{trial.recipe}, learning rate {trial.learning_rate:.3g}" for name, trial in best.items()},
        "scores": {arm: scores(prepared.metric, dataset, np.stack(made)) for arm, made in predicted.items()},
    }  # fmt: skip


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


def run(out: Path, seeds: int, only: Sequence[str]) -> None:
    """Run the studies that have no line yet."""
    from lossreg.training import programs

    done = {(line["study"], line["setting"], line["seed"]) for line in lines_of(out)}
    todo = [(seed, setting) for seed in range(seeds) for setting in settings() if not only or setting.study in only]
    with programs.shared():
        for number, (seed, setting) in enumerate(todo, 1):
            if (setting.study, setting.name, seed) in done:
                continue
            begin = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder, chdir(folder):
                (Path(folder) / "claim_measures.py").write_text((HERE / "claim_measures.py").read_text())
                found = measured(study_of(setting, seed), seed)
            seconds = round(time.perf_counter() - begin)
            line = {"study": setting.study, "setting": setting.name, "seed": seed, **found, "seconds": seconds}
            with out.open("a") as stream:
                stream.write(json.dumps(line) + "\n")
            print(f"{number}/{len(todo)} {setting.study} {setting.name}: {seconds} s", flush=True)


def lines_of(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of results, none where it is not there."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def main() -> None:
    """Run what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--only", nargs="+", default=[], metavar="STUDY", help="studies of this folder")
    parser.add_argument("--table", action="store_true", help="write the table alone")
    args = parser.parse_args()
    if not args.table:
        run(args.out.absolute(), args.seeds, args.only)
    import claim_table as table

    table.PAGE.write_text(table.written(table.PAGE.read_text(), lines_of(args.out)))


if __name__ == "__main__":
    main()
