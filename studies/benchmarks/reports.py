"""What the pictures of a study and its page cost: to make, in size, and to open.

    python studies/benchmarks/reports.py [FOLDER ...] [--trials 1000] [--times 5] [--chromium /usr/bin/chromium]

The first rows are studies that were run, else the quickstart, with its verdict; the others are studies
on iris whose journal is grown to so many trials, as by `load.py`. In one process, all imports done, as at the end of
a study that has trained meanwhile: `plots` are the PNG files of MLflow's parent, drawn and written, `page` is
report.html; medians of so many times, and in brackets the seconds of the processor, which other work on the machine
disturbs less. `first` is what imports and the compression of plotly.js take before, which a
study does while it trains. Chromium, where it is there, opens the page in a window of 1,280 x 900: until the first
picture stands, and then until all do.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import tempfile
import time
from pathlib import Path

import load

from lossreg.reporting import page, study_plots
from lossreg.search import history
from lossreg.tracking import artifacts

QUICKSTART = Path(__file__).parents[1] / "quickstart.toml"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
# the page forbids that text is run as code later on, as Playwright's own waiting does
FIRST = """new Promise((done) => {
    (function look() { window.Plotly ? Promise.resolve(draw(figures[0])).then(() => done()) : setTimeout(look, 10) })()
})"""
ALL = "Promise.all(figures.map(draw)).then(() => figures.length)"


def medians(times, action):
    """The medians of the seconds that an action takes, on the clock and of the processor."""
    walls, processors = [], []
    for _ in range(times):
        begin, before = time.perf_counter(), time.process_time()
        action()
        walls.append(time.perf_counter() - begin)
        processors.append(time.process_time() - before)
    return statistics.median(walls), statistics.median(processors)


def quickstart(folder):
    """Run the quickstart; return its result."""
    file = folder / "quickstart.toml"
    file.write_text(QUICKSTART.read_text())
    load.command("tune", str(file), "--set", "tracking.enabled=false")
    return history.results(next(folder.glob(".lossreg/*")))


def grown(folder, trials):
    """Run a short study, and grow its journal to so many trials; return its result."""
    file = folder / "study.toml"
    file.write_text(load.STUDY.format(trials=load.BEGUN, tracked="false"))
    load.command("tune", str(file))
    (journal,) = folder.glob("**/journal.log")
    load.grow(journal, trials)
    return history.results(journal.parent)


def draw(result):
    """Draw the plots of MLflow's parent, and write them as it does."""
    figures = [*study_plots.figures(result).values(), *filter(None, [study_plots.verdict(result)])]
    for figure in figures:
        figure.savefig(io.BytesIO(), format="png")


def opened(chromium, file, times):
    """The medians of the seconds until the first picture stands, and of those until all do."""
    from playwright.sync_api import sync_playwright

    first, rest = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for _ in range(times):
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.set_default_timeout(300_000)
            begin = time.perf_counter()
            tab.goto(file.as_uri())
            tab.evaluate(FIRST)
            middle = time.perf_counter()
            tab.evaluate(ALL)
            first, rest = [*first, middle - begin], [*rest, time.perf_counter() - middle]
            tab.close()
        browser.close()
    return statistics.median(first), statistics.median(rest)


def row(name, result, args, folder):
    """Print what a study's pictures and page cost."""
    plots = medians(args.times, lambda: draw(result))
    made = medians(args.times, lambda: page.html(result))
    file = folder / "page.html"
    file.write_text(page.html(result), encoding="utf-8")
    size = f"{file.stat().st_size / 1e6:.2f}"
    browser = opened(args.chromium, file, args.times) if args.chromium.exists() else ()
    both = tuple(map(sum, zip(plots, made, strict=True)))
    cells = [f"{wall:.2f} ({processor:.2f})" for wall, processor in (plots, made, both)]
    cells = [name, str(len(result.trials)), *cells, size, *(f"{one:.2f}" for one in browser)]
    print(f"| {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", help="of studies that were run, instead of the quickstart")
    parser.add_argument("--trials", type=int, nargs="*", default=[1000])
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--chromium", type=Path, default=Path("/usr/bin/chromium"))
    args = parser.parse_args()
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    wall, processor = medians(1, artifacts.warm_up)
    print(f"first: {wall:.2f} s ({processor:.2f} of the processor)")
    print("| study | trials | plots | page | both | MB | first picture | all others |")
    run = {one.name: lambda _, one=one: history.results(one) for one in args.folders} or {"quickstart": quickstart}
    studies = {**run, **{f"grown to {n}": lambda folder, n=n: grown(folder, n) for n in args.trials}}
    for name, make in studies.items():
        with tempfile.TemporaryDirectory() as folder:
            row(name, make(Path(folder)), args, Path(folder))


if __name__ == "__main__":
    main()
