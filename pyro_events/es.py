"""The start script: `python -m pyro_events.es`, also installed as `pyro-es`.

Knows: the options of an event service and what is printed. Must not know: how a service works. It makes
ServiceOptions of the options and hands them to EventServiceStarter.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Final

from .cli.options import PREFIX, Given, Parser, addresses, passphrase
from .cli.run import run
from .cli.service_options import SERVICE_GROUPS
from .cli.unknown_variables import unknown_variables
from .options import BacklogOptions, Overflow, ServiceOptions
from .server.net.sockets import raise_file_limit
from .server.net.standard_streams import say
from .server.starter import EventServiceStarter

_PROG: Final = "pyro-es"
# How many objects there may be more before Python looks for unused cycles of them, of which the service makes
# hardly any. The events on their way to a hundred subscribers are tens of thousands of objects, and by
# default they would all be looked at again and again. That took a fifth of the service's time.
_COLLECTOR: Final = (50_000, 20, 50)
# The options that the script and ServiceOptions call by the same name.
_SAME: Final = tuple(
    field.name for field in fields(ServiceOptions) if isinstance(field.default, (int, float))
)


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """The options that the command line and the environment ask for. Exits on a bad one."""
    given = Given(arguments, environment)
    del arguments, environment
    return _parsed(given)


def _parsed(given: Given) -> argparse.Namespace:
    description = (
        "Start the event service of pyro_events. It runs until SIGTERM or SIGINT, and without --permissions "
        "until SIGHUP too."
    )
    epilog = f"Each option can also be set by an environment variable: --ns-host by {PREFIX}NS_HOST."
    parser = Parser(_PROG, description, SERVICE_GROUPS, epilog)
    options = parser.parse(given)
    if options.no_ns and (options.embed_ns or options.ns_host or options.ns_port is not None):
        parser.error("--no-ns cannot be combined with --embed-ns, --ns-host or --ns-port")
    return options


def make_starter(options: argparse.Namespace) -> EventServiceStarter:
    """The starter for parsed options. Raises ValueError for a value that is not allowed."""
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
            permissions=options.permissions,
            unix_socket=options.unix_socket,
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the event service until SIGTERM, SIGINT or SIGHUP; returns the exit status."""
    given = Given(sys.argv[1:] if arguments is None else arguments, os.environ)
    del arguments
    options = _parsed(given)
    raise_file_limit(options.max_connections)
    gc.freeze()  # nor need it look again at what was imported
    gc.set_threshold(*_COLLECTOR)
    return run(
        _PROG,
        lambda: make_starter(options),
        _announce,
        options.verbose,
        goodbye="Event service stopped.",
        warnings=unknown_variables(os.environ),
    )


def _announce(starter: EventServiceStarter) -> None:
    if starter.ns_uri is not None:
        say(f"Name server URI = {starter.ns_uri}")
    say(f"URI = {starter.uri}")
    say("Event service started.")


if __name__ == "__main__":
    sys.exit(main())
