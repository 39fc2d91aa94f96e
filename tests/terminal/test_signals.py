"""Handlers of signals during a block."""

from __future__ import annotations

import signal
from contextlib import suppress

import pytest

from lossreg.terminal import signals


def test_a_signal_that_is_ignored_stays_ignored():
    came, before = [], signal.getsignal(signal.SIGTERM)
    with signals.handled({signal.SIGHUP: signal.SIG_IGN}):
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        with signals.handled(dict.fromkeys((signal.SIGHUP, signal.SIGTERM), lambda number, frame: came.append(number))):
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert came == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_ends_is_no_failure_of_what_it_interrupts():
    ending = signals.Ending()
    with signals.handled({signal.SIGTERM: ending}), pytest.raises(KeyboardInterrupt), suppress(Exception):
        signal.raise_signal(signal.SIGTERM)
    assert ending.code == 143
