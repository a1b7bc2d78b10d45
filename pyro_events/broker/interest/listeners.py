"""Listeners: how many a subject has.

Knows: that a listener counts once however it matches, and which patterns may be left out. Must not know: what
a listener is, or who asks.

The answer for many subjects takes a while, so it is made in pieces.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, TypeVar

from ..matching.routing import RoutingTable
from .everything import matches_everything

T = TypeVar("T")


def count_listeners(
    routing: RoutingTable[T], subjects: Iterable[str], exact: bool = False
) -> Generator[None, None, dict[str, int]]:
    """How many listeners each of the subjects has, with a pause after every piece of the work.

    exact: do not count those that match a subject only by patterns that match everything. Subscriptions may
    change during the pauses: each subject is counted as it is when its turn comes.
    """
    counts: dict[str, int] = {}
    for subject in subjects:
        if not exact:
            counts[subject] = len(routing.match(subject))
        else:
            # Until a look finds all of them judged: others may have come during the pauses.
            while unknown := [each for each in routing.matching(subject) if each.everything is None]:
                for pattern in unknown:
                    matches_everything(pattern)
                    yield
            counts[subject] = len(routing.match_exactly(subject))
        yield
    return counts


def finished(pieces: Generator[Any, None, dict[str, int]]) -> dict[str, int]:
    """The result of such work, made in one go."""
    while True:
        try:
            next(pieces)
        except StopIteration as done:
            counts: dict[str, int] = done.value
            return counts
