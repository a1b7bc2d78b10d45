"""The limits and times of a service: checked on construction and handed down.

Knows: what may be set, to what, and the defaults. Must not know: the environment and the command
line (es.py reads them), Pyro's global config, or who uses an option.
"""

from __future__ import annotations

import ipaddress
import os
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass

from .. import constants as c
from .backlog_options import BacklogOptions, check_count


def _check_seconds(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9:
        raise ValueError(f"{name} must be a positive number of seconds, not {reprlib.repr(value)}")


def _checked_addresses(name: str, value: object) -> frozenset[str]:
    """IP addresses in one spelling."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ValueError(f"{name} must be a set of IP addresses, not {reprlib.repr(value)}")
    try:
        return frozenset(str(ipaddress.ip_address(address)) for address in value)
    except ValueError as error:
        raise ValueError(f"{name} must hold IP addresses only: {error}") from None


def _checked_path(name: str, value: object) -> str:
    """A path as text."""
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(path, str):
        raise TypeError(f"{name} must be the path of a file, as text, not {reprlib.repr(value)}")
    if not path:
        raise ValueError(f"{name} is an empty path; leave it out for none")
    return path


def _checked_unix_socket(value: object) -> str:
    path = _checked_path("unix_socket", value) if value != "" else ""
    if path.lower() in (c.UNIX_AUTO, c.UNIX_OFF):  # as in clients, which read the same variable
        return path.lower()
    if not os.path.isabs(path):
        raise ValueError(
            f"unix_socket={path!r} must be an absolute path, {c.UNIX_AUTO!r} for one that the service "
            f"chooses, or {c.UNIX_OFF!r} for none"
        )
    return path


@dataclass(frozen=True)
class ServiceOptions:
    """The limits and times of an event service. Sizes are in bytes, times in seconds.

    Args:
        backlog: the bounds of each subscriber's backlog, which it can narrow for itself.
        total_backlog_bytes: memory for all backlogs together; at the limit all publishers wait. 1 GiB by
            default.
        max_message: the largest message; publishing a larger one is an error. 16 MiB by default, 256 MiB at
            most.
        max_connections: how many clients, and how many subscribers, there may be; any more are refused with
            an error. 10,000 by default.
        max_per_host: how many of each one host may have. Default 0: half of `max_connections`.
        total_subscription_bytes: memory for all subscriptions; subscribing to more is an error. 256 MiB by
            default.
        host_subscription_bytes: the same for the subscriptions that one host makes; 64 MiB by default.
        max_subscriptions: how many names and patterns one subscriber may have; subscribing to more is an
            error. 10,000 by default.
        max_programs: maximum total RE2 program size of one subscriber's patterns; subscribing to more is an
            error. 20,000 by default.
        max_retained: how many subjects may have a last value; retaining one more is an error. 10,000 by
            default.
        max_retained_bytes: memory for all last values; retaining more is an error. 64 MiB by default.
        delivery_deadline: how long a full backlog may block a publisher without one acknowledgement; then its
            subscriber is disconnected. 10 s by default.
        block_suspension: how long, after that, subscriptions from the same host get "drop-oldest" in place of
            "block"; 60 s by default.
        first_contact: how long after subscribing a program may begin to listen; then the service drops the
            subscriber. 60 s by default.
        linger: after how long without a subscription a subscriber is disconnected; 5 s by default.
        drain: how long a service that is told to stop goes on delivering; the rest is lost. 10 s by default.
        handshake_timeout: how long a client's handshake may take, TLS included; then it is disconnected.
            2 s by default.
        frame_timeout: how long a client may take to send the rest of a message; then it is disconnected. 30 s
            by default.
        heartbeat: after how long without a delivery a subscriber is sent a heartbeat; 15 s by default.
        heartbeat_answer: how long it may take to answer; a subscriber that leaves three unanswered is
            disconnected. 5 s by default.
        allow_callback: IP addresses of hosts that the service may connect to although the subscribing call
            comes from another host; none by default.
        allow_stock: IP addresses of hosts whose clients need not prove `ident`; none by default.
        permissions: path of a TOML file that says which users there are, and what each may do. Default None:
            everybody may do everything.
        unix_socket: where it also listens for clients of its own user on the same machine, which is faster
            than TCP: an absolute path of at most 100 bytes, or "off". Default "auto": in a folder of that
            user.

    Raises:
        TypeError: `backlog` is something else than BacklogOptions, or `permissions` than a path.
        ValueError: a number is out of its range, an address is not an IP address, or `unix_socket` is
            none of these.

    Example:
        >>> options = ServiceOptions(max_message=64 * 1024 * 1024, backlog=BacklogOptions(backlog=1000))
        >>> with EventServiceStarter(port=0, use_ns=False, options=options) as es:
        ...     print(es.uri)
        PYRO:Pyro.EventService@localhost:...
    """

    backlog: BacklogOptions = BacklogOptions()
    total_backlog_bytes: int = c.TOTAL_BACKLOG_BYTES
    max_message: int = c.MAX_MESSAGE
    max_connections: int = c.MAX_CONNECTIONS
    max_per_host: int = 0
    total_subscription_bytes: int = c.TOTAL_SUBSCRIPTION_BYTES
    host_subscription_bytes: int = c.HOST_SUBSCRIPTION_BYTES
    max_subscriptions: int = c.MAX_SUBSCRIPTIONS
    max_programs: int = c.MAX_SUBSCRIBER_PROGRAMS
    max_retained: int = c.MAX_RETAINED
    max_retained_bytes: int = c.MAX_RETAINED_BYTES
    delivery_deadline: float = c.DELIVERY_DEADLINE
    block_suspension: float = c.BLOCK_SUSPENSION
    first_contact: float = c.FIRST_CONTACT
    linger: float = c.LINGER
    drain: float = c.DRAIN
    handshake_timeout: float = c.HANDSHAKE_TIMEOUT
    frame_timeout: float = c.FRAME_TIMEOUT
    heartbeat: float = c.HEARTBEAT
    heartbeat_answer: float = c.HEARTBEAT_ANSWER
    allow_callback: frozenset[str] = frozenset()
    allow_stock: frozenset[str] = frozenset()
    permissions: str | os.PathLike[str] | None = None
    unix_socket: str = c.UNIX_AUTO

    def __post_init__(self) -> None:
        if not isinstance(self.backlog, BacklogOptions):
            shown = reprlib.repr(self.backlog)
            raise TypeError(
                f"backlog must be BacklogOptions, such as BacklogOptions(backlog=1000), not {shown}"
            )
        for name in (
            "total_backlog_bytes",
            "max_message",
            "max_connections",
            "max_subscriptions",
            "max_programs",
            "max_retained",
            "max_retained_bytes",
            "total_subscription_bytes",
            "host_subscription_bytes",
        ):
            check_count(name, getattr(self, name), 1)
        check_count("max_per_host", self.max_per_host, 0)
        if self.max_message > c.LARGEST_MESSAGE:
            raise ValueError(
                f"max_message can be at most {c.LARGEST_MESSAGE}, not {self.max_message}: "
                "publishers and subscribers do not accept more"
            )
        for name in (
            "delivery_deadline",
            "block_suspension",
            "first_contact",
            "linger",
            "drain",
            "handshake_timeout",
            "frame_timeout",
            "heartbeat",
            "heartbeat_answer",
        ):
            _check_seconds(name, getattr(self, name))
        for name in ("allow_callback", "allow_stock"):
            object.__setattr__(self, name, _checked_addresses(name, getattr(self, name)))
        self._check_paths()

    def _check_paths(self) -> None:
        if self.permissions is not None:
            object.__setattr__(self, "permissions", _checked_path("permissions", self.permissions))
        object.__setattr__(self, "unix_socket", _checked_unix_socket(self.unix_socket))


def chosen_options(options: object) -> ServiceOptions:
    """The options given, or those by default for None. Raises TypeError for anything else."""
    if options is None:
        return ServiceOptions()
    if not isinstance(options, ServiceOptions):
        raise TypeError(f"options must be ServiceOptions or None, not {type(options).__name__}")
    return options
