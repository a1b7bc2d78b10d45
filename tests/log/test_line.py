"""A line of the log and its record: text from strangers stays on one line, and is cut."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

import pytest

from pyro_events.log.line import LONGEST, LONGEST_ERROR, Line, escaped

LOGGER = logging.getLogger("pyro_events.tests")


class Unprintable(Exception):
    """An exception of a program's own class."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def line(text: str, *arguments: object, error: BaseException | None = None) -> Line:
    return Line(LOGGER, logging.WARNING, text, arguments, error, sys._getframe())


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_a_record_says_what_was_logged_when_and_where() -> None:
    logged = line("%s has %d events", "A", 5)
    record = logged.record()
    assert record.getMessage() == "A has 5 events"
    assert (record.name, record.levelno, record.funcName) == ("pyro_events.tests", logging.WARNING, "line")
    assert record.pathname == __file__
    assert record.created == logged.time and 0 <= record.msecs < 1000
    assert (record.thread, record.threadName) == (
        threading.get_ident(),
        threading.current_thread().name,
    )
    assert record.exc_info is None


def test_a_line_that_stands_for_others_says_for_how_many() -> None:
    logged = line("%s", "x")
    logged.stands_for = 7
    assert logged.record().getMessage() == "x (the last of 7 such lines)"


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        (5, "5"),
        (1.5, "1.5"),
        ("a\nforged line", "a\\nforged line"),
        ("\x1b[31mred", "\\x1b[31mred"),
        (Unprintable(), "<Unprintable, whose text cannot be made: RuntimeError>"),
        ("%s %d", "%s %d"),
    ],
    ids=("int", "float", "line break", "escape", "no text", "placeholders"),
)
def test_what_strangers_wrote_is_shown_as_text_on_one_line(argument: Any, shown: str) -> None:
    assert line("%s", argument).record().getMessage() == shown


def test_a_long_text_is_cut_and_says_by_how_much() -> None:
    shown = line("%s", "x" * (LONGEST + 1500)).record().getMessage()
    assert shown == "x" * LONGEST + "… (1,500 more characters)"
    assert escaped("x" * 10, 10) == "x" * 10


def test_a_traceback_keeps_its_lines_and_its_text_on_one() -> None:
    record = line("failed", error=raised(ValueError("a\nforged line" + "x" * LONGEST_ERROR))).record()
    assert record.exc_info is not None and record.exc_text is not None
    lines = record.exc_text.splitlines()
    assert lines[0].startswith("Traceback") and lines[-1].startswith("ValueError: a\\nforged line")
    assert lines[-1].endswith("more characters)")
    assert not [each for each in lines if each.startswith("forged")]
