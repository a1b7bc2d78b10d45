"""A network of two machines on this one: two network namespaces, and a cable that can be cut.

Knows: Linux's `unshare`, `nsenter` and `ip`. Must not know: what is sent.

The namespaces have no names: each belongs to a process that ends when its input ends, so nothing is left even
if this program is killed. The host's own network is not touched.
"""

from __future__ import annotations

import shutil
import subprocess
from types import TracebackType
from typing import Final

_TOOLS: Final = ("unshare", "nsenter", "ip")
_PATIENCE: Final = 10.0
ADDRESSES: Final = ("10.213.57.1", "10.213.57.2")


def missing() -> str | None:
    """Why this machine cannot have such a network; None if it can."""
    absent = [tool for tool in _TOOLS if not _path(tool)]
    if absent:
        return f"{' and '.join(absent)} is not installed"
    try:
        with Network():
            return None
    except (OSError, subprocess.SubprocessError) as error:
        return f"network namespaces are not allowed here ({error})"


def _path(tool: str) -> str | None:
    return shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")


class Network:
    """Two ends, 0 and 1, with the addresses ADDRESSES, a cable between them, and a loopback interface
    each."""

    def __init__(self) -> None:
        self._holders: list[subprocess.Popen[bytes]] = []
        try:
            for _ in ADDRESSES:
                self._holders.append(self._hold())
            first, second = (str(holder.pid) for holder in self._holders)
            self._run(
                *(_path("ip") or "ip", "link", "add", "cable", "netns", first, "type", "veth"),
                *("peer", "name", "cable", "netns", second),
            )
            for end, address in enumerate(ADDRESSES):
                self._inside(end, "addr", "add", f"{address}/24", "dev", "cable")
                self._inside(end, "link", "set", "lo", "up")
                self._inside(end, "link", "set", "cable", "up")
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _hold() -> subprocess.Popen[bytes]:
        """A process in its own network namespace; it says when it is ready."""
        holder = subprocess.Popen(
            [_path("unshare") or "unshare", "--net", "sh", "-c", "echo here; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert holder.stdout is not None
        if holder.stdout.readline() != b"here\n":
            Network._end(holder)
            raise OSError("unshare --net failed")
        return holder

    def prefix(self, end: int) -> list[str]:
        """The command under which a program runs at that end."""
        return [_path("nsenter") or "nsenter", "-t", str(self._holders[end].pid), "--net"]

    def _inside(self, end: int, *arguments: str) -> None:
        self._run(*self.prefix(end), _path("ip") or "ip", *arguments)

    @staticmethod
    def _run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=_PATIENCE)

    def cut(self) -> None:
        """Cut the cable: what is sent is lost, and nobody is told."""
        self._inside(1, "link", "set", "cable", "down")

    def deafen(self, end: int) -> None:
        """What is sent to that end is lost; what it sends arrives."""
        # The sender has a link-layer address for it that does not exist.
        entry = (ADDRESSES[end], "lladdr", "02:00:00:00:00:01", "nud", "permanent", "dev", "cable")
        self._inside(1 - end, "neigh", "replace", *entry)

    def restore(self) -> None:
        """Restore the cable."""
        self._inside(1, "link", "set", "cable", "up")
        for end in range(len(ADDRESSES)):
            self._inside(end, "neigh", "flush", "dev", "cable", "nud", "permanent")

    @staticmethod
    def _end(holder: subprocess.Popen[bytes]) -> None:
        assert holder.stdin is not None and holder.stdout is not None
        holder.stdin.close()
        try:
            holder.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            holder.kill()
            holder.wait()
        holder.stdout.close()

    def close(self) -> None:
        """Both namespaces end with their processes."""
        for holder in self._holders:
            self._end(holder)

    def __enter__(self) -> Network:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
