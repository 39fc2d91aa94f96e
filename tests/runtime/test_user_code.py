from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lossreg.errors import InputError, UnknownError
from lossreg.runtime import user_code

CODE = """
import helper_of_mine

def answer(a, b=1):
    return a + b + helper_of_mine.ONE

def broken():
    x = {}
    return x["nothing"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "helper_of_mine.py").write_text("ONE = 1\n")
    (tmp_path / "syntax.py").write_text("def f(:\n")
    (tmp_path / "failing.py").write_text("\n\nraise RuntimeError('at import')\n")
    return tmp_path


def test_a_function_of_a_file_is_found_beside_its_own_imports(folder: Path) -> None:
    before = list(sys.path)
    assert user_code.locate("mine.py:answer", folder)(1) == 3
    assert sys.path == before


def test_a_file_is_executed_once_until_it_changes(folder: Path) -> None:
    first = user_code.locate("mine.py:answer", folder)
    assert user_code.locate("mine.py:answer", folder) is first
    (folder / "mine.py").write_text("def answer(a):\n    return 40 + a\n\n# longer\n")
    assert user_code.locate("mine.py:answer", folder)(2) == 42


def test_a_function_of_a_module_is_found_in_the_base_and_on_the_path(folder: Path) -> None:
    package = folder / "pack_of_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "sub.py").write_text("def f():\n    return 5\n")
    assert user_code.locate("pack_of_mine.sub:f", folder)() == 5
    assert user_code.locate("os.path:join", folder)("a", "b") == "a/b"


@pytest.mark.parametrize(
    ("reference", "kind", "says"),
    [
        ("mine.py", InputError, "neither a file nor a module"),
        ("nowhere.py:f", InputError, "no such file"),
        ("mine.py:anser", UnknownError, "Did you mean answer"),
        ("mine.py:zzzzzz", UnknownError, "It has helper_of_mine, answer, broken"),
        ("syntax.py:f", InputError, "SyntaxError"),
        ("failing.py:f", InputError, r"RuntimeError: at import \(failing.py, line 3\)"),
        ("no_such_module_here:f", InputError, "ModuleNotFoundError"),
        ("../../etc/passwd:b", InputError, r"\.\./etc/passwd is neither a \.py file nor the dotted name of a module"),
        (".mine:answer", InputError, "neither a .py file nor the dotted name"),
        ("mine.:answer", InputError, "neither a .py file nor the dotted name"),
        ("a folder/mine:answer", InputError, "neither a .py file nor the dotted name"),
    ],
)
def test_what_cannot_be_found_is_said(folder: Path, reference: str, kind: type[InputError], says: str) -> None:
    with pytest.raises(kind, match=says) as error:
        user_code.locate(reference, folder)
    assert str(error.value).startswith(reference)


def test_a_failing_import_leaves_nothing_behind(folder: Path) -> None:
    for _ in range(2):
        with pytest.raises(InputError, match="at import"):
            user_code.locate("failing.py:f", folder)


def test_an_error_in_the_users_code_is_quoted_with_its_line(folder: Path) -> None:
    function = user_code.locate("mine.py:broken", folder)
    with pytest.raises(InputError, match=r"here: KeyError: 'nothing' \(mine.py, line 9\)"):
        user_code.call(function, "here", folder)


@pytest.mark.parametrize("change", ["sys.path = sys.path[1:]", "sys.path.clear()"])
def test_a_function_may_change_where_modules_are_looked_for(folder: Path, monkeypatch, change: str) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    (folder / "moves.py").write_text(f"import sys\ndef answer():\n    {change}\n    return 42\n")
    answer = user_code.locate("moves.py:answer", folder)
    assert user_code.call(answer, "moves.py:answer", folder) == 42


def test_arguments_are_passed_on(folder: Path) -> None:
    assert user_code.call(user_code.locate("mine.py:answer", folder), "here", folder, 5, b=10) == 16


@pytest.mark.parametrize(
    ("reference", "expected"), [("sub/mine.py:f", "base/sub"), ("mine.py:f", "base"), ("package.module:f", "base")]
)
def test_the_folder_of_a_reference(reference: str, expected: str) -> None:
    assert user_code.folder(reference, Path("base")) == Path(expected)
