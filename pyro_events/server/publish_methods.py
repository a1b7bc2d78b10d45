"""PublishMethods: what publishers can call on the event service.

Knows: the arguments of these calls, and what is refused in them. Must not know: any rule of delivery, what is
kept, or how a call arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import Any

import Pyro5.errors

from ..broker.entries import plain_entries
from ..broker.matching.service_subjects import check_published_all
from ..broker.publishing import Entry
from ..broker.retained.store import check_retained
from ..codec.message import encode_plain
from ..constants import MIB, Payload
from ..wire.frames import SERPENT
from ..wire.publish_options import read_publish_options
from ..wire.requests import Publication
from .engine import Engine
from .limits.flow_control import BlockedPublish
from .objects import Caller
from .permissions.checks import check_publish


class PublishMethods:
    """The first part of ServiceMethods."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._most = engine.options.max_message

    def publish(
        self, caller: Caller, subjects: Any, message: Any, options: Any = None
    ) -> int | BlockedPublish:
        """Publish a message that a stock client sent. Returns the number of deliveries queued.

        options: {"retain": True} also keeps it as the last value.
        """
        retain = read_publish_options(options)
        checked = publishable(caller, subjects)
        payload = encode_plain(message, serpent=caller.serializer_id == SERPENT)
        return _watched(caller, self.publish_message(checked, payload, retain))

    def publish_encoded(self, caller: Caller, batch: Any) -> int | BlockedPublish:
        """Publish entries in order, each [subjects, payload] or [subjects, payload, options of `publish`].
        Returns the number of deliveries queued."""
        if not isinstance(batch, (list, tuple)):
            raise TypeError("a batch must be a list of [subjects, payload] pairs")
        plain = plain_entries(batch, self._most)
        if plain is not None:
            return self._engine.publish(plain) if caller.rights is None else self._publish(caller, plain, ())
        entries: list[Entry] = []
        retained: list[int] = []
        for entry in batch:
            more, retain = self._read_entry(entry)
            if retain:
                retained.extend(range(len(entries), len(entries) + len(more)))
            entries.extend(more)
        return self._publish(caller, entries, retained)

    def publish_large(self, caller: Caller, entry: Publication) -> int | BlockedPublish:
        """Publish the single entry of a large frame."""
        entries, retain = self._read_entry(entry)
        return self._publish(caller, entries, list(range(len(entries))) if retain else [])

    def _publish(self, caller: Caller, entries: list[Entry], retained: Sequence[int]) -> int | BlockedPublish:
        if caller.rights is not None:
            _check_entries(caller, entries)
        return _watched(caller, self._engine.publish(entries, retained))

    def publish_message(
        self, subjects: list[str], payload: Payload, retain: bool = False
    ) -> int | BlockedPublish:
        """Publish one message on checked subjects. retain: whether to keep it as the last value of each.
        Raises Pyro5's MessageTooLargeError, and ValueError for what cannot be kept."""
        self._check_payload(payload)
        if retain:
            check_retained(subjects)
        entries = _entries(subjects, payload)
        return self._engine.publish(entries, range(len(entries)) if retain else ())

    def clear_retained(self, caller: Caller, subjects: Any) -> int:
        """Forget the last values of one subject or several, which the caller may publish. Returns how many
        there were, of those subjects that the caller may also get."""
        names, rights, retained = publishable(caller, subjects), caller.rights, self._engine.broker.retained
        shown = [name for name in names if rights is None or rights.may_receive(name)]
        cleared = retained.clear(shown)
        retained.clear(names)
        return cleared

    def _read_entry(self, entry: Any) -> tuple[list[Entry], bool]:
        """What an entry of a batch is published as, and whether it is kept."""
        if not isinstance(entry, (list, tuple)) or not 2 <= len(entry) <= 3:
            raise TypeError("each entry of a batch must be [subjects, payload], or with options as a third")
        subjects, payload = check_published_all(entry[0]), entry[1]
        retain = len(entry) == 3 and read_publish_options(entry[2])
        if retain:
            check_retained(subjects)
        self._check_payload(payload)
        return _entries(subjects, payload), retain

    def _check_payload(self, payload: Any) -> None:
        if not isinstance(payload, (bytes, memoryview)):
            kind = type(payload).__name__
            raise TypeError(f"a payload must be bytes, made by pyro_events.codec.message, not {kind}")
        if len(payload) > self._most:
            raise Pyro5.errors.MessageTooLargeError(
                f"a message of {len(payload)} bytes is over the service's limit of {self._most}"
            )


def _entries(subjects: list[str], payload: Payload) -> list[Entry]:
    """One entry for all subjects, so that a full backlog of one does not delay the others.

    But if that goes far beyond a backlog's bound, each subject is one entry, and the next one waits until
    there is space.
    """
    if len(subjects) * len(payload) <= MIB:
        return [(subjects, payload)]
    return [((subject,), payload) for subject in subjects]


def _check_entries(caller: Caller, entries: Sequence[Entry]) -> None:
    check_publish(caller, chain.from_iterable([entry[0] for entry in entries]))


def _watched(caller: Caller, result: int | BlockedPublish) -> int | BlockedPublish:
    """A result, which is checked again when the rights of its caller change."""
    if caller.rights is not None and isinstance(result, BlockedPublish):
        result.check = partial(_check_entries, caller)
    return result


def publishable(caller: Caller, subjects: Any) -> list[str]:
    """The names of one call, which the caller may publish. Raises TypeError, ValueError or SecurityError."""
    names = check_published_all(subjects)
    check_publish(caller, names)
    return names
