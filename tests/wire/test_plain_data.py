"""Plain data: what the tests of requests and answers do not reach."""

from __future__ import annotations

from typing import Any

import msgpack
import Pyro5.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stock_wire import IDS, each_serializer, frame, plain, thorough

from pyro_events.wire.frames import FrameError
from pyro_events.wire.plain_data import as_text, read_answer, read_plain, writable, write_plain


@each_serializer
@thorough
@given(value=plain)
def test_what_is_written_is_read(name: str, value: Any) -> None:
    assert read_plain(IDS[name], write_plain(IDS[name], value)) == value


@thorough
@given(value=plain)
def test_an_answer_is_read(value: Any) -> None:
    assert read_answer(frame("msgpack", msgpack.packb(value))) == value


def test_what_answers_need_not_hold_comes_to_nothing() -> None:
    assert read_answer(frame("msgpack", msgpack.packb([msgpack.ExtType(0x31, b"7"), 7]))) == [None, 7]


@pytest.mark.parametrize("failure", [Pyro5.errors.ProtocolError, FrameError])
def test_who_reads_says_which_error_it_wants(failure: type[Pyro5.errors.ProtocolError]) -> None:
    for unreadable in (frame("msgpack", b"\xc1"), frame("json", b"1")):
        with pytest.raises(Pyro5.errors.ProtocolError) as caught:
            read_answer(unreadable, failure)
        assert type(caught.value) is failure


def test_an_exception_of_the_program_in_the_middle_of_reading_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise RuntimeError("from a handler of a signal")

    monkeypatch.setattr(msgpack, "unpackb", interrupted)
    with pytest.raises(RuntimeError, match="from a handler of a signal"):
        read_answer(frame("msgpack", b"\x01"))


def test_something_that_is_not_text_is_shown_in_short() -> None:
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    assert as_text("text") == "text"
    assert as_text([1]) == "[1]"
    assert len(as_text(nested)) < 100


@given(st.text(st.characters()))
def test_any_text_becomes_one_that_can_be_written(text: str) -> None:
    assert writable(text).encode() == text.encode("utf-8", "backslashreplace")
