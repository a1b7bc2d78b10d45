"""Entries: the plain form in which nearly all of them come.

Knows: which names may be published. Must not know: the other forms of an entry, or what becomes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .matching.service_subjects import check_published
from .publishing import Entry


def plain_entries(batch: Sequence[Any], most: int) -> list[Entry] | None:
    """The entries of a batch, if each is a list of one name and a message of at most `most` bytes; otherwise
    None. Raises ValueError for a name that may not be published.

    This runs for each event. In a pipeline its name is often the same as before.
    """
    entries: list[Entry] = []
    name: tuple[str, ...] = ()
    for entry in batch:
        if type(entry) is not list or len(entry) != 2:
            return None
        subject, payload = entry
        if type(subject) is not str or type(payload) is not bytes or len(payload) > most:
            return None
        if not name or subject != name[0]:
            name = (check_published(subject),)
        entries.append((name, payload))
    return entries
