"""`import lossreg` imports nothing heavy and offers every public name."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from contextlib import suppress
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

import lossreg
from lossreg.runtime import autoload

ROOT = Path(__file__).parents[1]
HEAVY = {"keras", "tensorflow", "mlflow", "optuna", "sklearn", "keras_tuner"}
SNIPPETS = {
    "import": "import lossreg; from lossreg import LossSpec, ops, hookimpl",
    "registry": "import lossreg.registry.registry; assert lossreg.registry.registry.default().specs()",
    "losses": "import lossreg; assert lossreg.losses('binary')",
    "help": "import runpy; sys.argv = ['lossreg', '--help']; runpy.run_module('lossreg', run_name='__main__')",
    "listing": "import runpy; sys.argv = ['lossreg', 'losses']; runpy.run_module('lossreg', run_name='__main__')",
}


def python(code):
    """Return what `code` prints on its last line, as JSON, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_listing_imports_nothing_heavy(snippet):
    code = f"import json, sys\ntry:\n    {SNIPPETS[snippet]}\nexcept SystemExit as end:\n    assert not end.code\n"
    assert HEAVY & set(python(code + "print(json.dumps(sorted(sys.modules)))")) == set()


def test_a_study_is_looked_up_without_keras():
    code = "import json, sys, lossreg.search.run, lossreg.storage.shared_study; print(json.dumps(list(sys.modules)))"
    assert not {"keras", "tensorflow", "mlflow"} & set(python(code))


def test_all_is_sorted_and_complete():
    assert lossreg.__all__ == sorted(lossreg.__all__)
    defined = {name for name, thing in vars(lossreg).items() if getattr(thing, "__module__", "").startswith("lossreg.")}
    public = {name for name in defined if not name.startswith("_")}
    assert public | set(lossreg._LAZY) | {"__version__", "hookimpl", "ops"} == set(lossreg.__all__)
    assert set(lossreg.__all__) <= set(dir(lossreg))


@pytest.mark.parametrize("name", lossreg.__all__)
def test_every_public_name_is_there(name):
    assert getattr(lossreg, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'lossreg' has no attribute 'huber'"):
        lossreg.huber  # noqa: B018


def test_the_version_is_that_of_the_package():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == lossreg.__version__


def named(requirements):
    """The distributions that requirements name, without those of extras."""
    return {re.match(r"[\w.-]+", each)[0].lower() for each in requirements if "extra ==" not in each}


def installed():
    """The names under which a plain `pip install lossreg` brings something to import."""
    waiting = named(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    found = set()
    while waiting:
        name = waiting.pop()
        found.add(name)
        with suppress(metadata.PackageNotFoundError):  # of other systems
            waiting |= named(metadata.requires(name) or []) - found
    brings = metadata.packages_distributions().items()
    return {top for top, names in brings if found & {name.lower() for name in names}}


def imported(source):
    """The packages that Python code imports from elsewhere."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names


def test_what_the_tuners_of_keras_tuner_import_is_installed_with_lossreg():
    [package] = find_spec("keras_tuner").submodule_search_locations
    files = [path for path in Path(package, "src", "engine").glob("*.py") if not path.stem.endswith("_test")]
    needed = set().union(*(imported(path.read_text()) for path in files))
    assert "tensorboard" in needed
    assert needed - installed() == set()


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """Two modules, one to be imported after the other; `order` tells which have run."""
    order = []
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "order", order, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "leader.py").write_text("import sys; sys.order.append('leader')\n")
    (tmp_path / "follower.py").write_text("import sys, leader; sys.order.append('follower')\n")
    yield order
    for name in ("leader", "follower"):
        sys.modules.pop(name, None)


def test_a_follower_is_imported_right_after_its_leader(pair):
    autoload.follow("leader", "follower")
    assert pair == []
    import_module("leader")
    assert pair == ["leader", "follower"]


def test_a_follower_is_imported_at_once_when_its_leader_is_there(pair):
    import_module("leader")
    autoload.follow("leader", "follower")
    assert pair == ["leader", "follower"]


def test_a_follower_may_be_imported_first(pair):
    autoload.follow("leader", "follower")
    import_module("follower")
    assert pair == ["leader", "follower"]


def test_looking_for_the_leader_is_not_importing_it(pair):
    autoload.follow("leader", "follower")
    assert find_spec("leader").name == "leader"
    assert pair == []
    import_module("leader")
    assert pair == ["leader", "follower"]


def test_a_leader_that_fails_may_be_tried_again(pair, tmp_path):
    sound = (tmp_path / "leader.py").read_text()
    (tmp_path / "leader.py").write_text("raise ImportError('not now')")
    autoload.follow("leader", "follower")
    with pytest.raises(ImportError, match="not now"):
        import_module("leader")
    (tmp_path / "leader.py").write_text(sound + "# longer, so that no cached bytecode is taken for it")
    import_module("leader")
    assert pair == ["leader", "follower"]


def test_an_absent_leader_is_reported_as_ever(pair):
    autoload.follow("no_such_leader", "follower")
    assert find_spec("no_such_leader") is None
    with pytest.raises(ModuleNotFoundError, match="no_such_leader"):
        import_module("no_such_leader")
