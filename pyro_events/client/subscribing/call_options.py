"""Call options: what a program asks for when it subscribes, as the service's calls carry it.

Knows: which options there are, what no service accepts, and which of them belong to one call. Must not know:
who is told, or how.

Most options belong to the subscriber: the last ones given hold, and are sent again after a reconnection.
"""

from __future__ import annotations

import math
from typing import Any, Final

from ...constants import AHEAD_KEY, GROUP_KEY, LAST_KEY, LAST_OF_NEW_KEY
from ...options.backlog_options import (
    Overflow,
    OverflowName,
    check_count,
    check_last_and_group,
    checked_group,
    checked_max_age,
)

# Beside the others, when names or patterns with `last` are subscribed again: of those that the service has
# forgotten, the last values come again.
LAST_AGAIN: Final = {LAST_KEY: True, LAST_OF_NEW_KEY: True}
# The largest number that msgpack carries.
_LARGEST_BOUND: Final = 2**64 - 1


def given_options(
    backlog: int | None,
    backlog_bytes: int | None,
    overflow: Overflow | OverflowName | None,
    max_age: float | None = None,
    group: str | None = None,
    ahead: int | None = None,
    last: bool = False,
) -> dict[str, Any]:
    """The options that were given. Raises TypeError or ValueError for one that no service accepts; whether
    ours does, it checks itself, because it sets the limits."""
    bounds = {"backlog": backlog, "backlog_bytes": backlog_bytes, AHEAD_KEY: ahead}
    given: dict[str, Any] = {key: value for key, value in bounds.items() if value is not None}
    for key, value in given.items():
        check_count(key, value, 1)
        if value > _LARGEST_BOUND:
            raise ValueError(f"{key} is a number of over 64 bits, which is more than any service allows")
    if overflow is not None:
        given["overflow"] = Overflow.parse(overflow).value
    if max_age is not None:
        age = checked_max_age(max_age)
        given["max_age"] = math.inf if age is None else age
    if group is not None:
        given[GROUP_KEY] = checked_group(group)
    if not isinstance(last, bool):
        raise TypeError(f"last must be True or False, not {type(last).__name__}")
    if last:
        check_last_and_group(last, group)
        given[LAST_KEY] = True
    return given


def of_the_subscriber(options: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that hold for all its subscriptions, from now on."""
    return {key: value for key, value in options.items() if key != LAST_KEY}


def of_every_call(options: dict[str, Any]) -> dict[str, Any]:
    """Those that each of several calls must carry: which names it is for, and of which group."""
    return {key: value for key, value in options.items() if key in (LAST_KEY, GROUP_KEY)}
