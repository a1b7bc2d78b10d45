"""Exceptions of the program's own, told from ours by the modules that they have passed through."""

from __future__ import annotations

import functools
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import pytest

from pyro_events.foreign_exceptions import is_foreign, is_signal_handlers


def caught(work: Callable[[], Any]) -> BaseException:
    """What a call raises, as it looks where library code has caught it: without this module's frames."""
    try:
        work()
    except BaseException as error:
        assert error.__traceback__ is not None
        return error.with_traceback(error.__traceback__.tb_next)
    raise AssertionError("it has raised nothing")


def programs() -> None:
    raise TimeoutError("the program's own")


def librarys() -> None:
    socket.create_connection(("127.0.0.1", 1), timeout=5)


def test_exceptions_of_a_library_are_not_the_programs() -> None:
    error = caught(lambda: msgpack.unpackb(b"\xc1"))
    assert isinstance(error, ValueError)
    error = error.with_traceback(None)  # msgpack is compiled: there is no frame of it
    assert not is_foreign(error, ValueError)


def test_the_class_of_the_programs_exception_tells_nothing() -> None:
    assert is_foreign(caught(programs), TimeoutError, OSError)


def test_a_class_that_is_not_expected_is_foreign_wherever_it_comes_from() -> None:
    error = ValueError("from nowhere")
    assert is_foreign(error, OSError)
    assert not is_foreign(error, ValueError)


def test_a_traceback_through_known_modules_alone_is_ours() -> None:
    try:
        librarys()
    except OSError as error:
        trace = error.__traceback__
        assert trace is not None and trace.tb_next is not None
        inside = trace.tb_next.tb_next  # behind this module's two frames: the socket module's
        assert inside is not None
        assert is_foreign(error, OSError)
        assert not is_foreign(error.with_traceback(inside), OSError)
    else:
        raise AssertionError("somebody listens on port 1")


class Handler:
    def __call__(self, number: int, frame: Any) -> None:
        raise TimeoutError("a handler's")

    def method(self, number: int, frame: Any) -> None:
        raise TimeoutError("a handler's")


def function(number: int, frame: Any) -> None:
    raise TimeoutError("a handler's")


@pytest.fixture
def former() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize(
    "handler",
    [function, Handler(), Handler().method, functools.partial(function), functools.partial(Handler().method)],
    ids=("function", "object", "method", "partial", "partial method"),
)
def test_what_a_signals_handler_raises_is_its_own(former: None, handler: Any) -> None:
    error = caught(lambda: handler(signal.SIGTERM, None))
    assert not is_signal_handlers(error)
    signal.signal(signal.SIGTERM, handler)
    assert is_signal_handlers(error)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert not is_signal_handlers(error)


def test_an_exception_that_passed_through_nothing_is_not_a_handlers() -> None:
    assert not is_signal_handlers(ValueError("new"))


def test_an_exception_of_a_library_alone_is_not_a_handlers() -> None:
    try:
        librarys()
    except OSError as error:
        assert error.__traceback__ is not None and error.__traceback__.tb_next is not None
        inside = error.with_traceback(error.__traceback__.tb_next.tb_next)  # the socket module's frames
        assert not is_signal_handlers(inside)
    else:
        raise AssertionError("somebody listens on port 1")
