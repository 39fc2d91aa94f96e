"""Time and peak memory of `lossreg predict` as a file grows.

    python studies/benchmarks/predicting.py [--rows 200000 1000000] [--kinds csv parquet] [--profile]

A small study on 20,000 rows of ten columns (six of numbers, one of them with gaps, two of categories, a date, a truth
value), then new rows of as many as asked, written once and predicted by a process of its own, as in a shell. Peak
memory is the largest resident set that the kernel counts; that of a process which only imports is in the first line.
--profile: where the seconds of the last file go, by function.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from large import measured

STUDY = """
name = "million"
[data]
source = "rows.parquet"
target = "bought"
[model]
hidden = [32, 16]
[train]
epochs = 2
[search]
trials = 1
[verdict]
enabled = false
[tracking]
enabled = false
[losses]
cross_entropy = {}
"""
READERS = {"csv": pd.DataFrame.to_csv, "parquet": pd.DataFrame.to_parquet}


def rows(count, seed):
    """Return rows of ten columns."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(count, 4)).round(4), columns=["a", "b", "c", "d"])
    days = rng.integers(0, 1500, count)
    table = table.assign(
        age=rng.integers(18, 90, count).astype(float), rooms=rng.integers(1, 8, count),
        city=rng.choice(["Bonn", "Köln", "Ulm", "Jena", "Kiel"], count), plan=rng.choice(["basic", "plus"], count),
        since=(pd.Timestamp("2020-01-01") + pd.to_timedelta(days, "D")).strftime("%Y-%m-%d"),
        member=rng.random(count) < 0.5,
    )  # fmt: skip
    table.loc[rng.random(count) < 0.1, "age"] = np.nan
    return table


def profiled(folder, name):
    """Print the functions in which a prediction in this process spends most of its time."""
    os.chdir(folder)
    from lossreg.prediction import filing, predictor_files

    predictor = predictor_files.load_folder(folder / ".lossreg" / "million")
    with cProfile.Profile() as profile:
        filing.predict(predictor, Path(name), Path("profiled.csv"))
    pstats.Stats(profile).strip_dirs().sort_stats("cumulative").print_stats(70)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--kinds", nargs="+", choices=READERS, default=[*READERS])
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train = rows(20_000, 0)
        bought = np.where(train["a"] + (train["city"] == "Ulm") > 0.5, "yes", "no")
        train.assign(bought=bought).to_parquet(folder / "rows.parquet", index=False)
        (folder / "million.toml").write_text(STUDY)
        measured(folder, "-m", "lossreg", "tune", "million.toml")
        print(f"| rows | from | to | s | s of the processor | peak, MiB |\n{'| --- ' * 6}|")
        before = measured(folder, "-c", "import keras, tensorflow, sklearn.compose, pyarrow.parquet")
        print("| imports alone | | | {:.1f} | {:.1f} | {:.0f} |".format(*before), flush=True)
        for kind in given.kinds:
            for count in given.rows:
                READERS[kind](rows(count, 1), folder / f"new.{kind}", index=False)
                command = ["-m", "lossreg", "predict", "million.toml", f"new.{kind}", "-o", f"out.{kind}"]
                spent = measured(folder, *command)
                print("| {:,} | {} | {} | {:.1f} | {:.1f} | {:.0f} |".format(count, kind, kind, *spent), flush=True)
        if given.profile:
            profiled(folder, f"new.{kind}")


if __name__ == "__main__":
    main()
