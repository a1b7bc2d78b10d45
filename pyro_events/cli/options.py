"""Options of the start scripts: from the command line, from the environment, and from files.

Knows: argparse, the environment, and passphrases in files. Must not know: which options a script has, or
what it starts.

Each option can also be set by an environment variable, PYROEVENTS_ and the option's long name: --ns-host is
PYROEVENTS_NS_HOST. The command line wins. An error is one line on standard error, and the exit status is 2.
"""

from __future__ import annotations

import argparse
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NoReturn

from ..passphrase_file import read_passphrase
from ..secret import Passphrase, Secret
from ..transport.addresses import checked_host
from .option_groups import Hosts, OptionGroup

PREFIX: Final = "PYROEVENTS_"
_TRUE: Final = ("1", "on", "yes", "true")
_FALSE: Final = ("", "0", "off", "no", "false")
_IDENT_VARIABLE: Final = PREFIX + "IDENT"


class Given(Secret):
    """What a script was given. Tracebacks do not show it, because it may contain a passphrase."""

    __slots__ = ("arguments", "environment")

    def __init__(self, arguments: Iterable[str], environment: Mapping[str, str]) -> None:
        self.arguments = tuple(arguments)
        self.environment = environment


class Parser(argparse.ArgumentParser):
    """A parser that also reads the environment, and whose errors are one line each."""

    def __init__(self, prog: str, description: str, groups: Iterable[OptionGroup], epilog: str) -> None:
        """groups: the options in the order of the help text. epilog: the last lines of that text."""
        usage = "%(prog)s [OPTION ...]"
        super().__init__(prog=prog, usage=usage, description=description, epilog=epilog, add_help=False)
        self._variable = ""  # the environment variable whose value is being parsed
        for title, options in groups:
            group = self.add_argument_group(title)
            for names, settings in options:
                group.add_argument(*names, **settings)

    def error(self, message: str) -> NoReturn:
        where = f"{self._variable} in the environment: " if self._variable else ""
        self.exit(2, f"{self.prog}: {where}{message} (-h lists the options)\n")

    def parse(self, given: Given, prefixes: Mapping[str, str] | None = None) -> argparse.Namespace:
        """The options that the command line and the environment ask for. Exits on a bad one.

        prefixes: for options whose variable does not begin with PYROEVENTS_, what it begins with, by the
        option's name.
        """
        asked = vars(self._parsed(given))
        if asked["ident"] is not None and asked["ident_file"] is not None:
            self.error("--ident and --ident-file are the same thing: give one of them")
        has_ident = asked["ident"] is not None or asked["ident_file"] is not None
        from_environment: list[str] = []
        given_by: dict[str, str] = {}
        for action in self._actions:
            name = max(action.option_strings, key=len)
            variable = variable_of(action.option_strings, (prefixes or {}).get(action.dest, PREFIX))
            # A passphrase on the command line wins. When both variables are set, `passphrase` complains.
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
        # Each by itself first, so that an error names the variable.
        for argument, self._variable in given_by.items():
            self._parsed(Given([argument], given.environment))
        self._variable = ""
        options = self._parsed(Given([*from_environment, *given.arguments], given.environment))
        if not has_ident and _IDENT_VARIABLE in given.environment:
            options.ident = Passphrase(given.environment[_IDENT_VARIABLE])
        return options

    def _parsed(self, given: Given) -> argparse.Namespace:
        """The arguments as argparse parses them. Exits on a bad one."""
        try:
            return self.parse_args(given.arguments)
        except BaseException as error:
            failure = error
        # Without the frames of argparse's functions, whose variables hold all arguments.
        failure.__context__ = None
        raise failure.with_traceback(None)


def variable_of(names: Iterable[str], prefix: str = PREFIX) -> str:
    """The environment variable of an option with these names."""
    return prefix + max(names, key=len)[2:].upper().replace("-", "_")


def passphrase(options: argparse.Namespace) -> Passphrase | None:
    """The passphrase that the options give, None for none. Raises ValueError."""
    if options.ident is not None and options.ident_file is not None:
        raise ValueError(f"{_IDENT_VARIABLE} and {PREFIX}IDENT_FILE are the same thing: set one of them")
    if options.ident_file is None:
        ident: Passphrase | None = options.ident
        return ident
    found = read_passphrase(options.ident_file)
    if isinstance(found, Passphrase):
        return found
    path = options.ident_file if options.ident_file.isprintable() else ascii(options.ident_file)
    raise ValueError(f"the passphrase cannot be read from {path}: {found}")


def addresses(hosts: Sequence[str] | None) -> frozenset[str]:
    """The IP addresses of hosts; names are looked up now, once. Raises ValueError."""
    found: set[str] = set()
    for host in hosts or ():
        try:
            bare = checked_host("the host", host)
            infos = socket.getaddrinfo(bare, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise ValueError(f"the host {host!r} cannot be looked up ({error})") from None
        found.update(str(info[4][0]).partition("%")[0] for info in infos)
    return frozenset(found)
