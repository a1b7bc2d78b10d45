"""What every test is held to, and what many of them need.

Knows: threads, descriptors and the environment of this process. Must not know: any single test.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import Pyro5
import pytest
from hypothesis import HealthCheck, settings
from processes import Spawner, spawning
from waiting import eventually

import pyro_events
from pyro_events.version import in_words
from resilience import ports

if TYPE_CHECKING:
    from pyro_events import EventServiceStarter

ROOT = Path(__file__).resolve().parent.parent
SETTLE = 10.0  # seconds that threads and sockets are given to end after a test
DESCRIPTORS = Path("/proc/self/fd")  # Linux; elsewhere only threads are watched

# Without the deadlines that Hypothesis has by default: how long an example takes says most about the machine.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def _descriptors() -> dict[str, str]:
    """The open sockets, pipes and polls of this process: number -> what it is."""
    found: dict[str, str] = {}
    if DESCRIPTORS.is_dir():
        for number in os.listdir(DESCRIPTORS):
            try:
                target = os.readlink(DESCRIPTORS / number)
            except FileNotFoundError:  # the one that listed the folder
                continue
            if target.startswith(("socket:", "pipe:", "anon_inode:")):
                found[number] = target
    return found


@pytest.hookimpl(optionalhook=True)  # the tests also run where pytest-xdist is not installed
def pytest_xdist_auto_num_workers() -> int:
    """What `--numprocesses=auto` means: most tests wait most of the time, so that each core has two."""
    return min(2 * (os.cpu_count() or 1), 12)


def pytest_configure() -> None:
    """Give each process of pytest-xdist ports of its own."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None:
        ports.use_part(int(worker.removeprefix("gw")), int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))


def pytest_report_header() -> str:
    """Say which form of the package is tested."""
    return f"{in_words()}, in {Path(pyro_events.__file__).parent}"


def pytest_collection_finish() -> None:
    """Keep what was imported and collected from the garbage collector, which needs 0.1 s for it each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def libuv() -> None:
    """Let libuv open the pipe that it keeps for the rest of the process before anybody looks."""
    if importlib.util.find_spec("uvloop"):
        importlib.import_module("uvloop").new_event_loop().close()


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """Fail a test that leaves a thread or a socket behind."""
    threads = set(threading.enumerate())
    before = set(_descriptors().items())
    yield

    def left() -> list[object]:
        more = [thread for thread in threading.enumerate() if thread not in threads]
        return more + [item for item in _descriptors().items() if item not in before]

    if left():
        _end_log_thread()
    if left():
        gc.collect()  # what only a cycle of references still holds
        eventually(lambda: not left(), SETTLE, f"the end of what the test left behind: {left()}")


def _end_log_thread() -> None:
    """End the log's thread now. By itself it ends a second after the last line that is limited in number."""
    log = sys.modules.get("pyro_events.log.background")
    if log is not None:
        log.background.flush(timeout=SETTLE, rest=True)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting of one test or of the user reaches another test."""
    for name in [name for name in os.environ if name.startswith(("PYRO_", "PYROEVENTS_"))]:
        monkeypatch.delenv(name)
    path = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), path] if path else [str(ROOT)]))
    Pyro5.config.reset(use_environment=False)
    yield
    Pyro5.config.reset(use_environment=False)


class FlushedLog(pytest.LogCaptureFixture):
    """pytest's `caplog`, in which everything that was logged is there when a test asks."""

    @property
    def records(self) -> list[logging.LogRecord]:
        _flush()
        return super().records

    @property
    def text(self) -> str:
        _flush()
        return super().text


def _flush(rest: bool = False) -> None:
    from pyro_events.log.background import background  # as in `service`

    assert background.flush(timeout=SETTLE, rest=rest), "the log does not come to an end"


@pytest.fixture
def caplog(request: pytest.FixtureRequest) -> Iterator[pytest.LogCaptureFixture]:
    _flush(rest=True)  # what was logged by the test before is not "lately" for this one
    captured = FlushedLog(request.node, _ispytest=True)
    yield captured
    captured._finalize()


@pytest.fixture(scope="session", autouse=True)
def usual_signals() -> None:
    """Started in the background, or by nohup, programs inherit that signals are ignored; ours must not."""
    for name in ("SIGINT", "SIGHUP", "SIGTERM"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            usual = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
            signal.signal(number, usual)


@pytest.fixture
def root() -> Path:
    """The top of the clone."""
    return ROOT


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that names a port of 127.0.0.1 on which nobody listens."""
    return ports.free_port


@pytest.fixture
def taken_default_port() -> Iterator[int]:
    """The default port, taken: by this test, or by what else runs on this machine."""
    from pyro_events.constants import DEFAULT_PORT

    def take() -> socket.socket | None:
        try:
            return socket.create_server(("127.0.0.1", DEFAULT_PORT))
        except OSError:
            return None

    try:
        taken = eventually(take)  # another test may have it, but for a moment only
    except AssertionError:
        taken = None
    with taken or contextlib.nullcontext():
        yield DEFAULT_PORT


@pytest.fixture
def service() -> Iterator[EventServiceStarter]:
    """A running event service on a free port of 127.0.0.1, known to no name server."""
    from pyro_events import EventServiceStarter  # here, so that broker and wire are tested without it

    with EventServiceStarter(host="127.0.0.1", port=0, use_ns=False) as starter:
        yield starter


@pytest.fixture(params=[True, False], ids=["callback", "own connection"])
def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """By which way events come to subscribers that do not say it: the test is made with both."""
    from pyro_events.client import subscriber  # as in `service`

    check, callback = subscriber.checked_callback, bool(request.param)
    monkeypatch.setattr(
        subscriber, "checked_callback", lambda given: callback if given is None else check(given)
    )
    return callback


@pytest.fixture
def spawn() -> Iterator[Spawner]:
    """Starts processes: spawn("-m", "pyro_events.es", "-N", ready="started"); ended with the test."""
    with spawning() as spawner:
        yield spawner
