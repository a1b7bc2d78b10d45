"""Child processes: started, read with a deadline, measured, and ended by their own ids.

Knows: pipes and /proc. Must not know: what a child does.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..clone import ROOT
from .tasks import Task, to_line

# How long a child has to end when it is asked to, in seconds.
_END_TIMEOUT = 5.0


# Folders from which children import, before all others.
_first = [ROOT]


@contextlib.contextmanager
def package_from(folder: Path) -> Iterator[None]:
    """Let children that start meanwhile import pyro_events from this folder, and the suite from here."""
    _first.insert(0, folder)
    try:
        yield
    finally:
        _first.remove(folder)


def environment(**more: str) -> dict[str, str]:
    """The environment of a child."""
    path = os.pathsep.join(map(str, _first))
    # Without compiled modules, each child would compile all of them again.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **more}


class ChildFailed(Exception):
    """A child has ended, or has not answered in time. The text has its last lines."""


class Child:
    """One child process. What it writes to stderr goes into a file of `folder`."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None
    ) -> None:
        """more: for its environment."""
        self.name = name
        self._complaints = folder / f"{name}.stderr"
        with self._complaints.open("wb") as complaints:
            self._popen = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                cwd=folder,
                env=environment(**(more or {})),
                start_new_session=True,  # Ctrl-C reaches only the suite, which then ends its children
            )
        self._text = b""

    @property
    def pid(self) -> int:
        return self._popen.pid

    def send(self, line: str) -> None:
        """Write a line to its standard input. Raises ChildFailed."""
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(line.encode() + b"\n")
            self._popen.stdin.flush()
        except OSError as error:
            raise ChildFailed(f"{self.name} takes no more orders: {self._last_words()}") from error

    def line(self, deadline: float) -> str:
        """The next line that it prints. deadline: on the monotonic clock. Raises ChildFailed."""
        assert self._popen.stdout is not None
        while b"\n" not in self._text:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._popen.stdout], [], [], left)[0]:
                raise ChildFailed(f"{self.name} was not done in time {self._last_words()}".rstrip())
            data = os.read(self._popen.stdout.fileno(), 1 << 16)
            if not data:
                raise ChildFailed(f"{self.name} ended by itself: {self._last_words()}")
            self._text += data
        line, _, self._text = self._text.partition(b"\n")
        return line.decode()

    def answer(self, deadline: float) -> dict[str, Any]:
        """The next line as JSON."""
        values: dict[str, Any] = json.loads(self.line(deadline))
        return values

    def _last_words(self) -> str:
        return " / ".join(self._complaints.read_text("utf-8", "replace").strip().splitlines()[-4:])

    def cpu(self) -> float:
        """Seconds of processor time that it has used, of all its threads. Raises ChildFailed."""
        try:
            # The clock of another process, as clock_getcpuclockid(3) makes it on Linux: exact, while /proc
            # has steps of 10 ms.
            return time.clock_gettime(~self.pid << 3 | 2)
        except OSError as error:
            raise ChildFailed(f"{self.name} is no more") from error

    def memory(self) -> int:
        """Bytes that it has in memory."""
        return int(self._status("VmRSS").split()[0]) * 1024

    def threads(self) -> int:
        """How many threads it has."""
        return int(self._status("Threads"))

    def _status(self, name: str) -> str:
        for line in Path(f"/proc/{self.pid}/status").read_text("utf-8").splitlines():
            if line.startswith(f"{name}:"):
                return line.partition(":")[2].strip()
        raise ChildFailed(f"{self.name} is no more")

    def freeze(self) -> None:
        """Stop it from running, as a debugger would."""
        self._popen.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """End it, by force if necessary, and release what belongs to it."""
        if self._popen.poll() is None:
            self._popen.terminate()
            self._popen.send_signal(signal.SIGCONT)
            try:
                self._popen.wait(_END_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # a command that it never read
                    pipe.close()


def start_worker(name: str, task: Task, folder: Path, more: Mapping[str, str] | None = None) -> Child:
    """A child that runs worker.py with this task. more: for its environment."""
    child = Child(name, [sys.executable, "-m", "benchmarks.children.worker"], folder, more)
    try:
        child.send(to_line(task))
    except BaseException:
        child.stop()
        raise
    return child


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, below those that the system gives to connections."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for_port(child: Child, port: int, deadline: float) -> None:
    """Wait until a server accepts connections. Raises ChildFailed."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        if child._popen.poll() is not None:
            raise ChildFailed(f"{child.name} did not start: {child._last_words()}")
        if time.monotonic() > deadline:
            raise ChildFailed(f"{child.name} does not listen on port {port}")
        time.sleep(0.02)
