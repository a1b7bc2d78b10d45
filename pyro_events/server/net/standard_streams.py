"""Standard input, output and error of a program that must go on whatever happens to them.

Knows: the descriptors 0, 1 and 2, and how to show a line to the user. Must not know: what is said, or what
the program does.

A service may be started with its standard streams closed, on a full disk, or into a pipe whose reader leaves
or never reads. None of that may change whether it runs, or its exit status.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from typing import Final, TextIO

# Seconds that a line waits for a pipe that is full.
PATIENCE: Final = 1.0


def open_missing_descriptors() -> None:
    """Open the null device on each of the descriptors 0, 1 and 2 that is closed.

    Otherwise the next socket gets its number, and libuv ends the program when it closes that socket.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null == descriptor:
                os.set_inheritable(null, True)
            else:  # another thread was faster
                os.dup2(null, descriptor)
                os.close(null)


def say(text: str, stream: TextIO | None = None) -> None:
    """Show a line to the user who started the program; if nobody can read it, it is dropped.

    Args:
        text: the line, without its end.
        stream: where to write it; None is standard output.
    """
    stream = sys.stdout if stream is None else stream
    if stream is None or not _takes_a_line(stream):
        return
    try:
        print(text, file=stream, flush=True)
    except (OSError, ValueError):  # its reader has left, the disk is full, or the program has closed it
        _redirect_to_null(stream)


def settle_streams() -> None:
    """Before the program ends, drop what cannot be written to standard output and error.

    Otherwise the interpreter would set its own exit status.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                _redirect_to_null(stream)


def _takes_a_line(stream: TextIO) -> bool:
    """Whether writing a line would not block; True if that cannot be known."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return True
    if not hasattr(select, "poll"):
        return True
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    return bool(poller.poll(PATIENCE * 1000))


def _redirect_to_null(stream: TextIO) -> None:
    """Send what is buffered for a stream, and all that follows, to the null device."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, descriptor)
        finally:
            os.close(null)
        stream.flush()
