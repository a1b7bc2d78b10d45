"""Real processes in tests: started, listened to, and ended by their own id.

Knows: subprocess. Must not know: what the processes are.
"""

from __future__ import annotations

import codecs
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


class Process:
    """A process whose output is kept, and can be waited for."""

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], cwd: str | None = None) -> None:
        self._popen = subprocess.Popen(
            list(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,  # so that a signal for its group does not meet the tests
        )
        self._changed = threading.Condition()
        self._text = {"stdout": "", "stderr": ""}
        self._ended: set[str] = set()
        self._readers = [threading.Thread(target=self._read, args=(name,)) for name in self._text]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        descriptor = getattr(self._popen, name).fileno()
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while data := os.read(descriptor, 65536):  # not by lines: a prompt has no end of line
            with self._changed:
                self._text[name] += decoder.decode(data)
                self._changed.notify_all()
        with self._changed:
            self._ended.add(name)
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def stdout(self) -> str:
        with self._changed:
            return self._text["stdout"]

    @property
    def stderr(self) -> str:
        with self._changed:
            return self._text["stderr"]

    @property
    def returncode(self) -> int | None:
        return self._popen.poll()

    def wait_for(
        self, pattern: str, timeout: float = 30.0, stream: str = "stdout", *, whole_lines: bool = True
    ) -> re.Match[str]:
        """The first match of `pattern` in the lines that the process printed.

        whole_lines: leave out what has no end of line yet; False for a prompt. Raises AssertionError
        with all that it printed, when it ends or `timeout` seconds pass first.
        """
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                text = self._text[stream]
                if whole_lines and stream not in self._ended:
                    text = text[: text.rfind("\n") + 1]
                found = re.search(pattern, text, re.MULTILINE)
                if found:
                    return found
                left = end - time.monotonic()
                if left <= 0 or stream in self._ended:
                    break
                self._changed.wait(left)
        raise AssertionError(f"no line with {pattern!r} from {self!r}")

    def write(self, text: str) -> None:
        """Write to its stdin."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(text.encode())
        self._popen.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal. After SIGSTOP, wait until it has stopped; it may run a little on."""
        self._popen.send_signal(number)
        if number == getattr(signal, "SIGSTOP", None):
            os.waitid(os.P_PID, self._popen.pid, os.WSTOPPED | os.WNOWAIT)

    def send_to_group(self, number: signal.Signals) -> None:
        """Send a signal to it and its children, as a terminal does at Ctrl-C."""
        os.killpg(self._popen.pid, number)

    def wait(self, timeout: float = 30.0) -> int:
        """Its exit status. Raises AssertionError with all that it printed when it does not end."""
        try:
            status = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s: {self!r}") from None
        self._join(timeout)
        return status

    def terminate(self, timeout: float = 30.0) -> int:
        """Ask it to end (SIGTERM), and wait until it has."""
        self._popen.terminate()
        return self.wait(timeout)

    def close(self) -> None:
        """Make sure that it has ended. Raises AssertionError when it had to be killed."""
        try:
            if self._popen.poll() is None:
                self._popen.send_signal(signal.SIGCONT)
                self.terminate()
        finally:
            if self._popen.poll() is None:
                self._popen.kill()
                self._popen.wait()
            self._join(5.0)
            for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
                assert pipe is not None
                pipe.close()

    def _join(self, timeout: float) -> None:
        for reader in self._readers:
            reader.join(timeout)
            if reader.is_alive():
                raise AssertionError(f"something still holds the output of {self!r}")

    def __repr__(self) -> str:
        return (
            f"<process {self.pid} {self._popen.args!r}, exit status {self.returncode}>\n"
            f"--- its stdout:\n{self.stdout}--- its stderr:\n{self.stderr}---"
        )


class Spawner:
    """Starts processes, and ends all of them when the test is over."""

    def __init__(self) -> None:
        self._processes: list[Process] = []

    def __call__(
        self,
        *arguments: str,
        ready: str | None = None,
        timeout: float = 30.0,
        env: Mapping[str, str | None] | None = None,
        cwd: str | None = None,
    ) -> Process:
        """Run this Python with `arguments` (`-m module …`, `-c code`, or a script).

        ready: wait for a line on stdout that matches it. env: variables on top of the environment;
        None takes one away.
        """
        return self.command(sys.executable, *arguments, ready=ready, timeout=timeout, env=env, cwd=cwd)

    def command(
        self,
        *arguments: str,
        ready: str | None = None,
        timeout: float = 30.0,
        env: Mapping[str, str | None] | None = None,
        cwd: str | None = None,
    ) -> Process:
        """Run any command; otherwise as a call of the object itself."""
        merged: dict[str, str | None] = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        process = Process(arguments, {k: v for k, v in merged.items() if v is not None}, cwd)
        self._processes.append(process)
        if ready is not None:
            process.wait_for(ready, timeout)
        return process

    def close(self) -> None:
        """End what still runs, the newest first, and report the first that could not be ended."""
        failure: AssertionError | None = None
        for process in reversed(self._processes):
            try:
                process.close()
            except AssertionError as error:
                failure = failure or error
        if failure is not None:
            raise failure


@contextmanager
def spawning() -> Iterator[Spawner]:
    """A Spawner for one test."""
    spawner = Spawner()
    try:
        yield spawner
    finally:
        spawner.close()
