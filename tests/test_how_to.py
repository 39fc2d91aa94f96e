"""The how-tos, the quick start and other pages with snippets: their files are written, and their commands run."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from lossreg import cli, conformance
from lossreg.config import study as studies
from lossreg.contract.declaration import spec_of
from lossreg.registry import registry

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
SMALL = ("train.epochs=2", "search.trials=8", "search.confirm=0", "verdict.enabled=false", "tracking.enabled=false")
PLUGINS = {"ordinal": "lossreg-ordinal", "segmentation": "lossreg-segmentation"}


@pytest.fixture(params=PAGES, ids=lambda page: page.stem)
def page(request, tmp_path, monkeypatch):
    """Yield the text of a page, whose files are written into the current folder and whose plugin is installed."""
    monkeypatch.chdir(tmp_path)
    text = request.param.read_text()
    for name, content in re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        Path(name).write_text(content)
    if plugin := PLUGINS.get(request.param.stem):
        installed(plugin, tmp_path, monkeypatch)
    yield text
    registry.forget()


def installed(plugin, folder, monkeypatch, package=None):
    name = plugin.replace("-", "_")
    info = folder / f"{name}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {plugin}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[lossreg]\n{name} = {name}\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.syspath_prepend(str(package or ROOT / "plugins" / plugin))
    registry.forget()


def run(text, *options):
    [command] = re.findall(r"^lossreg (tune .*)$", text, re.MULTILINE)
    done = CliRunner().invoke(cli.app, [*command.split(), *options])
    assert done.exit_code == 0, done.output
    return done.output


def losses(text):
    """Return the names of the losses of the page's study."""
    return re.findall(r"^\[losses\.(\w+)\]", text, re.MULTILINE)


def test_the_study_is_one_whose_losses_are_there(page):
    [file] = re.findall(r"^lossreg tune (.*)$", page, re.MULTILINE)
    spec = studies.load(file)
    assert list(spec.losses) == losses(page)
    own = re.findall(r"^function = \"[\w.]+:(\w+)\"", page, re.MULTILINE)
    for name in set(losses(page)) - set(own):
        assert registry.default().get(name).name == name


@pytest.mark.long
def test_a_dry_run_shows_the_losses_of_the_study(page):
    shown = run(page, "--dry-run")
    assert all(name in shown for name in losses(page))


@pytest.mark.long
def test_the_study_runs(page):
    shown = run(page, *(part for setting in SMALL for part in ("--set", setting)))
    assert all(name in shown for name in losses(page))


@pytest.mark.long
@pytest.mark.parametrize("page", [ROOT / "docs" / "how-to" / "quantiles.md"], indirect=True)
def test_the_interval_has_the_levels_in_order_around_the_prediction(page):
    study = Path("stock.toml")
    study.write_text(study.read_text() + "[losses.multi_quantile]\nlevels = [0.05, 0.5, 0.95]\n")
    run(page, *(part for setting in SMALL for part in ("--set", setting)))
    rows = np.random.default_rng(0).random((50, 10))
    shown = runpy.run_path("interval.py")
    low, middle, high = shown["quantiles"](rows).T
    assert ((low < middle) & (middle < high)).all()
    assert np.array_equal(middle, shown["model"].predict(shown["preprocessor"].transform(rows))[:, 0])


def test_there_are_ten():
    assert len(PAGES) == 10


# --------------------------------------------------------------------------------- further pages


def blocks(name, language):
    text = (ROOT / "docs" / name).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(name):
    lines = "".join(blocks(name, "sh")).splitlines()
    return [line.split("#")[0].split()[1:] for line in lines if line.startswith("lossreg ")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def invoke(*arguments):
    done = CliRunner().invoke(cli.app, [*arguments])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.long
def test_the_quick_start_comes_to_a_plan(folder):
    [rows] = blocks("quickstart.md", "python")
    exec(rows, {})
    init, dry_run, *others = commands("quickstart.md")
    assert [other[0] for other in others] == ["tune", "report", "ui", "predict", "export"]
    invoke(*init)
    assert "binary" in invoke(*dry_run)


@pytest.mark.long
def test_the_quick_start_runs_to_its_predictions(folder):
    exec(blocks("quickstart.md", "python")[0], {})
    init, _, tune, report, _, predict, export = commands("quickstart.md")
    small = ("train.epochs=2", "search.trials=8", "search.confirm=0", "verdict.enabled=false", "tracking.enabled=false")
    invoke(*init)
    invoke(*tune, *(part for setting in small for part in ("--set", setting)))
    invoke(*report)
    assert Path("tumours.html").exists()
    invoke(*predict)
    invoke(*export)
    assert len(Path("predicted.csv").read_text().splitlines()) == 570
    assert Path("model/predict.py").exists()


def test_the_plugin_of_the_page_is_written_and_right(folder, monkeypatch):
    [new, check] = commands("plugins.md")
    invoke(*new)
    assert check == ["check", "tilted"]
    for file, text in zip(("lossreg_tilted.py", "tests/test_tilted.py"), blocks("plugins.md", "python"), strict=True):
        assert (Path("lossreg-tilted") / file).exists()
        (Path("lossreg-tilted") / file).write_text(text)
    installed("lossreg-tilted", Path.cwd(), monkeypatch, Path.cwd() / "lossreg-tilted")
    try:
        names = runpy.run_path("lossreg-tilted/tests/test_tilted.py")
        names["test_a_value_worked_out_by_hand"]()
        marks = [mark for mark in names["test_conformance"].pytestmark if mark.name == "parametrize"]
        assert len(marks[0].args[1]) == len(conformance.CHECKS)
        spec = registry.default().get("tilted")
    finally:
        registry.forget()
    some = ("metadata", "shape", "gradient", "batch", "arguments", "domain")
    results = conformance.check(spec, some)
    assert [(one.name, one.ok) for one in results] == [(name, True) for name in some]
    assert f"{len(conformance.CHECKS)} checks" in (ROOT / "docs" / "plugins.md").read_text()


@pytest.mark.long
def test_the_plugin_of_the_page_passes_every_check(folder):
    names = {}
    exec(blocks("plugins.md", "python")[0], names)
    [spec] = map(spec_of, names["lossreg_losses"]())
    assert [one.message for one in conformance.check(spec) if not one.ok] == []


def test_the_workflow_of_the_page_installs_the_plugin_and_runs_its_tests():
    [text] = blocks("plugins.md", "yaml")
    [badge] = blocks("plugins.md", "markdown")
    workflow = yaml.safe_load(text)
    steps = workflow["jobs"]["conformance"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["pip install . pytest", "pytest"]
    assert f"/{workflow['name']}.yml/badge.svg" in badge


@pytest.mark.long
def test_the_objective_of_the_page_about_optuna_runs(folder):
    [objective] = blocks("coming-from-optuna.md", "python")
    names = {}
    exec(objective, names)
    assert {trial.params["loss"] for trial in names["search"].trials} <= {"cross_entropy", "focal"}
    assert 0 <= names["search"].best_value <= 1


def test_what_pages_count_is_counted():
    compared, sure, benchmark, claims = (
        (ROOT / "docs" / name).read_text() for name in ("comparison.md", "how-sure.md", "benchmark.md", "claims.md")
    )
    assert f"| {len(registry.default().specs())} and plugins |" in compared
    number, none, better = re.search(
        r"Of (\d+) data sets: \*no difference shown\* on (\d+), \*better\* on (\d+)\.", benchmark
    ).groups()
    assert f"[{number} of them](benchmark.md): *no difference shown* on {none}, *better* on {better}," in sure
    boosting = re.search(r"better than the network's best loss on (\d+), and worse on (\d+)", benchmark).groups()
    said = "on [{} data sets](benchmark.md) it was better than the best loss of a network on {}, and worse on {}"
    assert said.format(number, *boosting) in compared
    [studies] = re.findall(r"^(\d+) studies, ", claims, re.MULTILINE)
    assert f"[{studies} small studies](claims.md)" in sure
