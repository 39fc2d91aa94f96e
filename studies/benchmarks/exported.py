"""An export and a model in MLflow, in an environment that has their requirements and no lossreg.

    python studies/benchmarks/exported.py [--folder FOLDER]

A small study on rows with gaps, categories, dates, whole numbers and an ordered size; a new virtual environment with
what the export's `requirements.txt` names, as pip is set up here; new rows with gaps, unknown categories and another
order of columns, predicted there by `predict.py`, and, once the model's own requirements are installed too, by
`mlflow.pyfunc.load_model`, `mlflow models predict` and `mlflow models serve` over loopback. Each is compared with
`lossreg predict` and the largest difference of a probability is printed; it fails above 1e-6. Five minutes and 3 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd

TOLERANCE = 1e-6
STUDY = """
name = "moved"
[data]
source = "rows.csv"
target = "moved"
[model]
hidden = [8]
[train]
epochs = 5
[search]
trials = 2
[verdict]
enabled = false
[tracking]
uri = "sqlite:///mlflow.db"
[losses]
cross_entropy = {}
"""
PYFUNC = """
import sys, mlflow, pandas
rows = pandas.read_csv("new.csv")
mlflow.pyfunc.load_model(sys.argv[1]).predict(rows).to_csv("pyfunc.csv", index=False)
"""


def rows(count, seed):
    """Return rows with gaps, categories, dates, whole numbers and an ordered size, and their labels."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({
        "age": rng.normal(40, 9, count).round(2), "city": rng.choice(["Bonn", "Köln", "Ulm"], count),
        "since": pd.Timestamp("2021-03-01") + pd.to_timedelta(rng.integers(0, 900, count), "D"),
        "rooms": rng.integers(1, 6, count), "size": rng.choice(["small", "medium", "large"], count),
        "member": rng.random(count) < 0.5,
    })  # fmt: skip
    moved = np.where((table["age"] > 42) ^ (table["city"] == "Ulm"), "yes", "no")
    table.loc[rng.random(count) < 0.2, "age"] = np.nan
    table.loc[rng.random(count) < 0.1, "city"] = None
    return table.assign(since=table["since"].dt.strftime("%Y-%m-%d")), moved


def run(*command, folder, python_path=None):
    """Run a command in a folder, with no packages but those of its own environment unless some are given."""
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PATH": f"{Path(command[0]).parent}:{os.environ['PATH']}"}
    variables.pop("PYTHONPATH", None)
    variables |= {"PYTHONPATH": python_path} if python_path else {}
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=variables, check=False, capture_output=True, text=True
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done


def trained(folder):
    """Run the study, predict the new rows and export with lossreg; return the place of the model in MLflow."""
    table, moved = rows(400, 0)
    table.assign(moved=moved).to_csv(folder / "rows.csv", index=False)
    new, _ = rows(1000, 1)
    new.loc[new.index[::50], "city"] = "Rom"
    new[["size", "member", "city", "since", "age", "rooms"]].to_csv(folder / "new.csv", index=False)
    (folder / "study.toml").write_text(STUDY)
    here = os.environ.get("PYTHONPATH")
    for command in (
        ["tune", "study.toml"], ["predict", "study.toml", "new.csv", "-o", "expected.csv"],
        ["export", "study.toml", "export"],
    ):  # fmt: skip
        run(sys.executable, "-m", "lossreg", *command, folder=folder, python_path=here)
    from mlflow import MlflowClient

    [version] = MlflowClient(f"sqlite:///{folder}/mlflow.db").search_model_versions("name = 'moved'")
    return Path(version.source.removeprefix("file://"))


def served(python, folder, model):
    """Return the predictions of a server of MLflow, and the seconds until it was there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    records = pd.read_csv(folder / "new.csv").replace({np.nan: None}).to_dict(orient="records")
    command = [python, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local", "-p", port]
    variables = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}", "TF_CPP_MIN_LOG_LEVEL": "3"}
    variables.pop("PYTHONPATH", None)
    begin = time.perf_counter()
    with subprocess.Popen(
        [*map(str, command)], cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            if not any("Uvicorn running" in line for line in server.stderr):
                raise SystemExit("the server did not start")
            seconds = time.perf_counter() - begin
            body = json.dumps({"dataframe_records": records}).encode()
            asked = urllib.request.Request(
                f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(asked) as answer:
                return pd.DataFrame(json.load(answer)["predictions"]), seconds
        finally:
            server.terminate()
            server.communicate()


def compare(way, table, expected, note=""):
    """Print how far predictions lie from those of `lossreg predict`; end where that is too far."""
    both = [name for name in expected if name.startswith("probability_of_")]
    furthest = float(np.abs(table[both].to_numpy(float) - expected[both].to_numpy(float)).max())
    same = (table["prediction"].astype(str) == expected["prediction"].astype(str)).all()
    print(f"| {way} | {len(table)} | {furthest:.1e} | {'all' if same else 'NOT ALL'} | {note} |", flush=True)
    if furthest > TOLERANCE or not same or len(table) != len(expected):
        raise SystemExit(f"{way}: predictions differ")


def installed(python, folder, requirements):
    """Install requirements; return the number of packages that are there, and the seconds."""
    begin = time.perf_counter()
    run(python, "-m", "pip", "install", "--quiet", "-r", requirements, folder=folder)
    listed = json.loads(run(python, "-m", "pip", "list", "--format", "json", folder=folder).stdout)
    if any(package["name"] == "lossreg" for package in listed):
        raise SystemExit("lossreg is installed")
    return f"{len(listed)} packages, {time.perf_counter() - begin:.0f} s"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a new folder, which stays; else one that goes away")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside:
        folder = (given.folder or Path(aside)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        model = trained(folder)
        expected = pd.read_csv(folder / "expected.csv")
        run(sys.executable, "-m", "venv", "environment", folder=folder)
        python = folder / "environment" / "bin" / "python"
        print("| way | rows | furthest | same classes | |\n| --- | --- | --- | --- | --- |")
        note = installed(python, folder, "export/requirements.txt")
        begin = time.perf_counter()
        run(python, "export/predict.py", "new.csv", "-o", "export.csv", folder=folder)
        note += f"; predicted in {time.perf_counter() - begin:.0f} s"
        compare("`predict.py` of the export", pd.read_csv(folder / "export.csv"), expected, note)
        note = installed(python, folder, model / "requirements.txt")
        run(python, "-c", PYFUNC, model, folder=folder)
        compare("`mlflow.pyfunc`", pd.read_csv(folder / "pyfunc.csv"), expected, note)
        run(
            python, "-m", "mlflow", "models", "predict", "-m", model, "-i", "new.csv", "-t", "csv", "-o", "mlflow.json",
            "--env-manager", "local", folder=folder,
        )  # fmt: skip
        table = pd.DataFrame(json.loads((folder / "mlflow.json").read_text())["predictions"])
        compare("`mlflow models predict`", table, expected)
        table, seconds = served(python, folder, model)
        compare("`mlflow models serve`", table, expected, f"there after {seconds:.0f} s")


if __name__ == "__main__":
    main()
