"""README, run: its Python, its study, its plugin, its commands; and the page about which loss to try."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from example_plugins import offered
from inline import Inline
from typer.testing import CliRunner

import lossreg
from lossreg import cli, conformance, tracking
from lossreg.config import study as studies
from lossreg.registry import registry
from lossreg.reporting import study_plots
from lossreg.reporting.verdict import decision
from lossreg.search import nested
from lossreg.tracking import tracker

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
ADVICE = (ROOT / "docs" / "which-loss.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def blocks(language, containing=""):
    return [text for kind, text in BLOCKS if kind == language and containing in text]


def commands(containing):
    lines = "".join(blocks("sh")).splitlines()
    return [line.split("#")[0].strip() for line in lines if line.startswith(containing)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(tracker, "Process", Inline)
    return tmp_path


def churn(path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"months": rng.integers(1, 60, 200), "plan": rng.choice(["a", "b"], 200)})
    table["left"] = np.where(table.months + 20 * rng.normal(size=200) < 20, "yes", "no")
    table.to_csv(path, index=False)


def test_every_block_is_looked_at_by_a_test_here():
    assert {kind for kind, _ in BLOCKS} == {"sh", "python", "toml"}
    assert len(blocks("python")) == 4
    assert len(blocks("toml")) == 2


def test_make_has_the_targets_and_they_do_what_is_said():
    for command in commands("make "):
        done = subprocess.run(
            ["make", "-n", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert {"make tune": "lossreg tune studies/quickstart.toml", "make test": "pytest"}[command] in done.stdout


def test_a_loss_in_model_compile(folder):
    space = {}
    exec(blocks("python", "model.compile")[0], space)
    x, y = np.zeros((8, 30), np.float32), np.arange(8) % 3
    assert np.isfinite(space["model"].fit(x, y, verbose=0).history["loss"][0])


@pytest.mark.long
def test_a_study_from_python(folder, capsys, monkeypatch):
    monkeypatch.setattr(nested, "is_usual", lambda *_: False)
    space = {}
    exec(blocks("python", "lossreg.tune")[0], space)
    result, printed = space["result"], capsys.readouterr().out
    assert decision(result, result.verdict) in printed
    assert [result.verdict.answer, result.recommended.recipe] == printed.splitlines()[-2:]
    assert result.best.candidate in printed


@pytest.mark.parametrize("trials", [12, pytest.param(128, marks=pytest.mark.long)])
def test_the_study_and_the_commands_on_it(folder, monkeypatch, trials):
    churn(folder / "churn.csv")
    churn(folder / "new.csv")
    document = blocks("toml", "[data]")[0]
    (folder / "churn.toml").write_text(document)
    spec = studies.load("churn.toml")
    assert (spec.name, spec.search.trials) == ("churn", 64)
    served = []
    monkeypatch.setattr(tracking, "serve", lambda *given: served.append(given))
    monkeypatch.setattr(study_plots, "figures", lambda result: {})  # which would only take time
    small = ["train.epochs=2", "verdict.outer=0", "verdict.repeats=4", f"search.trials={trials // 2}"]
    fast = [part for setting in small for part in ("--set", setting)]
    for command in commands("lossreg "):
        args = command.replace("--more 64", f"--more {trials // 2}").split()[1:]
        done = CliRunner().invoke(cli.app, args[:2] + (fast if args[0] == "tune" else []) + args[2:])
        assert done.exit_code == 0, (command, done.output)
    assert len(served) == 1
    assert (folder / "predicted.csv").exists()
    assert (folder / "model" / "predict.py").exists()
    assert lossreg.results("churn.toml").counts["complete"] == trials


def test_the_one_line_of_a_plugin_s_tests_is_a_test_of_every_check():
    space = {}
    exec(blocks("python", "lossreg.testing")[0], space)
    [mark] = space["test_my_loss"].pytestmark
    assert [case.values[1] for case in mark.args[1]] == list(conformance.CHECKS)
    assert f"{len(conformance.CHECKS)} checks" in README


def test_the_losses_advised_exist():
    lines = [line for line in ADVICE.splitlines() if line.startswith("|") and line.count("|") == 4]
    advised = set(re.findall(r"`(\w+)`", "".join(line.split("|")[2] for line in lines)))
    plugins = {name for plugin in ("arctan", "ordinal", "segmentation") for name in offered(plugin)}
    assert len(advised) > 30
    for name in advised - plugins:
        assert registry.default().get(name).name == name


def test_the_picture_is_drawn_by_the_command_that_is_named(folder, monkeypatch):
    [line] = re.findall(r"`lossreg (show [^`]*docs/gallery.png)`", ADVICE)
    Path("docs").mkdir()
    done = CliRunner().invoke(cli.app, line.split())
    assert done.exit_code == 0, done.output
    import matplotlib.image

    drawn, kept = (matplotlib.image.imread(root / "docs/gallery.png") for root in (Path(), ROOT))
    assert drawn.shape == kept.shape
    assert np.abs(drawn - kept).mean() < 0.01, "draw it again"


def test_the_commands_named_in_the_text_exist(folder):
    named = set(re.findall(r"`lossreg ([a-z-]+)", README + ADVICE))
    known = {command.name or command.callback.__name__ for command in cli.app.registered_commands}
    assert named <= known
    for line in ("losses", "show focal", "plugins", "metrics"):
        assert CliRunner().invoke(cli.app, line.split()).exit_code == 0


def test_the_plugin_is_found_listed_and_right(folder, monkeypatch):
    package = tomllib.loads(blocks("toml", "entry-points")[0])
    ((entry, module),) = package["project"]["entry-points"]["lossreg"].items()
    (folder / f"{module}.py").write_text(blocks("python", "hookimpl")[0])
    info = folder / f"{module}-{package['project']['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package['project']['name']}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[lossreg]\n{entry} = {module}\n")
    monkeypatch.syspath_prepend(str(folder))
    actual = registry.default(block=("a-name-that-makes-a-registry-of-its-own",)).find("quartic")
    assert (actual.distribution, actual.version) == (package["project"]["name"], "0.1")
    from lossreg import get, testing

    # e = -2: 4 + 1
    assert float(get(actual.spec, c=2.0)(np.array([[1.0], [2.0]]), np.array([[3.0], [2.0]]))) == pytest.approx(2.5)
    assert [result for result in testing.check(actual.spec) if not result.ok] == []


def test_links_inside_the_repository_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
