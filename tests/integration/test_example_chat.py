"""examples/chat, in terminals of several people."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Process, Spawner
from waiting import eventually

Join = Callable[..., Process]


@pytest.fixture
def program(root: Path) -> str:
    return str(root / "examples" / "chat" / "chat.py")


@pytest.fixture
def join(program: str, spawn: Spawner) -> Join:
    """Starts chat.py for somebody: join(service, "ann"); it returns when that person has joined."""

    def start(service, nick: str, *arguments: str) -> Process:
        options = [] if service.env else ["--es-uri", service.uri]
        return spawn(program, nick, *arguments, *options, env=service.env, ready=rf"^\* {nick} has joined$")

    return start


def test_people_join_talk_and_leave(named_es, join: Join) -> None:
    ann = join(named_es, "ann")
    bob = join(named_es, "bob")
    ann.wait_for(r"^\* bob has joined$")
    bob.wait_for(r"^\* ann is here$")
    ann.write("hello bob\n")
    bob.wait_for("^ann: hello bob$")
    bob.write("hello ann\nhow are you?\n")
    ann.wait_for("^bob: hello ann\nbob: how are you[?]$")
    bob.write("/quit\n")
    assert bob.wait() == 0
    ann.wait_for(r"^\* bob has left$")
    assert "ann: " not in ann.stdout  # what she said herself is not shown again
    ann.send(signal.SIGTERM)
    assert ann.wait() == 0
    assert not ann.stderr + bob.stderr


def test_a_command_that_does_not_exist_is_not_said(es, join: Join) -> None:
    ann, bob = join(es, "ann"), join(es, "bob")
    bob.write("/help\nhello\n")
    bob.wait_for(r"^\* /help is unknown; /who lists who else is there, /quit leaves$")
    ann.wait_for("^bob: hello$")
    assert "/help" not in ann.stdout


def test_channels_know_nothing_of_each_other(es, join: Join) -> None:
    ann, bob = join(es, "ann"), join(es, "bob", "cooking")
    carl = join(es, "carl", "cooking")
    carl.write("soup\n")
    bob.wait_for("^carl: soup$")
    ann.write("/who\nbread\n/quit\n")
    assert ann.wait() == 0
    assert re.sub(r"^\* you are.*\n", "", ann.stdout) == "* ann has joined\n"
    assert "ann" not in bob.stdout + carl.stdout


def test_a_line_that_cannot_be_sent_is_reported_and_the_next_one_goes(es, start_service, join: Join) -> None:
    ann, bob = join(es, "ann"), join(es, "bob")
    bob.wait_for(r"^\* ann is here$")  # so that the service has answered all that he said when joining
    es.process.terminate()
    ann.write("lost\n")
    ann.wait_for(r"^\* not sent: ")
    start_service("--port", str(es.port))
    for each in (ann, bob):
        each.wait_for(r"^\* the event service was lost and is back; you may have missed something$")
    ann.write("found\n")
    bob.wait_for("^ann: found$")
    assert "lost\n" not in bob.stdout


class Terminal:
    """A program in a terminal."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        self.process = subprocess.Popen([sys.executable, *arguments], **streams)
        os.close(theirs)
        os.set_blocking(self._ours, False)
        self._shown = ""

    def types(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def shows(self, text: str) -> None:
        """Wait until that text appears, after what was waited for before."""
        eventually(lambda: text in self._read(), what=f"{text!r} in the terminal")
        self._shown = self._shown.partition(text)[2]

    def _read(self) -> str:
        with contextlib.suppress(OSError):  # nothing new, or the program has ended
            self._shown += os.read(self._ours, 65536).decode()
        return self._shown

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


def test_lines_appear_above_the_one_that_is_being_typed(program: str, es, join: Join) -> None:
    ann = join(es, "ann")
    with contextlib.closing(Terminal(program, "bob", "--es-uri", es.uri)) as bob:
        bob.shows("bob> ")
        bob.types("not yet")
        bob.shows("not yet")
        ann.write("first\n")
        bob.shows("\r\x1b[Kann: first\r\nbob> not yet")
        ann.write("\x1b[2J\n")
        bob.shows("ann: ?[2J\r\nbob> not yet")
        bob.types(" sent\n")
        ann.wait_for("^bob: not yet sent$")
        bob.shows("bob> ")  # the terminal would lose the end of the input before that
        bob.types("\x04")
        assert bob.process.wait(30) == 0
    ann.wait_for(r"^\* bob has left$")


def test_warnings_appear_above_the_line_that_is_being_typed(program: str, es) -> None:
    with contextlib.closing(Terminal(program, "bob", "--es-uri", es.uri)) as bob:
        bob.shows("bob> ")
        bob.types("half")
        bob.shows("half")
        es.process.terminate()
        bob.shows("\r\x1b[K* subscribing again failed")
        bob.shows("\r\nbob> half")
