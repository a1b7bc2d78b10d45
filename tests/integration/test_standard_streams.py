"""Whatever becomes of standard input, output and error, the service runs and ends as told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from waiting import eventually

from pyro_events import EVENTSERVER_NAME, Publisher
from pyro_events.errors import ServiceUnreachableError

START = "-m pyro_events.es --no-ns --host 127.0.0.1 --port"


class Shell:
    """Starts services through a shell, whose redirections are what is tested."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.uri = f"PYRO:{EVENTSERVER_NAME}@127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, redirections: str, program: str | None = None, **streams: int) -> subprocess.Popen[bytes]:
        what = f"{START} {self.port}" if program is None else '-c "$PROGRAM"'
        env = {**os.environ, "PROGRAM": program or ""}
        command = f'exec "{sys.executable}" {what} {redirections}'
        self.process = subprocess.Popen(["sh", "-c", command], env=env, **streams)
        eventually(self.answers, 20, "an answer of the service")
        return self.process

    def answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, "it has ended"
        try:
            with Publisher(es_uri=self.uri) as publisher:
                return publisher.publish("A", 1) == 0
        except ServiceUnreachableError:
            return False

    def end(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture
def shell(free_port: Callable[[], int]) -> Iterator[Shell]:
    shell = Shell(free_port())
    yield shell
    if shell.process is not None and shell.process.poll() is None:
        shell.process.kill()
        shell.process.wait()


@pytest.mark.parametrize(
    "redirections",
    [
        "<&-",
        ">&-",
        "2>&-",
        "<&- >&-",
        "<&- >&- 2>&-",
        ">/dev/full",
        ">/dev/full 2>/dev/full",
        "2>/dev/full -v",
    ],
)
def test_a_stream_that_is_closed_or_full_decides_nothing(shell: Shell, redirections: str) -> None:
    shell.start(redirections, stdin=subprocess.DEVNULL)
    assert shell.end() == 0


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_leaves_ends_nothing(shell: Shell, stream: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    shell.start("-v", **{stream: writer})
    os.close(writer)
    assert shell.answers()
    assert shell.end() == 0


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_never_reads_holds_nothing_up(shell: Shell, stream: str) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    try:
        shell.start("-v", **{stream: writer})
        for _ in range(20):
            assert shell.answers()
        assert shell.end() == 0
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("redirections", ["<&-", "<&- >&- 2>&-"])
def test_a_program_with_a_service_in_it_may_have_no_standard_streams(shell: Shell, redirections: str) -> None:
    program = f"""
import signal, threading
from pyro_events import EventServiceStarter
told = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: told.set())
with EventServiceStarter("127.0.0.1", {shell.port}, use_ns=False):
    told.wait()
raise SystemExit(7)
"""
    shell.start(redirections, program)
    assert shell.end() == 7


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(shell: Shell, first: signal.Signals, second: signal.Signals) -> None:
    process = shell.start("--drain 60")
    from listening import Collector

    with Collector(shell.uri) as never_listens:
        never_listens.subscribe("A")
        with Publisher(es_uri=shell.uri) as publisher:
            assert publisher.publish("A", 1) == 1
        process.send_signal(first)
        eventually(lambda: not connects(shell.uri), 10, "the end of accepting")
        assert process.poll() is None, "it should wait for the subscriber"
        process.send_signal(second)
        assert process.wait(10) == -second


def connects(uri: str) -> bool:
    try:
        Publisher(es_uri=uri).close()
    except ServiceUnreachableError:
        return False
    return True


def test_a_hang_up_is_ignored_where_nohup_asked_for_that(shell: Shell) -> None:
    handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = shell.start("")
    finally:
        signal.signal(signal.SIGHUP, handler)
    process.send_signal(signal.SIGHUP)
    assert shell.answers() and shell.answers()
    assert shell.end() == 0


def test_a_hang_up_ends_it_in_order(shell: Shell) -> None:
    process = shell.start("")
    process.send_signal(signal.SIGHUP)
    assert process.wait(20) == 0
