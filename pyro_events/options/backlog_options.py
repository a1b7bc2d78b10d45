"""Options of one subscriber: checked on construction and handed down.

Knows: what a subscriber may ask for, what a service allows, and the defaults. Must not know: the other limits
of a service (service_options.py does), or who uses an option.
"""

from __future__ import annotations

import enum
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from .. import constants as c

# The names of the policies, for those who check types.
OverflowName = Literal["block", "drop-oldest", "drop-newest", "latest", "disconnect"]
# What a subscribing call may ask for beside these options, so that an error can name it too.
_OTHERS: Final = (c.AHEAD_KEY, c.GROUP_KEY, c.LAST_KEY, c.NAME_KEY)


class Overflow(enum.Enum):
    """What happens to an event that finds its subscriber's backlog full.

    `Subscriber.subscribe` also takes the word, such as "drop-oldest".

    Attributes:
        BLOCK: the event is kept, and its publisher waits: nothing is lost.
        DROP_OLDEST: the event that has waited longest is dropped.
        DROP_NEWEST: the event that has just come is dropped.
        LATEST: of what waits, only the newest event of each subject is kept, full or not.
        DISCONNECT: the subscriber is disconnected.

    Example:
        >>> [policy.value for policy in Overflow]
        ['block', 'drop-oldest', 'drop-newest', 'latest', 'disconnect']
    """

    BLOCK = "block"
    DROP_OLDEST = "drop-oldest"
    DROP_NEWEST = "drop-newest"
    LATEST = "latest"
    DISCONNECT = "disconnect"

    @classmethod
    def parse(cls, value: object) -> Overflow:
        """The policy of that name.

        Args:
            value: a word such as "latest", or a policy.

        Returns:
            The policy.

        Raises:
            ValueError: there is no such policy; the text lists the words.
        """
        for policy in cls:
            if value is policy or value == policy.value:
                return policy
        names = ", ".join(policy.value for policy in cls)
        raise ValueError(f"overflow must be one of {names}, not {reprlib.repr(value)}")


def check_count(name: str, value: object, least: int) -> None:
    """Raise ValueError unless `value` is a whole number of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {reprlib.repr(value)}")


def checked_max_age(value: object) -> float | None:
    """The seconds after which a waiting event is dropped; None for never, which `math.inf` means.

    Raises ValueError for anything else than a positive number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(
            "max_age must be a positive number of seconds, or math.inf for no limit, "
            f"not {reprlib.repr(value)}"
        )
    return None if value >= c.LONGEST_WAIT else float(value)


def checked_group(value: object) -> str:
    """The name of a group. Raises TypeError or ValueError for what cannot be one."""
    if not isinstance(value, str):
        raise TypeError(f"group must be the name of a group, a str, not {type(value).__name__}")
    if not 0 < len(value) <= c.MAX_NAME or not value.isprintable():
        raise ValueError(
            f"a group's name has 1 to {c.MAX_NAME} printable characters, not {reprlib.repr(value)}"
        )
    return value


def check_last_and_group(last: bool, group: object) -> None:
    """Raise ValueError if one subscribing call asks for both. group: None or "" for none."""
    if last and group:
        raise ValueError(
            "last=True and group= exclude each other: every member would get what is kept, and a group "
            "shares its events; subscribe to it with another subscriber, without the group"
        )


@dataclass(frozen=True)
class BacklogOptions:
    """The bounds of one subscriber's backlog, and what is done beyond them.

    Args:
        backlog: how many events may wait, at least 1; 100,000 by default.
        backlog_bytes: how many bytes these may take, each event with its payload, subject and a constant;
            64 MiB by default.
        overflow: what happens to an event that finds the backlog full; `Overflow.BLOCK` by default.
        max_age: after how many seconds of waiting an event is dropped. Default None: never.

    Raises:
        ValueError: a bound is not a whole number of at least 1, there is no such policy, or the age is not a
            positive number.

    Example:
        >>> BacklogOptions(backlog=1000, overflow=Overflow.DROP_OLDEST).backlog_bytes
        67108864
    """

    backlog: int = c.BACKLOG_EVENTS
    backlog_bytes: int = c.BACKLOG_BYTES
    overflow: Overflow = Overflow.BLOCK
    max_age: float | None = None

    def __post_init__(self) -> None:
        check_count("backlog", self.backlog, 1)
        check_count("backlog_bytes", self.backlog_bytes, 1)
        object.__setattr__(self, "overflow", Overflow.parse(self.overflow))
        if self.max_age is not None:
            object.__setattr__(self, "max_age", checked_max_age(self.max_age))

    def narrowed(self, wanted: Mapping[str, Any], current: BacklogOptions | None = None) -> BacklogOptions:
        """These options, narrowed by what a subscriber asks for.

        Args:
            wanted: the options asked for, by name.
            current: the options that hold so far for what is not asked for. Default None: these.

        Returns:
            The options for that subscriber.

        Raises:
            ValueError: an option is not known, a value cannot be, or a bound is wider than this one.
        """
        known = {field.name for field in fields(self)}
        for name, value in wanted.items():
            if name not in known:
                there_are = ", ".join(sorted(known.union(_OTHERS)))
                raise ValueError(f"unknown option {reprlib.repr(name)}; there are {there_are}")
            if name == "max_age":
                self._check_age(value)
            elif name != "overflow":
                check_count(name, value, 1)
                if value > getattr(self, name):
                    raise ValueError(
                        f"{name}={value} is more than the service allows ({getattr(self, name)}); "
                        "ask for less, or start the service with more"
                    )
        others = current or self
        return BacklogOptions(**{name: wanted.get(name, getattr(others, name)) for name in known})

    def _check_age(self, value: object) -> None:
        age, most = checked_max_age(value), self.max_age
        if most is not None and (age is None or age > most):
            raise ValueError(
                f"max_age={value} is more than the service allows ({most:g}); ask for less, or start the "
                "service with more"
            )
