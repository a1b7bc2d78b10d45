"""A name server alone: `python -m pyro_events.ns`.

Knows: the options of a name server and what is printed. Must not know: how it works. It hands the options
to NameServerStarter.

It runs Pyro5's name server behind this package's limits and checks. With a passphrase, clients must prove
it. In the environment its host and port are PYROEVENTS_NS_HOST and PYROEVENTS_NS_PORT.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from Pyro5 import config

from .cli.option_groups import GENERAL_OPTIONS, IDENT_OPTIONS, PERMISSIONS_OPTION, OptionGroup, port
from .cli.options import PREFIX, Given, Parser, addresses, passphrase
from .cli.run import run
from .cli.unknown_variables import unknown_variables
from .options import ServiceOptions
from .server.name_server_starter import NameServerStarter
from .server.net.standard_streams import say

_PROG: Final = "pyro_events.ns"
_LISTENING: Final[OptionGroup] = (
    "where it listens",
    (
        (
            ("-n", "--host"),
            {
                "metavar": "HOST",
                "help": "host name or address to listen on; 0.0.0.0 or :: for all interfaces (default: "
                "Pyro5's setting HOST, which is the loopback interface)",
            },
        ),
        (
            ("-p", "--port"),
            {
                "type": port,
                "metavar": "PORT",
                "help": f"port to listen on; 0 for any free one (default: Pyro5's setting NS_PORT, "
                f"{config.NS_PORT})",
            },
        ),
    ),
)
_GROUPS: Final = (_LISTENING, ("security", (*IDENT_OPTIONS, PERMISSIONS_OPTION)), GENERAL_OPTIONS)
# The event service reads the same environment, and PYROEVENTS_HOST and PYROEVENTS_PORT are its.
_PREFIXES: Final = {"host": PREFIX + "NS_", "port": PREFIX + "NS_"}


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """The options that the command line and the environment ask for. Exits on a bad one."""
    given = Given(arguments, environment)
    del arguments, environment
    return _parsed(given)


def _parsed(given: Given) -> argparse.Namespace:
    description = "Start a Pyro5 name server that can be protected by a passphrase."
    epilog = f"Each option can also be set by an environment variable: --host by {PREFIX}NS_HOST."
    parser = Parser(_PROG, description, _GROUPS, epilog)
    return parser.parse(given, _PREFIXES)


def make_starter(options: argparse.Namespace) -> NameServerStarter:
    """The starter for parsed options. Raises ValueError for a value that is not allowed."""
    allowed = ServiceOptions(allow_stock=addresses(options.allow_stock), permissions=options.permissions)
    return NameServerStarter(options.host, options.port, options=allowed, ident=passphrase(options))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the name server until SIGTERM, SIGINT or SIGHUP; returns the exit status."""
    given = Given(sys.argv[1:] if arguments is None else arguments, os.environ)
    del arguments
    options = _parsed(given)
    return run(
        _PROG,
        lambda: make_starter(options),
        _announce,
        options.verbose,
        goodbye="Name server stopped.",
        warnings=unknown_variables(os.environ),
    )


def _announce(starter: NameServerStarter) -> None:
    say(f"URI = {starter.uri}")
    say("Name server started.")


if __name__ == "__main__":
    sys.exit(main())
