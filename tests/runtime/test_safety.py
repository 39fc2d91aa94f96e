"""Safe mode: when it is on, which plugins it allows, and that it ends with its block."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

import lossreg
from lossreg.errors import InputError
from lossreg.runtime import safety, user_code
from lossreg.runtime.safety import safe_mode


@pytest.fixture(autouse=True)
def _unset(monkeypatch):
    monkeypatch.delenv("LOSSREG_SAFE", raising=False)
    monkeypatch.delenv("LOSSREG_ALLOW", raising=False)


def test_it_is_on_in_its_block_alone_also_after_an_error():
    assert (safety.is_on(), safety.allowed(), safety.options()) == (False, None, [])
    with suppress(KeyError), lossreg.safe_mode():
        assert (safety.is_on(), safety.allowed(), safety.options()) == (True, frozenset(), ["--safe"])
        raise KeyError
    assert (safety.is_on(), safety.allowed()) == (False, None)


@pytest.mark.parametrize(("value", "is_on"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_the_environment_turns_it_on_and_allows_plugins(monkeypatch, value, is_on):
    monkeypatch.setenv("LOSSREG_SAFE", value)
    monkeypatch.setenv("LOSSREG_ALLOW", "arctan, lossreg-ordinal,")
    assert safety.is_on() is is_on
    assert safety.allowed() == (frozenset({"arctan", "lossreg-ordinal"}) if is_on else None)
    # the environment of the next command is the same
    assert safety.options() == []


def test_blocks_in_one_another_allow_what_all_of_them_allow(monkeypatch):
    monkeypatch.setenv("LOSSREG_ALLOW", "c")
    with safe_mode(["a", "b"]):
        assert safety.options() == ["--safe", "--allow-plugin", "a", "--allow-plugin", "b"]
        with safe_mode("b"):
            assert safety.allowed() == {"b", "c"}
            with safe_mode():
                assert safety.allowed() == {"c"}
        assert safety.allowed() == {"a", "b", "c"}


def test_it_holds_in_all_threads_until_the_last_block_ends():
    entered, leave, seen = threading.Event(), threading.Event(), []

    def other():
        with safe_mode():
            entered.set()
            leave.wait(60)
            seen.append(safety.is_on())

    thread = threading.Thread(target=other)
    with safe_mode():
        thread.start()
        assert entered.wait(60)
    assert safety.is_on()
    leave.set()
    thread.join()
    assert seen == [True]
    assert not safety.is_on()


@pytest.mark.parametrize("names", [[1], ["a", None], [b"a"]])
def test_plugins_are_named_by_texts(names):
    with pytest.raises(InputError, match="allow_plugins: must be names of plugins"), safe_mode(names):
        pass


@pytest.mark.parametrize("reference", ["mine.py:f", "os.path:join", "nowhere.py:f"])
def test_no_function_is_looked_up(tmp_path, reference):
    (tmp_path / "mine.py").write_text("raise SystemExit")
    with safe_mode(), pytest.raises(InputError, match=rf"^{reference}: is code, which safe mode does not run"):
        user_code.locate(reference, tmp_path)
