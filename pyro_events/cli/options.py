"""What the start scripts have in common.

Knows: argparse, the environment, passphrases in files, and signals. Must not know: which options a
script has, or what it starts.

Each option has an environment variable, PYROEVENTS_ and its long name: --ns-host is
PYROEVENTS_NS_HOST. The command line wins. Errors are one line on standard error and exit status 1,
or 2 for a bad option.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn

import Pyro5.errors

from ..log.background import background
from ..secret import Passphrase, Secret
from ..server.net.standard_streams import open_missing_descriptors, say, settle_streams
from ..server.runner import Runner
from ..transport.addresses import checked_host
from ..version import __version__

PREFIX: Final = "PYROEVENTS_"
_TRUE: Final = ("1", "on", "yes", "true")
_FALSE: Final = ("", "0", "off", "no", "false")
_IDENT_VARIABLE: Final = PREFIX + "IDENT"
# Characters of a passphrase in a file. It is a line, not a disk; and a longer one is refused, not cut.
_LONGEST_IDENT: Final = 4096

Option = tuple[tuple[str, ...], dict[str, Any]]


def port(text: str) -> int:
    """A port, for argparse."""
    number = int(text)
    if not 0 <= number < 65536:
        raise argparse.ArgumentTypeError(f"{text} is no port; ports go from 0 (any free one) to 65535")
    return number


def switch(text: str) -> dict[str, Any]:
    """The settings of an option without a value."""
    return {"action": "store_true", "help": text}


def value(kind: type, metavar: str, default: object, text: str) -> dict[str, Any]:
    """The settings of an option with a value."""
    return {"type": kind, "metavar": metavar, "default": default, "help": f"{text} (default: %(default)s)"}


class Hosts(argparse.Action):
    """An option that may be given several times, each with a host."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or ()), values])


IDENT_OPTIONS: Final[tuple[Option, ...]] = (
    (
        ("-i", "--ident"),
        {
            "type": Passphrase,
            "metavar": "PASSPHRASE",
            "help": "passphrase that both sides must prove; others can see it in ps",
        },
    ),
    (("--ident-file",), {"metavar": "FILE", "help": "file whose first line is the passphrase"}),
    (
        ("--allow-stock",),
        {
            "action": Hosts,
            "metavar": "HOST",
            "help": "host whose clients need not prove the passphrase; may be given several times",
        },
    ),
)


class Given(Secret):
    """What a script was given: it may hold a passphrase, so no traceback shows it."""

    __slots__ = ("arguments", "environment")

    def __init__(self, arguments: Iterable[str], environment: Mapping[str, str]) -> None:
        self.arguments = tuple(arguments)
        self.environment = environment


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and that reads the environment too."""

    def __init__(self, prog: str, description: str, options: Iterable[Option], epilog: str) -> None:
        super().__init__(prog=prog, description=description, epilog=epilog)
        self._variable = ""  # in which the argument stands that is being parsed
        for names, settings in options:
            self.add_argument(*names, **settings)
        self.add_argument("--version", action="version", version=f"pyro_events {__version__}")

    def error(self, message: str) -> NoReturn:
        where = f"{self._variable} in the environment: " if self._variable else ""
        self.exit(2, f"{self.prog}: {where}{message} (-h lists the options)\n")

    def parse(self, given: Given, prefixes: Mapping[str, str] | None = None) -> argparse.Namespace:
        """The options that the command line and the environment ask for. Exits on a bad one.

        prefixes: what a variable begins with instead of PYROEVENTS_, by the option's name.
        """
        asked = vars(self._parsed(given))
        if asked["ident"] is not None and asked["ident_file"] is not None:
            self.error("--ident and --ident-file are the same thing: give one of them")
        has_ident = asked["ident"] is not None or asked["ident_file"] is not None
        from_environment: list[str] = []
        given_by: dict[str, str] = {}
        for action in self._actions:
            name = max(action.option_strings, key=len)
            variable = (prefixes or {}).get(action.dest, PREFIX) + name[2:].upper().replace("-", "_")
            # One passphrase on the command line is enough; of two variables, see `passphrase`.
            ours = action.dest in ("ident", "ident_file")
            if action.dest in ("help", "version", "ident") or (ours and has_ident):
                continue
            text = given.environment.get(variable)
            if text is None:
                continue
            if isinstance(action, Hosts):
                if not asked[action.dest]:
                    from_environment += [f"{name}={host}" for host in text.replace(",", " ").split()]
            elif action.nargs != 0:
                from_environment.append(f"{name}={text}")
                given_by[from_environment[-1]] = variable
            elif text.lower() in _TRUE:
                from_environment.append(name)
            elif text.lower() not in _FALSE:
                self.error(f"{variable} must be 1 or 0, not {text!r}")
        for argument, self._variable in given_by.items():  # alone, so that an error names the variable
            self._parsed(Given([argument], given.environment))
        self._variable = ""
        options = self._parsed(Given([*from_environment, *given.arguments], given.environment))
        if not has_ident and _IDENT_VARIABLE in given.environment:
            options.ident = Passphrase(given.environment[_IDENT_VARIABLE])
        return options

    def _parsed(self, given: Given) -> argparse.Namespace:
        """What argparse makes of the arguments. Exits on a bad one."""
        try:
            return self.parse_args(given.arguments)
        except BaseException as error:
            failure = error
        # Without argparse's functions: they have all arguments in their variables.
        failure.__context__ = None
        raise failure.with_traceback(None)


def passphrase(options: argparse.Namespace) -> Passphrase | None:
    """The passphrase that the options give, None for none. Raises ValueError."""
    if options.ident is not None and options.ident_file is not None:
        raise ValueError(f"{_IDENT_VARIABLE} and {PREFIX}IDENT_FILE are the same thing: set one of them")
    if options.ident_file is None:
        ident: Passphrase | None = options.ident
        return ident
    found = _first_line(options.ident_file)
    if isinstance(found, Passphrase):
        return found
    raise ValueError(f"the passphrase cannot be read from {options.ident_file}: {found}")


def _first_line(path: str) -> Passphrase | str:
    """The first line of a file, exactly as Python's `readline().rstrip("\\n")` takes it; or, in words, why
    not.

    Nothing is raised from here: the errors of decoding hold what was read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            line = Passphrase(file.readline(_LONGEST_IDENT + 2).rstrip("\n"))
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 text ({error.reason} at byte {error.start})"
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:  # a path with a null byte
        return str(error)
    if not line.reveal().strip():
        return "its first line should be the passphrase, and is empty"
    if len(line.reveal()) > _LONGEST_IDENT:
        return f"its first line is longer than {_LONGEST_IDENT} characters"
    return line


def addresses(hosts: Sequence[str] | None) -> frozenset[str]:
    """The IP addresses of hosts; names are looked up now, once. Raises ValueError."""
    found: set[str] = set()
    for host in hosts or ():
        try:
            bare = checked_host("the host", host)
            infos = socket.getaddrinfo(bare, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise ValueError(f"the host {host!r} is not known here ({error})") from None
        found.update(str(info[4][0]).partition("%")[0] for info in infos)
    return frozenset(found)


def run(
    prog: str, make: Callable[[], Runner], announce: Callable[[Any], None], verbose: bool, goodbye: str
) -> int:
    """Run what `make` makes until SIGTERM, SIGINT or SIGHUP; returns the exit status.

    A second signal ends the process at once. announce: called with it when it is ready. A ValueError of
    `make` is the fault of an option. goodbye: what is said in the end.
    """
    open_missing_descriptors()
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        level=logging.DEBUG if verbose else logging.WARNING,
    )
    try:
        status = _run(prog, make, announce)
        if status == 0:
            say(goodbye)
    except KeyboardInterrupt:  # before it is the runner's to end
        status = 130
    settle_streams()
    if not background.flush(rest=True):
        # Nobody reads standard error: the interpreter would wait for that for ever.
        os._exit(status)
    return status


def _run(prog: str, make: Callable[[], Runner], announce: Callable[[Any], None]) -> int:
    try:
        runner = make()
    except ValueError as error:
        say(f"{prog}: {error}", sys.stderr)
        return 2
    restore = _on_signals(runner.shutdown)
    try:
        runner.start(announce=lambda: announce(runner))
    except (OSError, Pyro5.errors.PyroError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        say(f"{prog}: {text}", sys.stderr)
        return 1
    finally:
        restore()
    return 0


def _on_signals(stop: Callable[[], None]) -> Callable[[], None]:
    """Have the first SIGTERM, SIGINT or SIGHUP call `stop`, and the next end the process at once.

    A SIGHUP that is ignored (by nohup) stays so. Returns what undoes it; after a signal that does nothing,
    because a second one may still come while the interpreter ends.
    """
    numbers = [signal.SIGTERM, signal.SIGINT]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    told = False

    def on_signal(*_: object) -> None:
        nonlocal told
        told = True
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        stop()

    previous: list[Any] = [signal.signal(number, on_signal) for number in numbers]

    def restore() -> None:
        if not told:
            for number, handler in zip(numbers, previous, strict=True):
                signal.signal(number, handler)

    return restore
