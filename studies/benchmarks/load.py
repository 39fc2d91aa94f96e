"""The time that commands take on a study of many trials.

    python studies/benchmarks/load.py [--trials 1000 20000 100000] [--more 32] [--candidates 3] [--tracked]
        [--keep FOLDER]
    python studies/benchmarks/load.py --short 64 256 1500 [--samplers tpe random] [--set KEY=VALUE ...]

A study on iris is run for a few trials of one epoch, and the lines of its journal about trials that the sampler chose
are repeated, with other numbers and worse scores, until it has as many trials as asked for. Each command then runs in a
process of its own, imports included; `processor` is its time on all cores, which other work on the machine disturbs
less than `wall`. `tune` runs `--more` further trials; `search` has the seconds that it notes as spent on the search.
With `--candidates 100` it has as many candidates, all but three of them focal losses of their own gamma.
With `--tracked` the study has an MLflow store, and `sync` then writes into it what is missing there, as `tune` does.
With `--short` studies of so many trials of two epochs (`--set train.epochs=20`: of as many) are run with each sampler,
and the share of the time is printed that training waits for the search: of both, and of all that `tune` takes, imports
not counted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
BEGUN = 64
CREATE, STATE = 4, 6
STUDY = """
name = "load"
data = {{ source = "sklearn:iris" }}
model = {{ hidden = [16] }}
train = {{ epochs = 1, batch_size = 16 }}
search = {{ trials = {trials}, metric = "log_loss" }}
tracking = {{ enabled = {tracked} }}
verdict = {{ enabled = false }}

[losses]
cross_entropy = {{}}
focal = {{}}
label_smoothing_ce = {{}}
"""


def further(count):
    """The lines of a study for so many candidates more."""
    return "".join(f'focal_{i} = {{ loss = "focal", gamma = {5 * i / count}, alpha = "none" }}\n' for i in range(count))


def grow(journal, trials):
    """Append trials to a journal: the last half of its own again and again, with other numbers and scores."""
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    count = sum(line["op_code"] == CREATE for line in lines)
    by_trial = {number: [] for number in range(count)}
    created = iter(range(count))
    for line in lines:
        if line["op_code"] == CREATE or "trial_id" in line:
            by_trial[next(created) if line["op_code"] == CREATE else line["trial_id"]].append(line)
    models = [by_trial[number] for number in range(count // 2, count)]
    chance = random.Random(0)
    with journal.open("a") as file:
        for number in range(count, trials):
            for line in repeated(models[number % len(models)], number, chance.uniform(1.01, 2.0)):
                file.write(json.dumps(line, separators=(",", ":")) + "\n")


def repeated(lines, number, factor):
    """The lines of a trial as those of another one, with a worse score."""
    for line in lines:
        new = line if line["op_code"] == CREATE else {**line, "trial_id": number}
        if line["op_code"] == STATE and line["values"]:
            new["values"] = [value * factor for value in line["values"]]
        if "lossreg" in line.get("user_attr", {}):
            record = line["user_attr"]["lossreg"]
            new["user_attr"] = {"lossreg": {**record, "told": record["told"] * factor}}
        yield new


def command(*arguments):
    """Run a command of lossreg; return its seconds on the clock and of the processor, and what it wrote."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "lossreg", *arguments], capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def measure(trials, args):
    """Print a row for each command on a study of so many trials."""
    text = STUDY.format(trials=max(BEGUN, args.candidates), tracked=str(args.tracked).lower())
    Path("study.toml").write_text(text + further(args.candidates - 3))
    command("tune", "study.toml")
    (journal,) = Path().glob("**/journal.log")
    grow(journal, trials)
    searched = json.loads(command("results", "study.toml", "--json")[2])["seconds"]["search_spent"]
    more = ["--set", f"search.trials={trials + args.more}"]
    commands = {
        "results": ("results", "study.toml"),
        "tune --dry-run": ("tune", "study.toml", "--dry-run", *more),
        "model": ("model", "study.toml"),
        f"tune, {args.more} more": ("tune", "study.toml", "--json", *more),
    }
    if args.tracked:
        commands["sync"] = ("sync", "study.toml")
    for name, arguments in commands.items():
        wall, processor, written = command(*arguments)
        search = f"{json.loads(written)['seconds']['search_spent'] - searched:8.1f}" if "--json" in arguments else ""
        print(f"{trials:7d}  {name:16s} {wall:8.1f} {processor:10.1f} {search}", flush=True)


def measure_short(trials, samplers, settings):
    """Print for each sampler the seconds of training, those that it waited for the search, and their shares."""
    print("trials  sampler  training   waited   share    total   of it")
    for count, name in itertools.product(trials, samplers):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            Path("study.toml").write_text(STUDY.format(trials=count, tracked="false"))
            overrides = ["train.epochs=2", f"search.sampler={name}", *settings]
            changes = [part for override in overrides for part in ("--set", override)]
            seconds = json.loads(command("tune", "study.toml", "--json", *changes)[2])["seconds"]
            os.chdir(Path(__file__).parent)
        training, waited, total = seconds["training"], seconds["search"], seconds["total"]
        share = waited / (training + waited)
        print(
            f"{count:6d}  {name:7s} {training:9.1f} {waited:8.1f} {share:7.0%} {total:8.1f} {waited / total:7.0%}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 20000, 100000])
    parser.add_argument("--more", type=int, default=32)
    parser.add_argument("--candidates", type=int, default=3)
    parser.add_argument("--tracked", action="store_true", help="with an MLflow store, into which `sync` writes")
    parser.add_argument("--keep", type=Path, help="a folder for the studies, which are left there")
    parser.add_argument(
        "--short", type=int, nargs="+", metavar="TRIALS", help="measure studies of trials of two epochs instead"
    )
    parser.add_argument("--samplers", nargs="+", default=["tpe", "random"], help="of --short")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="of the studies of --short")
    args = parser.parse_args()
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if args.short:
        measure_short(args.short, args.samplers, args.set)
        return
    print(" trials  command              wall  processor   search")
    for trials in args.trials:
        with ExitStack() as stack:
            folder = args.keep / str(trials) if args.keep else Path(stack.enter_context(tempfile.TemporaryDirectory()))
            folder.mkdir(parents=True, exist_ok=True)
            os.chdir(folder)
            measure(trials, args)
            os.chdir(Path(__file__).parent)


if __name__ == "__main__":
    main()
