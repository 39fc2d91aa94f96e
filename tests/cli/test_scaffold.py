"""The files that `lossreg new-plugin` writes, and its refusals; registry/test_third_party.py installs and tests it."""

import ast
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from lossreg import InputError
from lossreg.cli import scaffold
from lossreg.registry.discovery import Source, collect


def run(*arguments, folder):
    command = (sys.executable, "-m", "lossreg", "new-plugin", *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("given", ["tilted", "lossreg-tilted", "lossreg_tilted"])
def test_loss_module_and_distribution_follow_from_one_name(given):
    named = scaffold.names(given)
    assert (named.loss, named.module, named.distribution) == ("tilted", "lossreg_tilted", "lossreg-tilted")


def test_words_are_joined_as_each_of_the_three_has_it():
    named = scaffold.names("my-second-loss2")
    assert (named.loss, named.distribution) == ("my_second_loss2", "lossreg-my-second-loss2")


BAD = ("", "lossreg", "lossreg-", "Tilted", "2nd", "my loss", "my--loss", "-x", "loss-", "../up", "a/b", "é", "lambda",
       "import", "ops", "hookimpl", "lossreg-lossreg", "a.b", "a\n")  # fmt: skip


@pytest.mark.parametrize("given", BAD)
def test_a_bad_name_is_refused(given):
    with pytest.raises(InputError, match="is no name for a plugin"):
        scaffold.names(given)


@pytest.mark.parametrize(
    "given", ["huber", "lossreg-huber", "mean-squared-error", "mse", "cross_entropy", "Huber".lower()]
)
def test_the_name_of_a_built_in_loss_is_refused(given):
    with pytest.raises(InputError, match=r"there is a loss of that name: .*, which is built in"):
        scaffold.names(given)


@pytest.mark.parametrize("task", scaffold.PARAMETERS)
def test_the_module_offers_one_loss_of_that_name(task):
    named = scaffold.names("tilted-twice")
    files = scaffold.files(named, task)
    assert set(files) == {"pyproject.toml", "README.md", "lossreg_tilted_twice.py", "tests/test_tilted_twice.py"}
    module = type(sys)("written")
    exec(files["lossreg_tilted_twice.py"], vars(module))
    (entry,), (report,) = collect([Source("tilted_twice", "lossreg-tilted-twice", "0.1.0", lambda: module)])
    assert (entry.spec.name, report.error) == ("tilted_twice", "")
    assert task in entry.spec.tasks
    assert all((entry.spec.params, entry.spec.summary, entry.spec.formula, entry.spec.reference))


@pytest.mark.parametrize("task", scaffold.PARAMETERS)
def test_what_is_written_parses_and_has_no_blanks_left(task):
    named = scaffold.names("tilted")
    for path, text in scaffold.files(named, task).items():
        assert "$" not in text, path
        assert text.endswith("\n")
        assert max(map(len, text.splitlines())) <= 120
        if path.endswith(".py"):
            ast.parse(text)
    project = tomllib.loads(scaffold.files(named, task)["pyproject.toml"])
    assert project["project"]["name"] == "lossreg-tilted"
    assert project["project"]["entry-points"]["lossreg"] == {"tilted": "lossreg_tilted"}


def test_a_folder_that_exists_is_left_alone(tmp_path):
    named = scaffold.names("tilted")
    (tmp_path / "lossreg-tilted").mkdir()
    with pytest.raises(InputError, match="already exists"):
        scaffold.write(named, tmp_path)
    assert written(tmp_path) == ["lossreg-tilted"]


def test_a_folder_that_cannot_be_made_leaves_nothing(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        scaffold.write(scaffold.names("tilted"), tmp_path / "file")
    assert written(tmp_path) == ["file"]


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    def fail(path, text, encoding):
        if path.name == "README.md":
            raise OSError(28, "No space left on device")
        path.touch()

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(InputError, match="cannot be written: no space left on device"):
        scaffold.write(scaffold.names("tilted"), tmp_path)
    assert written(tmp_path) == []


def test_an_unknown_task_is_refused_with_those_that_there_are(tmp_path):
    with pytest.raises(InputError, match=r"known: regression, multiclass. Did you mean multiclass"):
        scaffold.write(scaffold.names("tilted"), tmp_path, "multi-class")
    assert written(tmp_path) == []


def test_the_command_writes_and_says_what_comes_next(tmp_path):
    done = run("lossreg-tilted", "--folder", "new place", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "    pip install -e './new place/lossreg-tilted' pytest\n    lossreg check tilted\n" in done.stdout
    package = tmp_path / "new place" / "lossreg-tilted"
    assert written(package) == ["README.md", "lossreg_tilted.py", "pyproject.toml", "tests", "tests/test_tilted.py"]
    again = run("tilted", "--folder", "new place", folder=tmp_path)
    assert again.returncode == 2
    assert again.stderr.startswith("Error: new place/lossreg-tilted: already exists.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("My Loss",), "'My Loss': is no name for a plugin"), (("huber",), "'huber': there is a loss of that name"),
     (("tilted", "--task", "counting"), "--task: there is no template for 'counting'")],
)  # fmt: skip
def test_what_is_wrong_is_one_message_and_nothing_is_written(arguments, message, tmp_path):
    done = run(*arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {message}")
    assert done.stderr.count("\n") == 1
    assert written(tmp_path) == []


def test_the_list_of_plugins_says_how_to_write_one(tmp_path):
    command = (sys.executable, "-m", "lossreg", "plugins")
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "Write one of your own: lossreg new-plugin NAME"


def test_writing_a_plugin_imports_nothing_heavy(tmp_path):
    script = f"""
    import contextlib, sys
    from lossreg import cli
    sys.argv = ["lossreg", "new-plugin", "tilted", "--folder", {str(tmp_path)!r}]
    with contextlib.suppress(SystemExit):
        cli.main()
    heavy = "keras tensorflow mlflow optuna sklearn keras_tuner pandas scipy matplotlib numpy".split()
    assert not [name for name in heavy if name in sys.modules]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, capture_output=True)
    assert (tmp_path / "lossreg-tilted" / "pyproject.toml").is_file()
