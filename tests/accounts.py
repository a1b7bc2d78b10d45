"""What a process uses, as Linux tells it.

Knows: /proc. Must not know: what the process does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no /proc here")


def _status(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition(f"{name}:")[2].split()[0])


def memory(pid: int) -> float:
    """What it has in memory, in MiB."""
    return _status(pid, "VmRSS") / 1024


def peak(pid: int) -> float:
    """The most that it ever had in memory, in MiB."""
    return _status(pid, "VmHWM") / 1024


def threads(pid: int) -> int:
    """How many threads it has."""
    return _status(pid, "Threads")


def cpu(pid: int) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid: int) -> int:
    """How many descriptors are open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def kept_alive(port: int) -> list[bool]:
    """Of each connection of this machine from or to a port: whether its keepalive timer runs."""
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, _, timer = line.split()[:6]
        if state == "01" and int(local.rpartition(":")[2], 16) == port:
            found.append(timer.startswith("02"))
    return found


@contextmanager
def no_more_memory(pid: int, most: float) -> Iterator[None]:
    """Raises AssertionError when a process has `most` MiB more at any time within the block."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # begin a new peak
    before = memory(pid)
    yield
    assert peak(pid) - before < most, f"{peak(pid) - before:.0f} MiB more"
