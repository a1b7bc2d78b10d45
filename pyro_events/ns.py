"""A name server alone: `python -m pyro_events.ns`.

Knows: the options of a name server and what is printed. Must not know: how it works; it hands them to
NameServerStarter.

It is Pyro5's name server behind this package's defences. With a passphrase only those who prove it are
let in. Its host and port are PYROEVENTS_NS_HOST and PYROEVENTS_NS_PORT in the environment.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from Pyro5 import config

from .cli.options import (
    IDENT_OPTIONS,
    PREFIX,
    Given,
    Option,
    Parser,
    addresses,
    passphrase,
    port,
    run,
    switch,
)
from .options import ServiceOptions
from .server.net.standard_streams import say
from .server.starter import NameServerStarter

_PROG: Final = "pyro_events.ns"
_OPTIONS: Final[tuple[Option, ...]] = (
    (("-n", "--host"), {"help": "host to listen on (default: Pyro5's setting HOST, the loopback interface)"}),
    (
        ("-p", "--port"),
        {"type": port, "help": f"port, 0 for any free one (default: Pyro5's NS_PORT, {config.NS_PORT})"},
    ),
    *IDENT_OPTIONS,
    (("-v", "--verbose"), switch("log more")),
)
# The event service reads the same environment, and HOST and PORT are its own.
_PREFIXES: Final = {"host": PREFIX + "NS_", "port": PREFIX + "NS_"}


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """The options that the command line and the environment ask for. Exits on a bad one."""
    given = Given(arguments, environment)
    del arguments, environment
    return _parsed(given)


def _parsed(given: Given) -> argparse.Namespace:
    epilog = f"Each option can also be given as an environment variable: --host as {PREFIX}NS_HOST."
    parser = Parser(
        _PROG, "Start a Pyro5 name server, guarded by a passphrase if you like.", _OPTIONS, epilog
    )
    return parser.parse(given, _PREFIXES)


def make_starter(options: argparse.Namespace) -> NameServerStarter:
    """The starter for parsed options. Raises ValueError for a value that cannot be."""
    allowed = ServiceOptions(allow_stock=addresses(options.allow_stock))
    return NameServerStarter(options.host, options.port, options=allowed, ident=passphrase(options))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the name server until SIGTERM, SIGINT or SIGHUP; returns the exit status."""
    given = Given(sys.argv[1:] if arguments is None else arguments, os.environ)
    del arguments
    options = _parsed(given)
    return run(
        _PROG, lambda: make_starter(options), _announce, options.verbose, goodbye="Name server stopped."
    )


def _announce(starter: NameServerStarter) -> None:
    say(f"URI = {starter.uri}")
    say("Name server started.")


if __name__ == "__main__":
    sys.exit(main())
