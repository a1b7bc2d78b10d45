"""The start script: `python -m pyro_events.es`, also installed as `pyro-es`.

Knows: the options of an event service and what is printed. Must not know: how a service works; it
builds options and hands them to EventServiceStarter.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from . import constants as c
from .cli.options import IDENT_OPTIONS, PREFIX, Given, Hosts, Option, Parser, addresses, passphrase, port, run
from .cli.options import switch as _on
from .cli.options import value as _value
from .options import BacklogOptions, Overflow, ServiceOptions
from .server.net.sockets import make_room
from .server.net.standard_streams import say
from .server.starter import EventServiceStarter


def _seconds(default: float, text: str) -> dict[str, Any]:
    """The settings of an option for a time."""
    return _value(float, "SECONDS", default, f"seconds {text}")


_PROG: Final = "pyro-es"
_POLICIES = {"choices": [policy.value for policy in Overflow], "default": Overflow.BLOCK.value}
_OPTIONS: tuple[Option, ...] = (
    (
        ("-n", "--host"),
        {
            "help": "host to listen on, 0.0.0.0 or :: for all (default: Pyro5's setting HOST, the "
            "loopback interface)"
        },
    ),
    (("-p", "--port"), {"type": port, "help": f"port, 0 for any free one (default: {c.DEFAULT_PORT})"}),
    (
        ("--nathost",),
        {
            "metavar": "HOST",
            "help": "host at which others reach the service, to be registered and printed (default: Pyro5's "
            "setting NATHOST, else the one that it listens on)",
        },
    ),
    (
        ("--natport",),
        {"type": port, "help": "the port there (default: Pyro5's setting NATPORT, else the one of --port)"},
    ),
    (("-N", "--no-ns"), _on("use no name server; clients pass the printed URI as es_uri")),
    (("--ns-host",), {"help": "host of the name server"}),
    (("--ns-port",), {"type": port, "help": "port of the name server"}),
    (("--embed-ns",), _on("run a name server in the same process")),
    *IDENT_OPTIONS,
    (
        ("--allow-callback",),
        {
            "action": Hosts,
            "metavar": "HOST",
            "help": "host that the service may connect to for a subscriber, beside the one that "
            "subscribes it; may be given several times",
        },
    ),
    (("--replace",), _on("take the name over from a live event service")),
    (("--backlog",), _value(int, "EVENTS", c.BACKLOG_EVENTS, "backlog of a subscriber, in events")),
    (("--backlog-bytes",), _value(int, "BYTES", c.BACKLOG_BYTES, "backlog of a subscriber, in bytes")),
    (
        ("--total-backlog-bytes",),
        _value(int, "BYTES", c.TOTAL_BACKLOG_BYTES, "what all backlogs may hold together"),
    ),
    (("--overflow",), {**_POLICIES, "help": "for events that find a backlog full (default: %(default)s)"}),
    (
        ("--delivery-deadline",),
        _seconds(c.DELIVERY_DEADLINE, "for which a full backlog may hold up a publisher"),
    ),
    (
        ("--block-suspension",),
        _seconds(c.BLOCK_SUSPENSION, "for which one that did so for too long cannot do it again"),
    ),
    (
        ("--max-message",),
        _value(int, "BYTES", c.MAX_MESSAGE, f"largest message, at most {c.LARGEST_MESSAGE}"),
    ),
    (
        ("--max-connections",),
        _value(int, "N", c.MAX_CONNECTIONS, "most clients at a time, and most subscribers"),
    ),
    (("--max-per-host",), _value(int, "N", 0, "most of each of one host; 0: half of --max-connections")),
    (
        ("--total-subscription-bytes",),
        _value(int, "BYTES", c.TOTAL_SUBSCRIPTION_BYTES, "what all subscriptions may take in memory"),
    ),
    (
        ("--host-subscription-bytes",),
        _value(int, "BYTES", c.HOST_SUBSCRIPTION_BYTES, "what the subscriptions of one host may take"),
    ),
    (
        ("--max-subscriptions",),
        _value(int, "N", c.MAX_SUBSCRIPTIONS, "most names and patterns of a subscriber"),
    ),
    (
        ("--max-programs",),
        _value(
            int,
            "N",
            c.MAX_SUBSCRIBER_PROGRAMS,
            "most that the patterns of a subscriber may cost, as sizes of RE2 programs",
        ),
    ),
    (("--heartbeat",), _seconds(c.HEARTBEAT, "after which an idle subscriber is asked for a sign of life")),
    (
        ("--heartbeat-answer",),
        _seconds(c.HEARTBEAT_ANSWER, "that each of three questions waits for the answer"),
    ),
    (("--first-contact",), _seconds(c.FIRST_CONTACT, "that a subscriber has until it listens")),
    (("--linger",), _seconds(c.LINGER, "that a subscriber is kept without subscriptions")),
    (("--handshake-timeout",), _seconds(c.HANDSHAKE_TIMEOUT, "that a client has to connect, TLS included")),
    (("--frame-timeout",), _seconds(c.FRAME_TIMEOUT, "that a message may take, once begun")),
    (("--drain",), _seconds(c.DRAIN, "to go on delivering when told to stop")),
    (("-v", "--verbose"), _on("log more")),
)
# The options of the script that are the service's under the same name.
_SAME: Final = tuple(
    field.name for field in fields(ServiceOptions) if isinstance(field.default, (int, float))
)


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """The options that the command line and the environment ask for. Exits on a bad one."""
    given = Given(arguments, environment)
    del arguments, environment
    return _parsed(given)


def _parsed(given: Given) -> argparse.Namespace:
    epilog = f"Each option can also be given as an environment variable: --ns-host as {PREFIX}NS_HOST."
    parser = Parser(_PROG, "Start the event service of pyro_events.", _OPTIONS, epilog)
    options = parser.parse(given)
    if options.no_ns and (options.embed_ns or options.ns_host or options.ns_port is not None):
        parser.error("--no-ns cannot be combined with --embed-ns, --ns-host or --ns-port")
    return options


def make_starter(options: argparse.Namespace) -> EventServiceStarter:
    """The starter for parsed options. Raises ValueError for a value that cannot be."""
    return EventServiceStarter(
        options.host,
        options.port,
        use_ns=not options.no_ns,
        ns_host=options.ns_host,
        ns_port=options.ns_port,
        embed_ns=options.embed_ns,
        replace=options.replace,
        ident=passphrase(options),
        nathost=options.nathost,
        natport=options.natport,
        options=ServiceOptions(
            backlog=BacklogOptions(options.backlog, options.backlog_bytes, Overflow(options.overflow)),
            **{name: getattr(options, name) for name in _SAME},
            allow_callback=addresses(options.allow_callback),
            allow_stock=addresses(options.allow_stock),
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the event service until SIGTERM, SIGINT or SIGHUP; returns the exit status."""
    given = Given(sys.argv[1:] if arguments is None else arguments, os.environ)
    del arguments
    options = _parsed(given)
    make_room(options.max_connections)
    return run(
        _PROG, lambda: make_starter(options), _announce, options.verbose, goodbye="Event service stopped."
    )


def _announce(starter: EventServiceStarter) -> None:
    if starter.ns_uri is not None:
        say(f"Name server URI = {starter.ns_uri}")
    say(f"URI = {starter.uri}")
    say("Event service started.")


if __name__ == "__main__":
    sys.exit(main())
