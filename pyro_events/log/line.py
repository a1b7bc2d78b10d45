"""Lines of the log: a line with its time and place, and the record that the handlers get from it.

Knows: the standard library's records, and how to show text that strangers may have written. Must not know:
queues, or when a line is logged.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from types import FrameType
from typing import Final

# The most characters of one argument of a line, and of the text of an exception.
LONGEST: Final = 500
LONGEST_ERROR: Final = 2000


class Line:
    """One line, as it was at the moment of logging."""

    __slots__ = ("arguments", "error", "level", "logger", "place", "stands_for", "text", "thread", "time")

    def __init__(
        self,
        logger: logging.Logger,
        level: int,
        text: str,
        arguments: tuple[object, ...],
        error: BaseException | None,
        frame: FrameType,
    ) -> None:
        self.logger = logger
        self.level = level
        self.text = text
        self.arguments = arguments
        self.error = error
        self.place = frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        self.time = time.time()
        self.thread = threading.get_ident(), threading.current_thread().name
        self.stands_for = 1  # lines of its kind, itself included

    def record(self) -> logging.LogRecord:
        """The record for the handlers."""
        text, arguments = self.text, tuple([_shown(argument) for argument in self.arguments])
        if self.stands_for > 1:
            text, arguments = text + " (the last of %d such lines)", (*arguments, self.stands_for)
        file, line, function = self.place
        error = self.error
        info = None if error is None else (type(error), error, error.__traceback__)
        record = self.logger.makeRecord(
            self.logger.name, self.level, file, line, text, arguments, info, function
        )
        if error is not None:
            record.exc_text = _traceback(error)
        record.relativeCreated += (self.time - record.created) * 1000
        record.created = self.time
        record.msecs = self.time % 1 * 1000 // 1
        record.thread, record.threadName = self.thread
        return record


def _shown(argument: object) -> object:
    """An argument as it is safe to show: a number as it is, anything else as text, escaped and cut."""
    if type(argument) in (int, float):
        return argument
    try:
        text = str(argument)
    except Exception as error:  # for example an exception of the program's own class
        text = f"<{type(argument).__name__}, whose text cannot be made: {type(error).__name__}>"
    return escaped(text, LONGEST)


def escaped(text: str, longest: int) -> str:
    """A text on one line, without control characters, and cut if it is longer than `longest`."""
    rest = len(text) - longest
    if rest > 0:
        text = text[:longest]
    if not text.isprintable():
        text = "".join(
            [each if each.isprintable() else each.encode("unicode_escape").decode() for each in text]
        )
    return f"{text}… ({rest:,} more characters)" if rest > 0 else text


def _traceback(error: BaseException) -> str:
    """The traceback of an exception. The exception's text, which anybody may have written, stays on one
    line."""
    lines = []
    for part in traceback.format_exception(type(error), error, error.__traceback__):
        if part.startswith(("  File ", "Traceback ", "\n")):
            lines.append(part.rstrip("\n"))
        else:
            lines.append(escaped(part.rstrip("\n"), LONGEST_ERROR))
    return "\n".join(lines)
