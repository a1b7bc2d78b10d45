"""Holding a measurement on one core, or on two.

Knows: which processors this process may use. Must not know: what is measured.

A child starts on the processors of its parent. So the suite holds itself there while it starts the processes
of a measurement, and they stay there together.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Final

# What may be chosen. Goals are judged on one core: on two, a rate of requests one after the other measures
# how long one core takes to wake the other, and it varies more.
CORES: Final = (1, 2)
JUDGED: Final = 1
# Stands for "wherever the system lets it run", where a process cannot be held.
ANYWHERE: Final = 0


def in_words(cores: int) -> str:
    """How a table names it."""
    return {ANYWHERE: "not held on a core", 1: "one core"}.get(cores, f"{cores} cores")


def possible(wanted: Sequence[int]) -> tuple[list[int], dict[int, str]]:
    """Of the wanted numbers of cores those that this machine has, and for the others the reason."""
    if sys.platform != "linux":
        return [ANYWHERE], {number: "this system cannot hold a process on a core" for number in wanted}
    here = len(os.sched_getaffinity(0))
    reason = f"the suite may use {here} only"
    return [n for n in wanted if n <= here], {n: reason for n in wanted if n > here}


@contextlib.contextmanager
def held(cores: int) -> Iterator[None]:
    """Hold this thread, and the processes that it starts meanwhile, on so many cores: the first ones that it
    may use."""
    if cores == ANYWHERE or sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
