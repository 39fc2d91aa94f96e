"""Take the screenshots of the documentation: `make screenshots`.

A study is run, and what a user sees is photographed: the live display, what `lossreg results` prints, the page of
`lossreg report` at three widths, and MLflow's own server in headless Chromium. Nothing is asked of any other machine.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import Browser, Error, Locator, Page, sync_playwright
from rich.console import Console, RenderableType
from rich.text import Text

import lossreg
from lossreg import tracking
from lossreg.reporting import page
from lossreg.reporting.progress import Display
from lossreg.tracking import ui

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "studies/quickstart.toml"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}")
COLUMNS = 100
# widths of the page of a study, each with a height at which its first picture is whole
PAGES = {400: 900, 1280: 1000, 1920: 1000}
# trials after which the live display is photographed
TRIALS = 40
COLOURS = 256
# what the browser keeps of a user who has closed MLflow's panel of questions to a language model
CLOSED = """
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true")
localStorage.setItem("mlflow.assistant.panelOpen_v1", "false")
"""
# the page forbids that text is run as code later on, as Playwright's own waiting does
DRAWN = """new Promise((done) => {
    (function look() { document.querySelector('.figure .main-svg') ? done() : setTimeout(look, 50) })()
})"""
# milliseconds that MLflow, which asks its server for news all the time, has to draw
SETTLE = 3000


@dataclass
class Study:
    """A study that has run: its result, its page, and what the terminal shows while it runs and afterwards."""

    result: Any
    html: Path
    terminal: Sequence[Path]


class Photographed(Display):
    """The live display, which keeps what it shows once `TRIALS` trials have ended."""

    def __init__(self, file: Path) -> None:
        super().__init__(Console(file=io.StringIO(), force_terminal=True, width=COLUMNS))
        self._file = file

    def epoch(self, active: int, epochs_done: int) -> None:
        """Keep what is shown."""
        super().epoch(active, epochs_done)
        if self.pace.done >= TRIALS and not self._file.exists():
            draw(self.render(), self._file, "lossreg tune quickstart.toml")


def draw(shown: RenderableType, file: Path, title: str) -> None:
    """Draw a terminal that shows something."""
    console = Console(file=io.StringIO(), record=True, width=COLUMNS)
    console.print(shown)
    # its fonts come from another server
    file.write_text(FONT_FACE.sub("", console.export_svg(title=title)))


def main() -> None:
    """Write the pictures into the folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("into", type=Path, nargs="?", default=ROOT / "docs/screens")
    parser.add_argument("--browser", default=shutil.which("chromium") or "", help="Chromium's executable")
    given = parser.parse_args()
    into = given.into.absolute()
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        os.chdir(folder)
        study = run(Path(folder))
        browser = playwright.chromium.launch(executable_path=given.browser or None, args=FLAGS)
        take(browser, study, into)
        browser.close()


def run(folder: Path) -> Study:
    """Run the study in a folder, and write its page."""
    file = folder / STUDY.name
    shutil.copy(STUDY, file)
    display, results = folder / "display.svg", folder / "results.svg"
    # open, the display keeps all that is written, errors included
    with closing(Photographed(display)) as watcher:
        result = lossreg.tune(file, progress=watcher)
    draw(printed("results", file.name), results, f"lossreg results {file.name}")
    html = folder / "quickstart.html"
    html.write_text(page.html(result, str(file.name)), encoding="utf-8")
    return Study(result, html, (display, results))


def printed(*arguments: str) -> Text:
    """Return what a command of lossreg prints on a terminal in colours."""
    terminal = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    command = [sys.executable, "-m", "lossreg", *arguments]
    return Text.from_ansi(subprocess.run(command, env=terminal, stdout=subprocess.PIPE, text=True, check=True).stdout)


def take(browser: Browser, study: Study, into: Path) -> None:
    """Take all pictures."""
    for svg in study.terminal:
        with opened(browser, 1100, 620, {svg.as_uri()}) as shown:
            shown.goto(svg.as_uri())
            size = shown.evaluate("(({width, height}) => ({width, height}))(document.documentElement.viewBox.baseVal)")
            shown.set_viewport_size({name: round(length) for name, length in size.items()})
            shoot(shown, into / f"{svg.stem}.png", "svg")
    for width, height in PAGES.items():
        with opened(browser, width, height, {study.html.as_uri()}) as shown:
            shown.goto(study.html.as_uri())
            shown.evaluate(DRAWN)
            shoot(shown, into / f"report-{width}.png")
    where = study.result.tracking
    with server(where["uri"]) as address, opened(browser, 1280, 900, {address}) as shown:
        shown.add_init_script(CLOSED)
        for name, route, seen in pages(where, study.result):
            shown.goto(f"{address}/#/{route}{'&' if '?' in route else '?'}{ui.VIEW}")
            seen(shown)
            shown.mouse.move(0, 0)  # else a chart under it shows its tools
            shown.wait_for_timeout(SETTLE)
            shoot(shown, into / f"mlflow-{name}.png")


def pages(where: Mapping[str, Any], result: Any) -> Iterator[tuple[str, str, Callable[[Page], Any]]]:
    """Return each page of MLflow: its name, its route, and a function that waits until it shows what it is about."""
    experiment = f"experiments/{where['experiment_id']}"
    run = f"{experiment}/runs/{where['run_id']}"
    trial = child(where, result.recommended.number)
    yield "experiments", "experiments", lambda shown: shown.get_by_role("link", name=result.study).first.wait_for()
    yield "runs", f"{experiment}/runs", unfold
    yield "compare", f"{experiment}/runs?compareRunsMode=CHART", lambda shown: charts(shown).first.wait_for()
    yield "study", run, lambda shown: shown.get_by_text("Show more").first.wait_for()
    yield "charts", f"{run}/model-metrics", lambda shown: charts(shown).first.wait_for()
    yield "trial", f"{experiment}/runs/{trial}/model-metrics", lambda shown: charts(shown).first.wait_for()


def unfold(shown: Page) -> None:
    """Show the trials below their study."""
    study = shown.get_by_role("gridcell").filter(has=shown.get_by_role("link"))
    study.locator("svg").first.click()


def charts(shown: Page) -> Locator:
    """Return the charts of a page of MLflow."""
    return shown.locator(".js-plotly-plot")


def child(where: Mapping[str, Any], number: int) -> str:
    """Return the run of a trial."""
    from mlflow import MlflowClient

    wanted = f"tags.mlflow.parentRunId = '{where['run_id']}' and params.trial = '{number}'"
    [run] = MlflowClient(where["uri"]).search_runs([where["experiment_id"]], wanted)
    return str(run.info.run_id)


@contextmanager
def opened(browser: Browser, width: int, height: int, allowed: set[str]) -> Iterator[Page]:
    """Open an empty page; an error on it, a failed request and one to another server are errors."""
    shown = browser.new_page(viewport={"width": width, "height": height})
    shown.set_default_timeout(120_000)
    wrong: list[str] = []
    shown.on("pageerror", lambda error: wrong.append(str(error)))
    shown.on("request", lambda request: None if is_allowed(request.url, allowed) else wrong.append(request.url))
    try:
        yield shown
    except Error:
        shown.screenshot(path="failed.png")
        raise
    shown.close()
    if wrong:
        raise SystemExit("\n".join(wrong))


def is_allowed(url: str, allowed: set[str]) -> bool:
    """Return whether a page may ask for an address: one of its own server, or one that needs none."""
    return urlsplit(url).scheme in ("data", "blob") or any(url.startswith(one) for one in allowed)


def shoot(shown: Page, file: Path, what: str = "") -> None:
    """Take a picture of the page, or of one element of it, in few colours."""
    taken = shown.locator(what).first.screenshot() if what else shown.screenshot()
    picture = Image.open(io.BytesIO(taken)).convert("RGB")
    picture.quantize(COLOURS).save(file, optimize=True)


@contextmanager
def server(uri: str) -> Iterator[str]:
    """Run MLflow's server on a store; its address."""
    port = tracking.free_port()
    with subprocess.Popen(ui.command(port), env=ui.environment(uri)) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            while not answers(address):
                if process.poll() is not None:
                    raise SystemExit("MLflow's server ended")
            yield address
        finally:
            process.terminate()


def answers(address: str) -> bool:
    """Return whether a server answers."""
    with suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(f"{address}/health", timeout=5):
        return True
    return False


if __name__ == "__main__":
    main()
