"""Entries: an event in the form in which a publisher sends it to the service.

Knows: what may be published, how large it is on the wire, and how long that may take. Must not know: when it
is sent, or by which object.
"""

from __future__ import annotations

from typing import Any, Final

from ...broker.matching.service_subjects import check_published, check_published_all
from ...constants import LONGEST_WAIT, MAX_STOCK_CALL, MAX_SUBJECT
from ...errors import MessageTooLargeError
from ...wire.large_payload import SplitPayload
from ...wire.publish_options import RETAIN
from ...wire.requests import Entry, packed_size

# The bytes that the wire adds to a subject and a payload: an array of two, and their lengths.
_ENVELOPE: Final = 16
# The same of the options of a retained entry.
_OPTIONS: Final = packed_size(RETAIN)

# How many bytes the names of one event may take: the service reads everything except the payload from the
# first 64 KiB of a call, which also contain the object's and the method's names.
_NAMES: Final = MAX_STOCK_CALL - 256


def checked_entry(
    subjects: Any, payload: bytes | SplitPayload, retain: Any = False
) -> tuple[Entry, int, int]:
    """The entry for one name or any iterable of names, its number of events, and its size in bytes.

    retain: whether the events are to be kept as last values. The size is an upper bound. Raises TypeError or
    ValueError for the subjects, TypeError for `retain`, and MessageTooLargeError.
    """
    if retain is not False:
        return _retained(retain, *checked_entry(subjects, payload))
    if type(subjects) is str:
        # As check_published begins, without its call: this runs for each event.
        if not (subjects >= "%" and len(subjects) <= MAX_SUBJECT and subjects.isprintable()):
            check_published(subjects)
        width = len(subjects) if subjects.isascii() else 4 * len(subjects)
        return (subjects, payload), 1, len(payload) + width + _ENVELOPE
    names = check_published_all(subjects)
    width = sum(4 + (len(name) if name.isascii() else 4 * len(name)) for name in names)
    if width > _NAMES and (exact := packed_size(names)) > _NAMES:
        raise MessageTooLargeError(
            f"the {len(names):,} subjects of one publish take {exact:,} bytes "
            f"and may take at most {_NAMES:,}: publish on fewer subjects at once"
        )
    return (names, payload), len(names), len(payload) + width + _ENVELOPE


def _retained(retain: object, entry: Entry, events: int, size: int) -> tuple[Entry, int, int]:
    """The same for an entry whose events are to be kept."""
    if retain is not True:
        raise TypeError(f"retain must be True or False, not {type(retain).__name__}")
    return (entry[0], entry[1], RETAIN), events, size + _OPTIONS


def checked_timeout(timeout: Any) -> float | None:
    """A timeout in seconds; None for none, and for one that is longer than the system's calls take.

    Raises TypeError or ValueError for anything else.
    """
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}")
    # In compiled code a comparison must give a bool, and that of a number of numpy's gives one of numpy's.
    given: Any = timeout
    if not given >= 0:
        raise ValueError(f"timeout is {given!r}; it must be a number of seconds, 0 or more, or None")
    return float(given) if given < LONGEST_WAIT else None
