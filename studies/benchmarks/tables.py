"""lossreg's reading and encoding of tables against skrub's (`Cleaner`, `TableVectorizer`).

    pip install --no-deps "skrub==0.11.*" pydot
    python studies/benchmarks/tables.py [--only scores] [--names cities jobs]

Parts, each printed as a table:

scores    two fixed models of scikit-learn (Ridge or LogisticRegression, a small MLP) behind either encoding, three-fold
          cross-validation with the same folds: macro F1 or the share of the variance explained; columns in each fold
large     100,000 rows of 50 columns: seconds of the processor to fit and to transform, peak memory, bytes when stored
imports   seconds of the processor of `import`, after pandas and scikit-learn
cases     small tables as users sent them (`--cases FOLDER`, with a `y` in each), what becomes of their columns

Both get the same file. lossreg reads it itself; skrub has no reader, so `pandas.read_csv` reads it, with the separator
and the encoding told, since pandas does not find these. Behind skrub stands what its `tabular_pipeline` puts between
`TableVectorizer` and a linear model (imputation, `SquashingScaler`).
"""

from __future__ import annotations

import argparse
import json
import pickle
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tables"))
from inputs import INPUTS

NAMES = [
    "islp_default", "islp_wage", "islp_credit", "islp_oj", "islp_auto", "islp_college", "islp_carseats", "islp_hitters",
    "statsmodels_fair", "palmerpenguins_penguins", "palmerpenguins_penguins-raw", "german", "reviews", "mixed",
    "cities", "jobs", "money",
]  # fmt: skip
TOLD = {"german": {"sep": ";", "encoding": "cp1252"}, "money": {"sep": "\t"}, "statsmodels_modechoice": {"sep": ";"}}
WAYS = ("lossreg", "skrub")


class Ours:
    """lossreg's: decisions about columns are taken once, and all folds share them."""

    def __init__(self, path, target, drop, told):
        from lossreg.data import sources
        from lossreg.data.origin import Origin
        from lossreg.data.preprocess import Columns

        raw = sources.read(Origin("", str(path), target), drop=drop, base=Path(), seed=0)
        self.rows = raw.x
        self.columns = Columns.of(self.rows)

    def fit(self, train):
        from lossreg.data.preprocess import TablePreprocessor

        return TablePreprocessor().fit(self.rows.iloc[train], columns=self.columns)

    def transform(self, fitted, index):
        return fitted.transform(self.rows.iloc[index])

    def stored(self, fitted):
        from lossreg.data.preprocessor_file import dumps

        return len(dumps(fitted))


class Skrub:
    """skrub's: each fold is cleaned and vectorized by itself, as in a pipeline."""

    def __init__(self, path, target, drop, told):
        rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, **told)
        self.rows = rows.drop(columns=[target, *drop])

    def fit(self, train):
        import skrub
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline

        steps = [step for _, step in skrub.tabular_pipeline(Ridge()).steps[:-1]]
        return make_pipeline(skrub.Cleaner(), *steps).fit(self.rows.iloc[train])

    def transform(self, fitted, index):
        return np.asarray(fitted.transform(self.rows.iloc[index]), np.float32)

    def stored(self, fitted):
        return len(pickle.dumps(fitted))


def encoding(way, *given):
    return (Ours if way == "lossreg" else Skrub)(*given)


def models(of_classes):
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    small = {"hidden_layer_sizes": (64,), "max_iter": 30, "learning_rate_init": 3e-3, "random_state": 0}
    if of_classes:
        return LogisticRegression(max_iter=500), MLPClassifier(**small)
    plain = Ridge(), MLPRegressor(**small)
    return tuple(TransformedTargetRegressor(one, transformer=StandardScaler()) for one in plain)


def scored(given, way, folder):
    """Scores of the two models, means of three folds, and the columns of each fold."""
    from sklearn.metrics import f1_score, r2_score
    from sklearn.model_selection import KFold, StratifiedKFold

    frame = given.frame()
    path, y = given.write(frame, folder), frame[given.target].to_numpy()
    own = encoding(way, path, given.target, given.aside, TOLD.get(given.name, {}))
    cut = (StratifiedKFold if given.of_classes else KFold)(3, shuffle=True, random_state=0)
    scores, columns = [], []
    for train, test in cut.split(frame, y):
        fitted = own.fit(train)
        here, there = own.transform(fitted, train), own.transform(fitted, test)
        columns.append(here.shape[1])
        predicted = [model.fit(here, y[train]).predict(there) for model in models(given.of_classes)]
        measure = (lambda a, b: f1_score(a, b, average="macro")) if given.of_classes else r2_score
        scores.append([measure(y[test], one) for one in predicted])
    return np.mean(scores, axis=0), columns


def scores(names):
    print("| table | linear, lossreg | skrub | MLP, lossreg | skrub | columns, lossreg | skrub |\n" + "| - " * 7 + "|")
    for given in INPUTS:
        if given.name not in names or not given.there:
            continue
        found = {}
        for way in WAYS:
            with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    found[way] = scored(given, way, Path(folder))
                except Exception as error:
                    found[way] = (np.full(2, np.nan), [f"{type(error).__name__}: {error}"[:80]])
        cells = [f"{found[way][0][i]:.3f}" for i in range(2) for way in WAYS]
        widths = [", ".join(map(str, dict.fromkeys(found[way][1]))) for way in WAYS]
        print(f"| {given.name} | {' | '.join(cells)} | {' | '.join(widths)} |", flush=True)


def large(way):
    """Seconds of the processor, peak memory and stored bytes of one way, with 100,000 rows."""
    given = next(one for one in INPUTS if one.name == "large")
    with tempfile.TemporaryDirectory() as folder:
        path = given.write(given.frame(), Path(folder))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begin = time.process_time()
        own = encoding(way, path, given.target, [], {})
        read = time.process_time() - begin
        rows = np.arange(len(own.rows))
        fitted = own.fit(rows[:80_000])
        fit = time.process_time() - begin - read
        array = own.transform(fitted, rows)
        transform = time.process_time() - begin - read - fit
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {"read": read, "fit": fit, "transform": transform, "peak": peak, "before": before}
    return figures | {"columns": array.shape[1], "stored": own.stored(fitted)}


def alone(part, way):
    """Return what a part prints in a process of its own."""
    command = [sys.executable, __file__, "--only", part, "--way", way]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def imported(way):
    import sklearn.compose
    import sklearn.linear_model
    import sklearn.pipeline  # noqa: F401

    begin = time.process_time()
    if way == "lossreg":
        import lossreg.data.loading
        import lossreg.data.preprocess  # noqa: F401
    else:
        import skrub  # noqa: F401
    return {"seconds": time.process_time() - begin}


def kinds(array):
    """Return how many of the columns of an encoded table are only 0 and 1."""
    codes = int(sum(set(np.unique(column)) <= {0.0, 1.0} for column in array.T))
    return f"{array.shape[1]} columns, {codes} of 0 and 1, largest {np.abs(array).max(initial=0):.3g}"


def cases(folder):
    for path in sorted(folder.glob("*/*.csv")):
        for way in WAYS:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                try:
                    own = encoding(way, path, "y", [], {"sep": ";"} if ";" in path.read_text()[:99] else {})
                    rows = np.arange(len(own.rows))
                    encoded = kinds(own.transform(own.fit(rows[: len(rows) // 2]), rows))
                except Exception as error:
                    encoded = f"{type(error).__name__}: {error}"
            warned = [str(one.message).splitlines()[0] for one in said if one.category is UserWarning]
            print(f"| {path.parent.name} | {way} | {encoded[:160]} | {'; '.join(warned)[:160]} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["scores", "large", "imports", "cases"])
    parser.add_argument("--names", nargs="*", default=NAMES)
    parser.add_argument("--cases", type=Path)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps((large if given.only == "large" else imported)(given.way)))
        return
    if given.only in (None, "scores"):
        scores(given.names)
    for part in ("large", "imports"):
        if given.only in (None, part):
            for way in WAYS:
                print(part, way, alone(part, way), flush=True)
    if given.cases:
        cases(given.cases)


if __name__ == "__main__":
    main()
