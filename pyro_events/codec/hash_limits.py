"""How many members of a set or keys of a dict have the same hash, found out before they are inserted.

Knows: hashes. Must not know: what the members are, bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, Final

from ..errors import PayloadError, UnsupportedTypeError

# More members than this with the same hash are an attack: hashes of tuples and large ints can be computed in
# advance, and 100,000 equal ones in a set take minutes to insert.
MAX_EQUAL_HASHES: Final = 64
# Of the values that msgpack itself knows, no more have one hash: 35 floats (powers of 2 whose exponents
# differ by 61) and eight ints. (Times are left out: like those of tuples, their hashes are equal only by
# intention.)
MAX_EQUAL_NATIVE: Final = 48


def _most_equal(members: Collection[Any]) -> int:
    """The largest number of values with the same hash, if that is more than is accepted; else 0."""
    if len(members) - len(set(map(hash, members))) < MAX_EQUAL_HASHES:
        return 0
    _, most = Counter(map(hash, members)).most_common(1)[0]
    return most if most > MAX_EQUAL_HASHES else 0


def check_hashes(members: Collection[Any]) -> None:
    """Refuse members of a set or keys of a dict that would take quadratic time to insert.

    Raises PayloadError; TypeError if a member is not hashable.
    """
    most = _most_equal(members)
    if most:
        raise PayloadError(f"{most} members or keys have the same hash value")


def refuse_hashes(members: Collection[Any]) -> None:
    """The same, when they are written. Raises UnsupportedTypeError."""
    most = _most_equal(members)
    if most:
        raise UnsupportedTypeError(
            f"{most} of its members or keys have the same hash value, and at most {MAX_EQUAL_HASHES} may; "
            "send a list instead"
        )
