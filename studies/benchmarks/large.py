"""Time and peak memory of `lossreg init` and `lossreg tune` on the largest of the tables, 100,000 rows of 50 columns.

    python studies/benchmarks/large.py [--verdict] [--rows 100000] [--set KEY=VALUE]

Each command is a process of its own, as in a shell: `lossreg init large.csv --target bought`, and `lossreg tune
large.toml --set search.trials=8` on the file that it wrote, without a verdict and, if asked, with one. Peak memory is
the largest resident set that the kernel counts (`ru_maxrss`, what `/usr/bin/time -v` prints), less that of a process
which only imports what the command imports; sizes are told in multiples of the float32 table that is trained on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tables"))
from inputs import large

MIB = 2**20
IMPORTS = {"init": "import lossreg.cli.commands, lossreg.inspection.first_study, sklearn.compose, sklearn.tree"}
IMPORTS["tune"] = f"{IMPORTS['init']}, lossreg.search.run, lossreg.tracking, keras, tensorflow, mlflow"


def measured(folder, *command):
    """Return seconds by the clock, seconds of the processor, and the peak of memory in MiB of a command."""
    begin = time.perf_counter()
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen([sys.executable, *command], cwd=folder, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit((folder / "output.txt").read_text()[-2000:])
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def width(path):
    """Return the number of columns after preprocessing."""
    from lossreg.config import study as studies
    from lossreg.search import study_data

    return study_data.load_data(studies.load(path))[0].input_shape[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--verdict", action="store_true", help="with a verdict too, which takes many times as long")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of `lossreg tune`")
    given = parser.parse_args()
    more = [part for one in given.set for part in ("--set", one)]
    tune = ["-m", "lossreg", "tune", "large.toml", "--fresh", "--set", "search.trials=8", *more]
    commands = {
        "init": ["-m", "lossreg", "init", "large.csv", "--target", "bought"],
        "tune, no verdict": [*tune, "--set", "verdict.enabled=false"],
    }
    if given.verdict:
        commands["tune"] = tune
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large(given.rows).to_csv(folder / "large.csv", index=False)
        before = {kind: measured(folder, "-c", imports)[2] for kind, imports in IMPORTS.items()}
        found = {what: measured(folder, *command) for what, command in commands.items()}
        table = given.rows * width(folder / "large.toml") * 4 / MIB
        size = (folder / "large.csv").stat().st_size / MIB
    print(f"{given.rows:,} rows: a file of {size:.0f} MiB, a float32 table of {table:.0f} MiB")
    print(f"| command | s | s of the processor | peak, MiB | of which before | times the table |\n{'| - ' * 6}|")
    for what, (seconds, processor, peak) in found.items():
        empty = before[what[:4]]
        print(f"| {what} | {seconds:.1f} | {processor:.1f} | {peak:.0f} | {empty:.0f} | {(peak - empty) / table:.1f} |")


if __name__ == "__main__":
    main()
