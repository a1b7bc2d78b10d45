"""The background log: logging never waits or raises, and text from strangers cannot forge lines."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import eventually

from pyro_events.log.background import MOST_WAITING, BackgroundLog, BackgroundLogger, get_logger
from pyro_events.log.line import escaped


class Handler(logging.Handler):
    """Keeps the messages; does what a test wants first."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.records: list[logging.LogRecord] = []
        self.free = threading.Event()
        self.free.set()
        self.error: BaseException | None = None

    def handle(self, record: logging.LogRecord) -> bool:
        self.free.wait()
        if self.error is not None:
            raise self.error
        self.messages.append(record.getMessage())
        self.records.append(record)
        return True


@pytest.fixture
def target() -> BackgroundLog:
    return BackgroundLog()


@pytest.fixture
def handler() -> Iterator[Handler]:
    handler = Handler()
    logger = logging.getLogger("pyro_events.trial")
    logger.addHandler(handler)
    logger.propagate = False
    yield handler
    handler.free.set()
    logger.removeHandler(handler)


@pytest.fixture
def log(target: BackgroundLog, handler: Handler) -> BackgroundLogger:
    return BackgroundLogger("pyro_events.trial", target)


def test_a_record_says_who_logged_what_where_and_when(
    log: BackgroundLogger, target: BackgroundLog, handler: Handler
) -> None:
    log.warning("%s has %d of %g", "it", 3, 1.5)
    assert target.flush()
    (record,) = handler.records
    assert record.getMessage() == "it has 3 of 1.5"
    assert (record.name, record.levelname) == ("pyro_events.trial", "WARNING")
    assert record.funcName == "test_a_record_says_who_logged_what_where_and_when"
    assert Path(record.pathname) == Path(__file__)
    assert (record.thread, record.threadName) == (threading.get_ident(), threading.current_thread().name)


def test_a_level_that_is_not_enabled_costs_no_line(
    log: BackgroundLogger, target: BackgroundLog, handler: Handler
) -> None:
    log.debug("nobody wants this")
    assert target.flush()
    assert handler.messages == []


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt()])
def test_a_handler_that_raises_is_complained_about_once_and_the_log_goes_on(
    log: BackgroundLogger,
    target: BackgroundLog,
    handler: Handler,
    error: BaseException,
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler.error = error
    log.warning("one")
    log.warning("two")
    assert target.flush()
    handler.error = None
    log.warning("three")
    assert target.flush()
    assert handler.messages == ["three"]
    assert capsys.readouterr().err.count(type(error).__name__) == 1


def test_a_handler_that_blocks_delays_nothing_and_dropped_lines_are_counted(
    log: BackgroundLogger, target: BackgroundLog, handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    handler.free.clear()
    log.warning("the one that blocks")
    eventually(lambda: target._queue.empty())
    for number in range(MOST_WAITING + 50):
        log.warning("line %d", number)
    assert not target.flush(timeout=0.05)
    handler.free.set()
    assert target.flush(timeout=10)
    assert handler.messages[-1] == f"line {MOST_WAITING - 1}"
    eventually(lambda: "50 lines of this log were dropped" in caplog.text)


def test_lines_of_one_kind_about_one_thing_come_once_a_second(
    log: BackgroundLogger, target: BackgroundLog, handler: Handler
) -> None:
    for number in range(1000):
        log.warning("%s fails: %d", "A", number, about="A")
    log.warning("%s fails: %d", "B", 0, about="B")
    assert target.flush()
    assert handler.messages == ["A fails: 0", "B fails: 0"]
    eventually(lambda: len(handler.messages) == 3)
    assert handler.messages[2] == "A fails: 999 (the last of 999 such lines)"


def test_what_is_kept_back_is_logged_at_the_end(
    log: BackgroundLogger, target: BackgroundLog, handler: Handler
) -> None:
    for number in range(3):
        log.warning("%d", number, about="it")
    assert target.flush(rest=True)
    assert handler.messages == ["0", "2 (the last of 2 such lines)"]


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("on purpose")


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("a\nb\r\x1b[31m", "a\\nb\\r\\x1b[31m"),
        ("\u202egnp.exe\ud800", "\\u202egnp.exe\\ud800"),
        ("x" * 501, "x" * 500 + "… (1 more characters)"),
        (ValueError("one\ntwo"), "one\\ntwo"),
        (Unshowable(), "<Unshowable, whose text cannot be made: RuntimeError>"),
        (True, "True"),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_what_strangers_wrote_is_escaped_and_cut(
    log: BackgroundLogger, target: BackgroundLog, handler: Handler, argument: object, shown: str
) -> None:
    log.warning("%s", argument)
    assert target.flush()
    assert handler.messages == [shown]


def test_the_text_of_an_exception_stays_on_one_line_of_its_traceback(
    log: BackgroundLogger, target: BackgroundLog, handler: Handler
) -> None:
    try:
        raise ValueError("first\n2026-01-01 ERROR a forged line")
    except ValueError:
        log.exception("it failed")
    assert target.flush()
    text = logging.Formatter().format(handler.records[0])
    assert "ValueError: first\\n2026-01-01 ERROR a forged line" in text
    assert "test_the_text_of_an_exception" in text
    assert not [line for line in text.splitlines() if line.startswith("2026-01-01")]


def test_a_finalizer_and_a_handler_may_log_while_their_thread_logs(
    log: BackgroundLogger, target: BackgroundLog, handler: Handler
) -> None:
    class Noisy:
        def __del__(self) -> None:
            log.warning("a finalizer", about="it")

    class Echo(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "again":
                log.warning("an echo")
                assert not target.flush(), "a handler that waited for itself would wait for ever"

    echo = Echo()
    logging.getLogger("pyro_events.trial").addHandler(echo)
    for _ in range(100):
        noisy = Noisy()
        noisy.itself = noisy  # type: ignore[attr-defined]
        del noisy
        log.warning("again", about="again")
        gc.collect()
    eventually(lambda: "an echo" in handler.messages)
    logging.getLogger("pyro_events.trial").removeHandler(echo)
    assert target.flush(rest=True)
    assert handler.messages.count("a finalizer") >= 1


def test_the_thread_ends_when_there_is_nothing_to_log_and_begins_again(
    log: BackgroundLogger, target: BackgroundLog, handler: Handler
) -> None:
    for number in range(3):
        log.warning("%d", number)
        eventually(lambda: not [t for t in threading.enumerate() if t.name == "pyro_events-log"])
    assert handler.messages == ["0", "1", "2"]


def test_the_thread_ends_after_flush_without_waiting_for_another_line(handler: Handler) -> None:
    target = BackgroundLog(interval=3600.0, idle=3600.0)
    log = BackgroundLogger("pyro_events.trial", target)
    for number in range(3):
        log.warning("%d", number, about=number)
        assert target.flush(rest=True)
        eventually(lambda: not [t for t in threading.enumerate() if t.name == "pyro_events-log"])
    assert handler.messages == ["0", "1", "2"]


def test_many_threads_lose_no_line(log: BackgroundLogger, target: BackgroundLog, handler: Handler) -> None:
    def work(name: str) -> None:
        for number in range(50):
            log.warning("%s %d", name, number)

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.flush(timeout=10)
    assert len(set(handler.messages)) == 400


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_a_forked_child_logs_by_itself_and_leaves_the_parents_lines_to_it() -> None:
    program = """
import logging, os, threading
from pyro_events.log.background import get_logger
free = threading.Event()
class Handler(logging.Handler):
    def emit(self, record):
        free.wait()
        os.write(1, f"{os.getpid() == parent} {record.getMessage()}\\n".encode())
parent = os.getpid()
logging.getLogger("pyro_events").addHandler(Handler())
log = get_logger("pyro_events.trial")
log.warning("before")
log.warning("and again")
child = os.fork()
free.set()
if not child:
    log.warning("of the child")
else:
    os.waitpid(child, 0)
"""
    lines = run_program(program).splitlines()
    assert sorted(lines) == ["False of the child", "True and again", "True before"]


def test_the_end_of_the_program_waits_for_the_log_and_not_for_ever() -> None:
    program = """
import logging, sys, threading
from pyro_events.log.background import get_logger
logging.basicConfig(stream=sys.stdout, format="%(message)s")
log = get_logger("pyro_events.trial")
for number in range(3):
    log.warning("line %d", number, about="it")
if sys.argv[1:]:
    class Stuck(logging.Handler):
        def handle(self, record):  # `logging.shutdown` itself would wait for an `emit`
            threading.Event().wait()
    logging.getLogger().addHandler(Stuck())
    log.warning("the end")
"""
    assert run_program(program).splitlines() == ["line 0", "line 2 (the last of 2 such lines)"]
    assert "line 0" in run_program(program, "stuck")


def run_program(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_modules_log_below_the_name_of_the_package(caplog: pytest.LogCaptureFixture) -> None:
    get_logger("pyro_events.trial").warning("hello")
    assert [record.name for record in caplog.records] == ["pyro_events.trial"]


def test_a_text_that_is_as_long_as_allowed_is_not_cut() -> None:
    assert escaped("x" * 10, 10) == "x" * 10


def test_a_logger_of_the_programs_own_may_fail(
    log: BackgroundLogger, target: BackgroundLog, handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(level: int) -> bool:
        raise RuntimeError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(logging.getLogger("pyro_events.trial"), "isEnabledFor", failing)
        log.info("one")
    log.error("two")
    assert target.flush()
    assert "two" in handler.messages


def test_lines_are_logged_where_no_thread_can_be_started(
    log: BackgroundLogger, target: BackgroundLog, handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", failing)
    log.warning("one")
    log.warning("two")
    assert handler.messages == []
    assert target.flush()
    assert handler.messages == ["one", "two"]
