"""What is shown to the user who started a program, if anybody can read it."""

from __future__ import annotations

import io
import os
import sys

import pytest

from pyro_events.server.net.standard_streams import open_missing_descriptors, say, settle_streams


def test_a_line_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    say("hello")
    say("oh", sys.stderr)
    assert capsys.readouterr() == ("hello\n", "oh\n")


def test_without_a_stream_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    say("hello")
    settle_streams()


def test_what_a_closed_stream_of_the_program_is_told_is_dropped() -> None:
    stream = io.StringIO()
    stream.close()
    say("hello", stream)


def test_what_cannot_be_written_does_not_come_back_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as stream:
        stream.write("nobody reads this")
        monkeypatch.setattr(sys, "stdout", stream)
        settle_streams()
        say("nor this")
        stream.flush()


def test_nothing_is_opened_where_nothing_is_missing() -> None:
    before = [os.fstat(number) for number in range(3)]
    open_missing_descriptors()
    after = [os.fstat(number) for number in range(3)]
    assert [(each.st_dev, each.st_ino) for each in before] == [(each.st_dev, each.st_ino) for each in after]
