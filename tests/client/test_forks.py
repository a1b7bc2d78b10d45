"""Forking: what a client has open is told, in the child and only there."""

from __future__ import annotations

import gc
import os
import weakref

import pytest

from pyro_events.client import forks


class Held:
    def __init__(self) -> None:
        self.told = 0

    def forked(self) -> None:
        self.told += 1


def in_child(held: Held) -> int:
    """How often a forked child has told what it holds."""
    child = os.fork()
    if not child:
        os._exit(held.told)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def test_the_child_is_told_once_and_the_parent_never() -> None:
    held = Held()
    assert in_child(held) == 0
    forks.tell_in_child(held)
    forks.tell_in_child(held)
    assert in_child(held) == 1
    assert held.told == 0


def test_a_grandchild_is_told_too() -> None:
    held = Held()
    forks.tell_in_child(held)
    child = os.fork()
    if not child:
        os._exit(in_child(held))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2


def test_it_keeps_nothing_alive() -> None:
    held = Held()
    forks.tell_in_child(held)
    alive = weakref.ref(held)
    del held
    gc.collect()
    assert alive() is None
