"""Studies of tables as people have them, beside scikit-learn on the same rows.

    python studies/tables/compare.py [NAME ...] [--trials 8] [--recommended]

For each input of inputs.py: a study of 8 trials with two losses (or all that are recommended), without a verdict, in
a process that does one after the other; the score of the model it keeps on the test rows, which the study has not
looked at; and the scores of two models of scikit-learn, fitted on the same rows without the test rows, as its manual
does it: a linear model after one-hot encoding, scaling and imputation, and gradient boosting. Macro F1, for numbers
the share of the variance that is explained. Everything but the numbers of the test rows is computed outside of
lossreg.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
import traceback
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from inputs import INPUTS, Input


@dataclass
class Compared:
    """What a study and scikit-learn make of an input: scores on the same test rows; notes of the study."""

    name: str
    task: str
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
        cells = [self.name, self.task, self.rows, self.width, *scores, self.loss, f"{self.seconds:.0f}"]
        return f"| {' | '.join(map(str, cells))} |"


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


def score(given: Input, y, predicted) -> float:
    from sklearn.metrics import f1_score, r2_score

    return f1_score(y, predicted, average="macro", zero_division=0) if given.of_classes else r2_score(y, predicted)


def outside(given: Input, frame: pd.DataFrame, test: np.ndarray) -> list[float]:
    """Return the scores of scikit-learn's models."""
    from sklearn.pipeline import make_pipeline

    targets = [given.target] if isinstance(given.target, str) else list(given.target)
    table = features(frame.drop(columns=targets))
    for name in given.texts:
        table[name] = table[name].fillna("")
    y = frame[targets[0] if len(targets) == 1 else targets].to_numpy()
    train = np.setdiff1d(np.arange(len(frame)), test)
    scores = []
    for model in models(given):
        fitted = make_pipeline(encoder(table, given.texts), model).fit(table.iloc[train], y[train])
        scores.append(score(given, y[test], fitted.predict(table.iloc[test])))
    return scores


def labels(given: Input, predicted: np.ndarray, classes: tuple[str, ...], y: np.ndarray):
    """Return predictions of a model of Keras as labels of the data."""
    if given.task == "multilabel":
        return predicted > 0.5
    if not given.of_classes:
        return predicted.reshape(len(predicted), -1)[:, 0]
    codes = (predicted[:, 0] > 0.5).astype(int) if predicted.shape[1] == 1 else predicted.argmax(axis=1)
    by_name = {str(value): value for value in pd.unique(y)}
    return np.array([by_name[name] for name in np.array(classes)[codes]])


def ours(given: Input, frame: pd.DataFrame, study: dict):
    """Return the score of the model that a study keeps, the numbers of its test rows, and the study's result."""
    import lossreg
    from lossreg.data import loading

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = lossreg.tune(study, fresh=True)
        model, preprocessor = lossreg.load_trial(study)
        data = loading.load(**study["data"])
        test = data.rows.test
        raw = data.rows.raw.x
        part = raw.iloc[test] if isinstance(raw, pd.DataFrame) else raw[test]
        predicted = np.asarray(model.predict(preprocessor.transform(part), verbose=0))
    targets = [given.target] if isinstance(given.target, str) else list(given.target)
    y = frame[targets[0] if len(targets) == 1 else targets].to_numpy()
    return score(given, y[test], labels(given, predicted, data.classes, y)), test, result, data


def compared(given: Input, folder: Path, trials: int = 8, *, recommended: bool = False) -> Compared:
    """Return what a study of the input and scikit-learn reach."""
    frame = given.frame()
    study = given.study(given.source(frame, folder), len(frame), trials, recommended=recommended)
    os.chdir(folder)
    begin = time.perf_counter()
    reached, test, result, data = ours(given, frame, study)
    seconds = time.perf_counter() - begin
    linear, boosted = outside(given, frame, test)
    width = int(np.prod(data.input_shape))
    best = result.recommended
    notes = list(dict.fromkeys([*result.notes, *data.notes]))
    loss = best.candidate if best else ""
    return Compared(given.name, data.task, len(frame), width, reached, linear, boosted, loss, seconds, notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--recommended", action="store_true", help="all recommended losses")
    parser.add_argument("--json", help="a file for all figures and notes, a line per input")
    given = parser.parse_args()
    print(f"| input | task | rows | width | lossreg | linear | boosted | loss | s |\n{'| - ' * 9}|")
    for one in INPUTS:
        if (given.names and one.name not in given.names) or not one.there:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = compared(one, Path(folder), given.trials, recommended=given.recommended)
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
