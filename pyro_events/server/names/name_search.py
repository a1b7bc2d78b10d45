"""A search of the embedded name server: it checks one name after the other, and lets others take turns.

Knows: how long one may take, and how large an answer may be. Must not know: what is searched for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Final

import Pyro5.errors

from ...constants import MIB
from ..limits.turns import TURN
from ..objects import DeferredResult
from .name_table import Record

# How long a search may take, in seconds: 10,000 names take 30 ms with an ordinary regular expression.
LONGEST: Final = 0.5
# The names, URIs and metadata of one answer, in characters: 10,000 names with URIs are 1 MiB.
LARGEST: Final = 2 * MIB


class NameSearch(DeferredResult):
    """Finds the entries that match."""

    def __init__(
        self,
        entries: Iterable[tuple[str, Record]],
        matches: Callable[[str, Record], bool],
        result: Callable[[list[tuple[str, Record]]], Any],
    ) -> None:
        """result: makes the answer from the entries that match, when all entries have been checked."""
        super().__init__()
        self._entries = iter(entries)
        self._matches = matches
        self._result = result
        self._found: list[tuple[str, Record]] = []
        self._left = LONGEST

    def begin(self) -> Any:
        """The result, if it is there after one turn; otherwise the search itself, which goes on.

        Raises Pyro5's NamingError.
        """
        if self._take_turn():
            return self._result(self._found)
        asyncio.get_running_loop().call_soon(self._go_on)
        return self

    def _go_on(self) -> None:
        if self.abandoned:
            return
        try:
            if self._take_turn():
                self.settle(self._result(self._found))
                return
        except Exception as error:  # an error is also an answer
            self.settle(error)
            return
        asyncio.get_running_loop().call_soon(self._go_on)

    def _take_turn(self) -> bool:
        """Go on for one turn. Returns whether all entries have been checked."""
        begin = monotonic()
        for name, record in self._entries:
            if self._matches(name, record):
                self._found.append((name, record))
            if monotonic() - begin > TURN:
                self._left -= TURN
                if self._left <= 0:
                    raise Pyro5.errors.NamingError(
                        f"the search takes over {LONGEST} s: use a simpler regular expression or a prefix"
                    )
                return False
        return True


def listing(found: list[tuple[str, Record]], with_metadata: bool) -> dict[str, Any]:
    """The answer that lists entries, as Pyro5's clients expect it. Raises Pyro5's NamingError."""
    size = sum(len(name) + len(record.uri) for name, record in found)
    if with_metadata:
        size += sum(record.size for _, record in found)
    if size > LARGEST:
        raise Pyro5.errors.NamingError(
            f"the answer would be {size:,} bytes, over {LARGEST:,}: ask with a prefix, or without metadata"
        )
    if with_metadata:
        return {name: (record.uri, list(record.metadata)) for name, record in found}
    return {name: record.uri for name, record in found}
