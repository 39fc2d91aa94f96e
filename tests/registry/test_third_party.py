"""Plugins as third parties live them: packages in environments of their own, sound and broken."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from venv import EnvBuilder

import pytest

import lossreg
from lossreg.cli import scaffold

SOURCE = Path(lossreg.__file__).parents[1]
PLUGINS = Path(__file__).parents[2] / "plugins"
PLUGIN = PLUGINS / "lossreg-arctan"
OFFERED = {
    "arctan": ["arctan"],
    "ordinal": ["coral", "corn", "squared_emd", "weighted_kappa"],
    "segmentation": ["dice", "jaccard", "tversky", "focal_tversky", "bce_dice"],
}
WRITTEN = {"tilted": "regression", "second_tilted": "multiclass"}
NAMES = [name for names in OFFERED.values() for name in names] + list(WRITTEN)
STUDY = """
name = "tiny"
[data]
source = "sklearn:make_regression?n_samples=120&n_features=4&noise=0.1&random_state=0"
[model]
hidden = [8]
[train]
epochs = 2
[search]
trials = 8
[losses.mean_squared_error]
[losses.arctan]
"""


def run(*command, folder=None, **environment):
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
    )


def printed(*command, **options):
    """The JSON document that `python -m lossreg ... --json` prints, which must succeed."""
    done = run(*command, "--json", **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


class Environment:
    """A virtual environment that borrows every package of this one, and may have its own."""

    def __init__(self, folder):
        # pip is borrowed too, where this environment has it
        builder = EnvBuilder(symlinks=True, with_pip=find_spec("pip") is None)
        builder.create(folder)
        self.folder, self.python = folder, builder.ensure_directories(folder).env_exe
        site_packages = sysconfig.get_path("purelib", "venv", {"base": str(folder)})
        borrowed = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})"
        Path(site_packages, "borrowed.pth").write_text(f"{SOURCE}\n{borrowed}\n")

    def pip(self, *arguments):
        done = run(self.python, "-m", "pip", "--no-cache-dir", "--disable-pip-version-check", *arguments)
        assert done.returncode == 0, done.stderr

    def install(self, *packages):
        self.pip("install", "--no-index", "--no-deps", "--no-build-isolation", *packages)

    def lossreg(self, *arguments, **options):
        return printed(self.python, "-m", "lossreg", *arguments, folder=self.folder, **options)[0]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """One environment with the plugins of this repository and with new ones, side by side."""
    venv = Environment(tmp_path_factory.mktemp("environment") / "own")
    for name, task in WRITTEN.items():
        scaffold.write(scaffold.names(name), venv.folder, task)
    venv.packages = [PLUGINS / f"lossreg-{name}" for name in OFFERED]
    venv.packages += [venv.folder / scaffold.names(name).distribution for name in WRITTEN]
    venv.install(*venv.packages)
    return venv


def test_installed_plugins_are_listed_with_their_distributions_and_versions(environment):
    plugins = {one["name"]: one for one in environment.lossreg("plugins")}
    assert set(plugins) == {"builtin", *OFFERED, *WRITTEN}
    for name, losses in {**OFFERED, **{name: [name] for name in WRITTEN}}.items():
        plugin, distribution = plugins[name], f"lossreg-{name.replace('_', '-')}"
        assert (plugin["distribution"], plugin["version"], plugin["losses"]) == (distribution, "0.1.0", losses)
        assert (plugin["error"], plugin["warnings"]) == (None, [])


def test_their_losses_are_listed_with_where_they_come_from(environment):
    losses = {one["name"]: one for one in environment.lossreg("losses")}
    assert set(NAMES) <= set(losses)
    arctan = losses["arctan"]
    assert (arctan["plugin"], arctan["distribution"], arctan["version"]) == ("arctan", "lossreg-arctan", "0.1.0")
    assert [param["name"] for param in arctan["params"]] == ["c"]


@pytest.mark.long
def test_their_losses_pass_the_conformance_suite(environment):
    done = run(environment.python, "-m", "lossreg", "check", *NAMES, "--json", folder=environment.folder)
    reports = json.loads(done.stdout)
    assert [report["loss"] for report in reports] == NAMES
    failed = [(report["loss"], check) for report in reports for check in report["checks"] if not check["ok"]]
    assert failed == []
    assert done.returncode == 0
    assert all(report["passed"] for report in reports)
    assert {report["loss"]: report["plugin"] for report in reports}["coral"] == "ordinal"


def test_a_blocked_plugin_is_not_listed(environment):
    names = [one["name"] for one in environment.lossreg("losses", LOSSREG_BLOCK="lossreg-arctan")]
    assert "arctan" not in names
    assert "huber" in names


@pytest.mark.long
def test_the_plugins_own_tests_pass(environment):
    folders = [package / "tests" for package in environment.packages]
    # `make test-all` runs the conformance suite of the others
    chosen = "second_tilted or not test_conformance"
    settings = ("-q", "-p", "no:cacheprovider", "-c", SOURCE / "pyproject.toml", "-k", chosen)
    done = run(environment.python, "-m", "pytest", *settings, *folders, folder=environment.folder)
    assert done.returncode == 0, done.stdout


@pytest.mark.long
@pytest.mark.parametrize(("plugin", "study"), [("ordinal", "diabetes"), ("segmentation", "strokes")])
def test_the_plugins_studies_run(environment, plugin, study):
    folder = shutil.copytree(PLUGINS / f"lossreg-{plugin}", environment.folder / plugin)
    tiny = ("--set", "search.trials=6", "--set", "train.epochs=1", "--set", "verdict.outer=0")
    result = environment.lossreg("tune", folder / f"{study}.toml", *tiny)
    assert result["trials"]["failed"] == 0
    assert set(OFFERED[plugin]) <= {row["name"] for row in result["losses"]}
    assert all(row["best_score"] is not None for row in result["losses"])


@pytest.mark.long
def test_a_study_tunes_over_an_installed_plugin(environment):
    (environment.folder / "tiny.toml").write_text(STUDY)
    result = environment.lossreg("tune", "tiny.toml")
    (row,) = [row for row in result["losses"] if row["name"] == "arctan"]
    assert row["trials"] >= 4
    assert row["best_score"] is not None
    assert set(row["params"]) >= {"arctan.c"}
    assert result["trials"]["complete"] == 8


def test_an_uninstalled_plugin_is_gone(tmp_path):
    environment = Environment(tmp_path / "own")
    environment.install(PLUGIN)
    assert "arctan" in [one["name"] for one in environment.lossreg("plugins")]
    environment.pip("uninstall", "--yes", "lossreg-arctan")
    assert "arctan" not in [one["name"] for one in environment.lossreg("plugins")]
    assert "arctan" not in [one["name"] for one in environment.lossreg("losses")]


YIELDING = """
from lossreg import LossSpec, hookimpl

@hookimpl
def {hook}():
    for name in {names}:
        yield LossSpec(name=name, function="math:fabs", tasks=("regression",), summary="s", reference="r")
    {last}
"""


def yielding(*names, hook="lossreg_losses", last="pass"):
    return YIELDING.format(names=names, hook=hook, last=last)


BROKEN = {
    "missing": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "quitter": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "wrongtype": ("plugin = 5", "offers no losses: an int has no lossreg_losses"),
    "misspelt": (yielding("misspelt_loss", hook="lossreg_loss"), "unknown hook 'lossreg_loss'"),
    "raising": (yielding("raising_loss", last="raise OSError('disk')"), "OSError: disk"),
    "collider": (yielding("collider_loss", "Huber".lower()), "claims the name huber, which lossreg itself has"),
    "first": (yielding("shared", "first_loss"), "plugin first (first 1.0) and plugin second (second 1.0)"),
    "second": (yielding("second_loss", "shared"), "plugin first (first 1.0) and plugin second (second 1.0)"),
}
SOUND = {
    "healthy": "print('hello')\n" + yielding("healthy_loss"),
    "slow": "import tensorflow\n" + yielding("slow_loss"),
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A folder of installed distributions, most of them broken, and a stand-in for TensorFlow."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "tensorflow.py").touch()
    for name, code in {**{name: code for name, (code, _) in BROKEN.items()}, **SOUND}.items():
        (folder / f"{name}_plugin.py").write_text(code)
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        attribute = ":plugin" if name == "wrongtype" else ""
        (info / "entry_points.txt").write_text(f"[lossreg]\n{name} = {name}_plugin{attribute}\n")
    return folder


def listed(broken, command, **environment):
    path = os.pathsep.join((str(broken), str(SOURCE)))
    return printed(sys.executable, "-m", "lossreg", command, folder=broken, PYTHONPATH=path, **environment)


@pytest.fixture(scope="module")
def plugins(broken):
    documents, errors = listed(broken, "plugins")
    return {one["name"]: one for one in documents}, errors


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_reported_by_name_distribution_and_version(plugins, name):
    documents, errors = plugins
    report = documents[name]
    assert BROKEN[name][1] in report["error"]
    assert (report["distribution"], report["version"], report["losses"]) == (name, "1.0", [])
    assert any(f"plugin {name} ({name} 1.0)" in line for line in errors.splitlines())


def test_a_slow_import_is_warned_of_by_name(plugins):
    documents, errors = plugins
    assert documents["slow"]["error"] is None
    assert documents["slow"]["losses"] == ["slow_loss"]
    (warning,) = [line for line in errors.splitlines() if "tensorflow" in line]
    assert "plugin slow (slow 1.0)" in warning


def test_everything_else_goes_on(broken, plugins):
    assert plugins[0]["healthy"]["losses"] == ["healthy_loss"]
    names = [one["name"] for one in listed(broken, "losses")[0]]
    assert {"healthy_loss", "slow_loss", "huber", "cross_entropy"} <= set(names)
    assert names.count("huber") == 1
    others = {f"{name}_loss" for name in BROKEN} | {"shared"}
    assert not others & set(names)


def test_blocking_one_of_two_rivals_lets_the_other_in(broken):
    documents, _ = listed(broken, "losses", LOSSREG_BLOCK="second,collider")
    assert next(one["plugin"] for one in documents if one["name"] == "shared") == "first"
