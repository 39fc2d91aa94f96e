"""`lossreg init` and `lossreg tune` on tables as people have them, beside scikit-learn on the same rows.

    python studies/tables/compare.py [NAME ...] [--trials 8] [--set KEY=VALUE]

For each input of inputs.py: `lossreg init` writes a study file, in which nothing is changed but that keys which only a
person can decide, and which it proposes as comments, are uncommented; `lossreg tune FILE --set search.trials=8` runs
it, here without verdict and MLflow, in a process that does one after the other; the model that it keeps predicts the
test rows, which the study has not looked at. Two models of scikit-learn are fitted on the same rows without the test
rows, as its manual does it: a linear model after one-hot encoding, scaling and imputation, and gradient boosting. All
scores are computed outside of lossreg, in the metric that `init` recommends; absolute errors as the share by which they
are smaller than those of the median.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
import tomllib
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from inputs import INPUTS, Input

SMALL = ("verdict.enabled=false", "tracking.enabled=false")


@dataclass
class Compared:
    """What a study and scikit-learn make of an input: scores on the same test rows; notes of the study."""

    name: str
    task: str
    metric: str
    rows: int
    width: int
    ours: float
    linear: float
    boosted: float
    loss: str
    seconds: float
    notes: list[str] = field(default_factory=list)

    def line(self) -> str:
        scores = [f"{score:.3f}" for score in (self.ours, self.linear, self.boosted)]
        cells = [self.name, self.task, self.metric, self.rows, self.width, *scores, self.loss, f"{self.seconds:.0f}"]
        return f"| {' | '.join(map(str, cells))} |"


def first_study(given: Input, frame: pd.DataFrame, folder: Path) -> Path:
    """Write the data, and the study that `init` proposes for them, with the keys that a person agrees to."""
    import lossreg

    data = given.write(frame, folder)
    is_table = isinstance(data, pd.DataFrame) or data.suffix not in ("", ".npz")
    text = lossreg.init(data, given.target if is_table else None, folder=folder).text
    for key, value in given.agreed.items():
        text = uncommented(text, key, value)
    path = folder / f"{given.name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def uncommented(text: str, key: str, value: object) -> str:
    """Return a study file in which a key that stands there as a comment counts."""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith(f"# {key} = ") and tomllib.loads(line[2:]) == {key: value}:
            return "".join([*lines[:number], line[2:], *lines[number + 1 :]])
    raise ValueError(f"init does not propose {key} = {value!r}")


def features(table: pd.DataFrame) -> pd.DataFrame:
    """Return dates as days and truth values as numbers, as the manual of scikit-learn leaves to its user."""
    table = table.copy()
    for name in table:
        if table[name].dtype.kind == "M":
            table[name] = (table[name] - pd.Timestamp("1970-01-01")).dt.days
        if table[name].dtype == bool:
            table[name] = table[name].astype(int)
    table.columns = table.columns.map(str)
    return table


def encoder(table: pd.DataFrame, texts: tuple[str, ...]):
    """Return scaled numbers, one-hot categories and the words of texts."""
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [name for name in table if pd.api.types.is_numeric_dtype(table[name])]
    others = [name for name in table if name not in numbers and name not in texts]
    steps = [
        ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        ("others", OneHotEncoder(handle_unknown="ignore", sparse_output=False), others),
        *((name, TfidfVectorizer(min_df=2, max_features=500), name) for name in texts),
    ]
    return ColumnTransformer(steps, sparse_threshold=0)


def models(given: Input):
    """Return the linear model and the gradient boosting for a task."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.multioutput import MultiOutputClassifier

    if given.task == "multilabel":
        return [MultiOutputClassifier(LogisticRegression()), MultiOutputClassifier(HistGradientBoostingClassifier())]
    if given.of_classes:
        trees = 100 if given.task == "binary" else 30  # per class
        return [LogisticRegression(max_iter=2000), HistGradientBoostingClassifier(max_iter=trees, random_state=0)]
    return [Ridge(), HistGradientBoostingRegressor(random_state=0)]


def score(metric: str, y, predicted, seen) -> float:
    """Return the score of predictions; seen: the labels of all rows but those tested."""
    from sklearn import metrics

    if metric in ("mean_absolute_error", "median_absolute_error"):
        error = getattr(metrics, metric)
        return 1 - error(y, predicted) / error(y, np.full(len(y), np.median(seen)))
    if metric == "f1_macro":
        return metrics.f1_score(y, predicted, average="macro", zero_division=0)
    return {"accuracy": metrics.accuracy_score, "r2": metrics.r2_score}[metric](y, predicted)


def outside(
    given: Input, frame: pd.DataFrame, y: np.ndarray, test: np.ndarray, metric: str, *, boosting: bool
) -> list[float]:
    """Return the scores of scikit-learn's models, NaN for boosting where it is left out."""
    from sklearn.pipeline import make_pipeline

    table = features(frame.drop(columns=[*given.targets, *given.aside]))
    for name in given.texts:
        table[name] = table[name].fillna("")
    train = np.setdiff1d(np.arange(len(frame)), test)
    scores = []
    for model in models(given)[: 1 + boosting]:
        fitted = make_pipeline(encoder(table, given.texts), model).fit(table.iloc[train], y[train])
        scores.append(score(metric, y[test], fitted.predict(table.iloc[test]), y[train]))
    return [*scores, *[float("nan")] * (2 - len(scores))]


def labels(given: Input, predicted: np.ndarray, classes: tuple[str, ...], y: np.ndarray):
    """Return predictions of a model of Keras as labels of the data."""
    if given.task == "multilabel":
        return predicted > 0.5
    if not given.of_classes:
        return predicted.reshape(len(predicted), -1)[:, 0]
    codes = (predicted[:, 0] > 0.5).astype(int) if predicted.shape[1] == 1 else predicted.argmax(axis=1)
    by_name = {str(value): value for value in pd.unique(y)}
    return np.array([by_name[name] for name in np.array(classes)[codes]])


def command(*arguments: str) -> None:
    """Call `lossreg`, in this process, so that Keras is imported once; raises `RuntimeError` where it fails."""
    from lossreg.cli.commands import app

    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            app(list(arguments), prog_name="lossreg")
        except SystemExit as ended:
            if ended.code:
                raise RuntimeError(f"lossreg {' '.join(arguments)} ended with {ended.code}: {out.getvalue()}") from None


def tuned(path: Path, trials: int, more: Sequence[str] = SMALL):
    """Run the study of a file with few trials; return it, its result, and what it read."""
    import lossreg
    from lossreg.config import study as studies
    from lossreg.search import study_data

    overrides = [f"search.trials={trials}", *more]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        command("tune", str(path), *(part for one in overrides for part in ("--set", one)))
        spec = studies.load(path, overrides)
        return spec, lossreg.results(spec), study_data.load_data(spec)[0]


def compared(given: Input, folder: Path, trials: int = 8, more: Sequence[str] = (), *, boosting=True) -> Compared:
    """Return what a study of the input and scikit-learn reach, with or without boosting, which takes longest."""
    import lossreg

    frame = given.frame()
    path = first_study(given, frame, folder)
    begin = time.perf_counter()
    spec, result, data = tuned(path, trials, [*SMALL, *more])
    seconds = time.perf_counter() - begin
    model, preprocessor = lossreg.load_trial(spec)
    raw, test, metric = data.rows.raw.x, data.rows.test, given.measure or result.metric
    part = raw.iloc[test] if isinstance(raw, pd.DataFrame) else raw[test]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values taken as missing, and of categories that no training row has
        predicted = np.asarray(model.predict(preprocessor.transform(part), verbose=0))
    y = frame[given.targets[0] if len(given.targets) == 1 else given.targets].to_numpy()
    reached = score(metric, y[test], labels(given, predicted, data.classes, y), np.delete(y, test, axis=0))
    linear, boosted = outside(given, frame, y, test, metric, boosting=boosting)
    width, loss = int(np.prod(data.input_shape)), result.recommended.candidate
    notes = list(dict.fromkeys([*result.notes, *data.notes]))
    scores = (reached, linear, boosted)
    return Compared(given.name, data.task, metric, len(frame), width, *scores, loss, seconds, notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of each study")
    parser.add_argument("--json", help="a file for all figures and notes, a line per input")
    given = parser.parse_args()
    print(f"| input | task | metric | rows | width | lossreg | linear | boosted | loss | s |\n{'| - ' * 10}|")
    for one in INPUTS:
        if (given.names and one.name not in given.names) or not one.there:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = compared(one, Path(folder), given.trials, given.set)
            except Exception as error:  # every input is told of, also one that is refused
                print(f"| {one.name} | {one.task} | {type(error).__name__}: {error} |", flush=True)
                if given.json:
                    traceback.print_exc()
                continue
        wrong = "" if found.task == one.task else f" (should be {one.task})"
        print(found.line() + wrong, flush=True)
        if given.json:
            with Path(given.json).open("a") as file:
                file.write(json.dumps(asdict(found)) + "\n")


if __name__ == "__main__":
    main()
