"""Actors: the processes of a scenario, which get commands as lines and are ended by their own ids.

Knows: processes, signals and /proc. Must not know: what an actor does.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

ROOT: Final = Path(__file__).resolve().parent.parent
T = TypeVar("T")

_never = threading.Event()


def pause(seconds: float) -> None:
    """Wait: a fault has a duration."""
    _never.wait(seconds)


def until(condition: Callable[[], T], patience: float, what: str) -> T:
    """The first true result of `condition`. Raises TimeoutError that names `what`."""
    end = time.monotonic() + patience
    while not (result := condition()):
        if time.monotonic() >= end:
            raise TimeoutError(f"not within {patience:g} s: {what}; at last it was {result!r}")
        pause(0.02)
    return result


def end_in_order() -> None:
    """Let SIGTERM end this program as Ctrl-C does, so that its actors end with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


class Actor:
    """One process. Its standard error is kept in `complaints`."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        name: str = "",
        obeys: bool = True,
        before: Callable[[], None] | None = None,
    ) -> None:
        """prefix: a command to run it under. obeys: whether it reads its input, and ends with it. before:
        what the child does first, such as setting limits."""
        self.name = name or " ".join(arguments[:2])
        self._obeys = obeys
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._lines: queue.Queue[str] = queue.Queue()
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._popen = subprocess.Popen(
            [*prefix, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(env or {})},
            start_new_session=True,
            preexec_fn=before,
        )
        self._reader = threading.Thread(target=self._read, name=f"reads {self.name}")
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self._lines.put(line.decode("utf-8", "replace").rstrip("\n"))

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    @property
    def complaints(self) -> str:
        """Everything that it has printed on standard error."""
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), size, 0).decode("utf-8", "replace")

    def line(self, patience: float = 20.0) -> str:
        """The next line that it prints. Raises TimeoutError."""
        try:
            return self._lines.get(timeout=patience)
        except queue.Empty:
            raise TimeoutError(f"{self.name} said nothing for {patience:g} s: {self.complaints}") from None

    def line_with(self, text: str, patience: float = 20.0) -> str:
        """The next line that contains that text."""
        while text not in (line := self.line(patience)):
            pass
        return line

    def ready(self, patience: float = 20.0) -> dict[str, Any]:
        """Its first line, of JSON."""
        facts: dict[str, Any] = json.loads(self.line(patience))
        return facts

    def ask(self, command: str, patience: float = 40.0, **arguments: Any) -> Any:
        """Have it execute a command, and return the result."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps({"do": command, **arguments}).encode() + b"\n")
        self._popen.stdin.flush()
        while True:
            answer = json.loads(self.line(patience))
            if answer["to"] == command:
                return answer["result"]

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        self._popen.kill()
        self._popen.wait(10)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def wait(self, patience: float = 20.0) -> int:
        """Its exit status. Raises TimeoutError."""
        try:
            return self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} is still running: {self.complaints}") from None

    def resources(self) -> dict[str, int]:
        """memory (resident, KiB), threads and descriptors of the process now."""
        status = Path(f"/proc/{self.pid}/status").read_text("ascii")
        numbers = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        return {
            "memory": int(numbers["VmRSS"].split()[0]),
            "threads": int(numbers["Threads"]),
            "descriptors": len(os.listdir(f"/proc/{self.pid}/fd")),
        }

    def processor_seconds(self) -> float:
        """The processor time that it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End it: by the end of its input, then by SIGTERM, then by SIGKILL."""
        assert self._popen.stdin is not None and self._popen.stdout is not None
        with contextlib.suppress(OSError):
            self._popen.stdin.close()
        if self.alive:
            self.thaw()
        if not self._obeys:
            self._popen.terminate()
        for force in (self._popen.terminate, self._popen.kill):
            try:
                self._popen.wait(5)
                break
            except subprocess.TimeoutExpired:
                force()
        self._popen.wait()
        self._reader.join(5)
        self._popen.stdout.close()
        self._errors.close()


class Cast:
    """All actors of a scenario, ended together, the newest first."""

    def __init__(self) -> None:
        self.actors: list[Actor] = []

    def start(self, *arguments: str, **options: Any) -> Actor:
        """Run any command; options as for Actor."""
        actor = Actor(arguments, **options)
        self.actors.append(actor)
        return actor

    def python(self, *arguments: str, **options: Any) -> Actor:
        """Run this Python interpreter."""
        return self.start(sys.executable, *arguments, **options)

    def dismiss(self, actor: Actor) -> None:
        """End one of them before the others."""
        self.actors.remove(actor)
        actor.close()

    def close(self) -> None:
        while self.actors:
            self.actors.pop().close()

    def __enter__(self) -> Cast:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
