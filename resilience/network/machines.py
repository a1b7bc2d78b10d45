"""Machines with networks of their own, on this one: network namespaces, and cables between them.

Knows: Linux's `unshare`, `nsenter` and `ip`. Must not know: what is sent.

The namespaces have no names: each belongs to a process that ends when its input ends, so nothing is left even
if this program is killed. The host's own network is not touched.
"""

from __future__ import annotations

import shutil
import subprocess
from types import TracebackType
from typing import Final, TypeVar

_TOOLS: Final = ("unshare", "nsenter", "ip")
_PATIENCE: Final = 10.0
Self = TypeVar("Self", bound="Machines")


def missing(*tools: str) -> str | None:
    """Why this machine cannot have such a network; None if it can. tools: programs that are needed too."""
    absent = [tool for tool in (*_TOOLS, *tools) if not path(tool)]
    if absent:
        return f"{' and '.join(absent)} is not installed"
    try:
        with _Two():
            return None
    except (OSError, subprocess.SubprocessError) as error:
        return f"network namespaces are not allowed here ({error})"


def path(tool: str) -> str | None:
    """Where a program is, None if it is not installed."""
    return shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")


class Machine:
    """A network namespace with a loopback interface. prefix: the command under which a program runs there."""

    def __init__(self) -> None:
        """Raises OSError or subprocess.SubprocessError if that is not allowed."""
        self._holder = subprocess.Popen(
            [path("unshare") or "unshare", "--net", "sh", "-c", "echo here; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"here\n":
            self.close()
            raise OSError("unshare --net failed")
        self.prefix = [path("nsenter") or "nsenter", "-t", str(self._holder.pid), "--net"]
        try:
            self.ip("link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise

    def run(self, *command: str, text: str | None = None) -> None:
        """Run a command there. text: its input. Raises subprocess.SubprocessError."""
        first = path(command[0]) or command[0]
        subprocess.run(
            [*self.prefix, first, *command[1:]],
            check=True,
            capture_output=True,
            timeout=_PATIENCE,
            input=None if text is None else text.encode(),
        )

    def ip(self, *arguments: str) -> None:
        """Change its network."""
        self.run("ip", *arguments)

    def connect(self, other: Machine, name: str, address: str, others_address: str) -> None:
        """Put a cable between this machine and another one. name: of both ends."""
        self.ip("link", "add", name, "type", "veth", "peer", "name", name, "netns", str(other._holder.pid))
        for machine, own in ((self, address), (other, others_address)):
            machine.ip("addr", "add", f"{own}/24", "dev", name)
            machine.ip("link", "set", name, "up")

    def close(self) -> None:
        """It ends with its process; what runs on it must have ended."""
        holder = self._holder
        assert holder.stdin is not None and holder.stdout is not None
        holder.stdin.close()
        try:
            holder.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            holder.kill()
            holder.wait()
        holder.stdout.close()


class Machines:
    """Several machines, which end together."""

    def __init__(self, count: int) -> None:
        self.machines: list[Machine] = []
        try:
            for _ in range(count):
                self.machines.append(Machine())
            self._connect()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> None:
        """Put cables between them."""
        raise NotImplementedError

    def close(self) -> None:
        """All of them end."""
        for machine in self.machines:
            machine.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Two(Machines):
    """What every network consists of, to try whether it is allowed."""

    def __init__(self) -> None:
        super().__init__(2)

    def _connect(self) -> None:
        first, second = self.machines
        first.connect(second, "cable", "10.213.56.1", "10.213.56.2")
