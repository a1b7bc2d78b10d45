"""The start script: `python -m pyro_events.es`, also installed as `pyro-es`.

Knows: the command line, the environment, signals and what is printed. Must not know: how a service
works; it builds options and hands them to EventServiceStarter.

Each option has an environment variable, PYROEVENTS_ and its long name: --ns-host is
PYROEVENTS_NS_HOST. The command line wins. Errors are one line on standard error and exit status 1,
or 2 for a bad option.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import Pyro5.errors

from . import __version__
from . import constants as c
from .options import BacklogOptions, Overflow, ServiceOptions
from .server.sockets import make_room
from .server.starter import EventServiceStarter

_PREFIX = "PYROEVENTS_"
_TRUE = ("1", "on", "yes", "true")
_FALSE = ("", "0", "off", "no", "false")


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (-h lists the options)\n")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 65536:
        raise argparse.ArgumentTypeError(f"{text} is no port; ports go from 0 (any free one) to 65535")
    return port


def _on(text: str) -> dict[str, Any]:
    return {"action": "store_true", "help": text}


def _value(kind: type, metavar: str, default: object, text: str) -> dict[str, Any]:
    return {"type": kind, "metavar": metavar, "default": default, "help": f"{text} (default: %(default)s)"}


_POLICIES = {"choices": [policy.value for policy in Overflow], "default": Overflow.BLOCK.value}
_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("-n", "--host"), {"help": "host to listen on (default: Pyro5's setting HOST, the loopback interface)"}),
    (("-p", "--port"), {"type": _port, "help": f"port, 0 for any free one (default: {c.DEFAULT_PORT})"}),
    (("-N", "--no-ns"), _on("use no name server; clients pass the printed URI as es_uri")),
    (("--ns-host",), {"help": "host of the name server"}),
    (("--ns-port",), {"type": _port, "help": "port of the name server"}),
    (("--embed-ns",), _on("run a name server in the same process")),
    (("--replace",), _on("take the name over from a live event service")),
    (("--backlog",), _value(int, "EVENTS", c.BACKLOG_EVENTS, "backlog of a subscriber, in events")),
    (("--backlog-bytes",), _value(int, "BYTES", c.BACKLOG_BYTES, "backlog of a subscriber, in bytes")),
    (("--overflow",), {**_POLICIES, "help": "for events that find a backlog full (default: %(default)s)"}),
    (
        ("--delivery-deadline",),
        _value(float, "SECONDS", c.DELIVERY_DEADLINE, "how long a full backlog may hold up a publisher"),
    ),
    (("--max-message",), _value(int, "BYTES", c.MAX_MESSAGE, "largest message")),
    (("--max-connections",), _value(int, "N", c.MAX_CONNECTIONS, "most clients at a time")),
    (("-v", "--verbose"), _on("log more")),
)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pyro-es",
        description="Start the event service of pyro_events.",
        epilog=f"Each option can also be given as an environment variable: --ns-host as {_PREFIX}NS_HOST.",
    )
    for names, settings in _OPTIONS:
        parser.add_argument(*names, **settings)
    parser.add_argument("--version", action="version", version=f"pyro_events {__version__}")
    return parser


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """The options that the command line and the environment ask for. Exits on a bad one."""
    parser = _parser()
    from_environment: list[str] = []
    for action in parser._actions:
        name = max(action.option_strings, key=len)
        text = environment.get(_PREFIX + name[2:].upper().replace("-", "_"))
        if text is None or action.dest in ("help", "version"):
            continue
        if action.nargs != 0:
            from_environment.append(f"{name}={text}")
        elif text.lower() in _TRUE:
            from_environment.append(name)
        elif text.lower() not in _FALSE:
            parser.error(f"{_PREFIX}{name[2:].upper().replace('-', '_')} must be 1 or 0, not {text!r}")
    options = parser.parse_args([*from_environment, *arguments])
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
        options=ServiceOptions(
            backlog=BacklogOptions(options.backlog, options.backlog_bytes, Overflow(options.overflow)),
            max_message=options.max_message,
            max_connections=options.max_connections,
            delivery_deadline=options.delivery_deadline,
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the event service until SIGTERM or SIGINT; returns the exit status."""
    options = parse(sys.argv[1:] if arguments is None else arguments, os.environ)
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        level=logging.DEBUG if options.verbose else logging.WARNING,
    )
    try:
        starter = make_starter(options)
    except ValueError as error:
        print(f"pyro-es: {error}", file=sys.stderr)
        return 2
    make_room(options.max_connections)
    restore = _on_signals(starter.shutdown)
    try:
        starter.start(announce=lambda: _announce(starter))
    except (OSError, Pyro5.errors.PyroError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        print(f"pyro-es: {text}", file=sys.stderr)
        return 1
    finally:
        restore()
    print("Event service stopped.", flush=True)
    return 0


def _announce(starter: EventServiceStarter) -> None:
    if starter.ns_uri is not None:
        print(f"Name server URI = {starter.ns_uri}")
    print(f"URI = {starter.uri}")
    print("Event service started.", flush=True)


def _on_signals(stop: Callable[[], None]) -> Callable[[], None]:
    """Have SIGTERM and SIGINT call `stop`; returns what undoes it."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    previous: list[Any] = [signal.signal(number, lambda *_: stop()) for number in numbers]

    def restore() -> None:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)

    return restore


if __name__ == "__main__":
    sys.exit(main())
