"""Forked children in tests.

Knows: fork and pipes. Must not know: what a child does.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def child(work: Callable[[], Any]) -> Iterator[None]:
    """A forked child that does some work, then stays until the end of the block, which checks it."""
    ready, done = os.pipe()
    stay, leave = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            os.close(leave)
            os.close(ready)
            work()
            os.write(done, b"!")
            os.read(stay, 1)
            status = 0
        os._exit(status)
    os.close(done)
    os.close(stay)
    try:
        assert os.read(ready, 1) == b"!", "the child's work has failed"
        yield
    finally:
        os.close(leave)
        os.close(ready)
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
