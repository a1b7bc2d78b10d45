"""NameTable: names, their URIs and their metadata, with limits on number and memory.

Knows: what may be registered, and how much memory an entry takes. Must not know: which client calls, how a
search works, or what a name stands for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from sys import getsizeof
from typing import Any, Final, NamedTuple

import Pyro5.errors
from Pyro5.core import URI

from ...constants import MAX_NAME, MAX_NAME_BYTES, MAX_NAMES
from ...transport.addresses import check_uri

# What an entry takes in addition to its texts, and a tag of its metadata in addition to its own: places in
# containers.
_ENTRY: Final = 400
_TAG: Final = 16


class Record(NamedTuple):
    """The entry of a name. size: the bytes that it takes, about."""

    uri: str
    metadata: tuple[str, ...]
    size: int


class NameTable:
    """A table that any thread may use."""

    def __init__(self, most_names: int = MAX_NAMES, most_bytes: int = MAX_NAME_BYTES) -> None:
        """Limits: the number of names, and the memory that they take with their metadata."""
        self._most_names = most_names
        self._most_bytes = most_bytes
        self._records: dict[str, Record] = {}
        self._lock = threading.Lock()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, name: str) -> bool:
        return name in self._records

    def entries(self) -> list[tuple[str, Record]]:
        """All names with their entries, as they are now."""
        return list(self._records.items())

    def get(self, name: object) -> Record:
        """The entry of a name. Raises Pyro5's NamingError if the name is not there, TypeError."""
        if not isinstance(name, str):
            raise TypeError(f"a name is text, not {type(name).__name__}")
        record = self._records.get(name)
        if record is None:
            raise Pyro5.errors.NamingError(f"unknown name: {_shown(name)}")
        return record

    def enter(self, name: object, uri: str, metadata: object = None, safe: bool = False) -> None:
        """Register a name. safe: only if it is not there.

        Raises TypeError or ValueError for an argument that is not allowed, Pyro5's NamingError if a limit is
        reached, and PyroError for something that is not a URI.
        """
        checked = check_name(name)
        check_uri(uri)
        URI(uri)
        tags = check_metadata(metadata)
        with self._lock:
            if safe and checked in self._records:
                raise Pyro5.errors.NamingError(f"name already registered: {_shown(checked)}")
            self._put(checked, uri, tags)

    def set_metadata(self, name: object, metadata: object) -> None:
        """Replace the metadata of a name. Raises what `enter` and `get` raise."""
        tags = check_metadata(metadata)
        with self._lock:
            self._put(check_name(name), self.get(name).uri, tags)

    def _put(self, name: str, uri: str, tags: tuple[str, ...]) -> None:
        before = self._records.get(name)
        if before is None and len(self._records) >= self._most_names:
            raise Pyro5.errors.NamingError(f"the name server has {self._most_names:,} names: remove some")
        size = _ENTRY + getsizeof(name) + getsizeof(uri) + sum(getsizeof(tag) + _TAG for tag in tags)
        total = self.bytes + size - (before.size if before is not None else 0)
        if total > self._most_bytes and (before is None or size > before.size):
            raise Pyro5.errors.NamingError(
                f"the names and their metadata would take over {self._most_bytes:,} bytes: remove some"
            )
        self._records[name] = Record(uri, tags, size)
        self.bytes = total

    def remove(self, names: Iterable[str]) -> int:
        """Remove names. Returns how many of them were there."""
        with self._lock:
            gone = [record for name in names if (record := self._records.pop(name, None)) is not None]
            self.bytes -= sum(record.size for record in gone)
        return len(gone)


def check_name(name: object) -> str:
    """A name that may be registered. Raises TypeError or ValueError."""
    if not isinstance(name, str):
        raise TypeError(f"a name is text, not {type(name).__name__}")
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise ValueError(
            f"{_shown(name)} is not a valid name: a name has 1 to {MAX_NAME} printable characters"
        )
    return name


def check_metadata(metadata: object) -> tuple[str, ...]:
    """Metadata as sorted texts, each once. Raises TypeError or ValueError."""
    if metadata is None:
        return ()
    if not isinstance(metadata, (list, tuple, set, frozenset)):
        raise TypeError(f"metadata is a set or a list of texts, not {type(metadata).__name__}")
    # Only texts: other objects can be made to have the same hash, and a set of those takes long.
    tags: list[Any] = list(metadata)
    for tag in tags:
        if not isinstance(tag, str):
            raise TypeError(f"metadata is texts, not {type(tag).__name__}")
        if not tag.isascii():
            try:
                tag.encode()
            except UnicodeEncodeError:
                raise ValueError(f"metadata {_shown(tag)} contains a lone surrogate: remove it") from None
    return tuple(sorted(set(tags)))


def _shown(text: str) -> str:
    return ascii(text[:60]) + ("..." if len(text) > 60 else "")
