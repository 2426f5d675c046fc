from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest

from streamctl.interrupts import hearing_signals, run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_and_cleaning_up_is_not_cut_short(number: signal.Signals) -> None:
    steps: list[str] = []

    async def work() -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), number)
            for _ in range(3):
                await asyncio.sleep(0)
            steps.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        run(work())
    assert steps == ["cleaned up"]


def test_a_hangup_that_was_ignored_at_the_start_stays_so() -> None:
    """As nohup starts a command that is to go on when its terminal closes."""

    async def work() -> str:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.01)
        return "done"

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run(work()) == "done"
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_work_that_takes_a_signal_for_its_end_returns() -> None:
    async def work() -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "stopped"
        return "never"

    assert run(work()) == "stopped"


def test_results_and_failures_pass() -> None:
    async def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError):
        run(fail())
    assert run(asyncio.sleep(0, "done")) == "done"


def test_a_signal_ends_a_write_that_waits_for_ever_and_cleaning_up_follows() -> None:
    steps: list[str] = []
    out, into = os.pipe()

    async def work() -> None:
        killer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
        try:
            with hearing_signals():
                killer.start()
                while True:
                    os.write(into, bytes(4_096))
        finally:
            await asyncio.sleep(0)
            killer.join()
            steps.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        run(work())
    assert steps == ["cleaned up"] and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    os.close(out)
    os.close(into)
