"""The settings that argparse takes for an option, by kind, and the options that all start scripts have.

Knows: argparse's settings, and the help texts of the common options. Must not know: where the values come
from, or what they are used for.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from ..constants import MIB
from ..secret import Passphrase
from ..version import in_words

Option = tuple[tuple[str, ...], dict[str, Any]]
# A heading of the help text, and the options below it.
OptionGroup = tuple[str, tuple[Option, ...]]


def port(text: str) -> int:
    """A port, for argparse."""
    number = int(text)
    if not 0 <= number < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not a port: ports go from 0 (any free one) to 65535")
    return number


def switch(text: str) -> dict[str, Any]:
    """The settings of an option without a value."""
    return {"action": "store_true", "help": text}


def count(default: int, metavar: str, text: str) -> dict[str, Any]:
    """The settings of an option for a whole number."""
    return {"type": int, "metavar": metavar, "default": default, "help": f"{text} (default: {default})"}


def size(default: int, text: str) -> dict[str, Any]:
    """The settings of an option for a number of bytes."""
    shown = f"{default}, which is {default // MIB} MiB"
    return {"type": int, "metavar": "BYTES", "default": default, "help": f"{text} (default: {shown})"}


def seconds(default: float, text: str) -> dict[str, Any]:
    """The settings of an option for a time."""
    shown = f"{default:g}"
    return {"type": float, "metavar": "SECONDS", "default": default, "help": f"{text} (default: {shown})"}


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
            "help": "passphrase that both sides of every connection must prove to know; other users of this "
            "machine can see it in ps, so prefer --ident-file",
        },
    ),
    (("--ident-file",), {"metavar": "FILE", "help": "file whose first line is the passphrase"}),
    (
        ("--allow-stock",),
        {
            "action": Hosts,
            "metavar": "HOST",
            "help": "do not ask programs on this host for the passphrase: stock Pyro5 programs cannot prove "
            "it; may be given several times",
        },
    ),
)
PERMISSIONS_OPTION: Final[Option] = (
    ("--permissions",),
    {
        "metavar": "FILE",
        "help": "TOML file that says which users there are, and what each may do; SIGHUP has it read again "
        "(default: everybody may do everything)",
    },
)
GENERAL_OPTIONS: Final[OptionGroup] = (
    "general",
    (
        (("-h", "--help"), {"action": "help", "help": "show this text and exit"}),
        (
            ("--version",),
            {
                "action": "version",
                "version": in_words(),
                "help": "show the version, and whether it is compiled, and exit",
            },
        ),
        (("-v", "--verbose"), switch("log everything, not only warnings and errors")),
    ),
)
