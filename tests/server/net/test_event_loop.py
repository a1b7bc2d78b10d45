"""The loop's errors: one line for those that cannot be helped, all others as usual."""

from __future__ import annotations

import errno
import sys

import pytest

from pyro_events.server.net.event_loop import new_event_loop


@pytest.mark.parametrize("without", [False, True])
def test_a_process_without_descriptors_is_complained_of_once(
    without: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if without:
        monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = new_event_loop()
    try:
        for _ in range(20):
            error = OSError(errno.EMFILE, "Too many open files")
            loop.call_exception_handler({"message": "socket.accept() failed", "exception": error})
        assert caplog.text.count("no connections can be accepted") == 1
        loop.call_exception_handler({"message": "something else", "exception": ZeroDivisionError()})
        assert "something else" in caplog.text
    finally:
        loop.close()
