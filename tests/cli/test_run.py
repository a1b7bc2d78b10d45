"""From the options to the exit status: errors are one line, and signals end it; nothing real runs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import Pyro5.errors
import pytest

from pyro_events.cli import run as module
from pyro_events.cli.run import run

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]


class FakeRunner:
    """Starts, says so, and ends. during: what happens while it runs."""

    def __init__(
        self,
        during: Callable[[], Any] = lambda: None,
        waits: bool = False,
        on_hangup: Callable[[], None] | None = None,
    ) -> None:
        self.on_hangup = on_hangup
        self._during = during
        self._waits = waits
        self._stopped = threading.Event()
        self.shutdowns = 0

    def start(self, announce: Callable[[], None]) -> None:
        announce()
        self._during()
        if self._waits:
            assert self._stopped.wait(20)

    def shutdown(self) -> None:
        self.shutdowns += 1
        self._stopped.set()


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test's own handlers of signals, and its own log."""
    monkeypatch.setattr(module.logging, "basicConfig", lambda **settings: None)
    monkeypatch.setattr(module, "settle_streams", lambda: None)
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def started(make: Callable[[], Any], **arguments: Any) -> int:
    return run("pyro-test", make, lambda runner: print("started"), False, "goodbye", **arguments)


def test_it_says_when_it_has_started_and_when_it_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    assert started(FakeRunner, warnings=["PYROEVENTS_PROT is not an option"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == ["started", "goodbye"]
    assert said.err == "pyro-test: PYROEVENTS_PROT is not an option\n"


def fail(error: BaseException) -> Callable[[], Any]:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("make", "status", "text"),
    [
        (fail(ValueError("--port is wrong")), 2, "--port is wrong"),
        (lambda: FakeRunner(fail(OSError(98, "Address already in use"))), 1, "Address already in use"),
        (lambda: FakeRunner(fail(Pyro5.errors.NamingError("no name server"))), 1, "no name server"),
    ],
    ids=("option", "port", "name server"),
)
def test_an_error_is_one_line_and_a_status(
    make: Callable[[], Any], status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert started(make) == status
    said = capsys.readouterr()
    assert said.err == f"pyro-test: {text}\n" and "goodbye" not in said.out


def test_ctrl_c_before_it_runs_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert started(fail(KeyboardInterrupt())) == 130
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_the_first_signal_ends_it_in_order_and_the_next_one_at_once(number: signal.Signals) -> None:
    if number != signal.SIGINT:
        signal.signal(number, signal.SIG_DFL)
    runner = FakeRunner(lambda: os.kill(os.getpid(), number), waits=True)
    assert started(lambda: runner) == 0
    assert runner.shutdowns == 1
    # A second one may still come while the interpreter ends.
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_program_that_got_no_signal_has_its_handlers_back() -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    assert started(FakeRunner) == 0
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")
def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    during: list[Any] = []
    assert started(lambda: FakeRunner(lambda: during.append(signal.getsignal(signal.SIGHUP)))) == 0
    assert during == [signal.SIG_IGN]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")
@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_hang_up_does_what_the_runner_has_for_it_and_ends_nothing(before: Any) -> None:
    signal.signal(signal.SIGHUP, before)
    hung_up: list[int] = []

    def during() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)

    runner = FakeRunner(during, on_hangup=lambda: hung_up.append(1))
    assert started(lambda: runner) == 0
    assert (hung_up, runner.shutdowns) == ([1, 1], 0)
    assert signal.getsignal(signal.SIGHUP) is before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")
def test_a_hang_up_while_it_ends_does_not_end_it_at_once() -> None:
    runner = FakeRunner(lambda: os.kill(os.getpid(), signal.SIGTERM), waits=True, on_hangup=lambda: None)
    assert started(lambda: runner) == 0
    os.kill(os.getpid(), signal.SIGHUP)
    assert runner.shutdowns == 1


def test_a_log_that_nobody_reads_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(module.background, "flush", lambda rest: False)
    monkeypatch.setattr(module.os, "_exit", ends)
    with pytest.raises(SystemExit) as caught:
        started(fail(ValueError("--port is wrong")))
    assert caught.value.code == 2
