"""Client names: what publishers and subscribers are called in statistics and in logs.

Knows: what a name may be, and the default name of a program. Must not know: how names travel, or where they
are shown.

Both sides check a name: the client, so that the caller gets the error; the service, because names come from
strangers and are written into its log.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

# Enough for a program, its machine and its instance; short enough for a line of a log.
MAX_CLIENT_NAME: Final = 100


def checked_client_name(name: object) -> str:
    """`name`, if it can be the name of a client.

    Raises TypeError if it is not a str. Raises ValueError if it is empty or too long, or contains characters
    that cannot be printed: line breaks, escape sequences and changes of the writing direction could forge
    lines of a log.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not name.strip():
        raise ValueError("name is empty; leave it out, and the script's name is used")
    if len(name) > MAX_CLIENT_NAME:
        raise ValueError(f"name is {len(name)} characters long; the limit is {MAX_CLIENT_NAME}")
    if not name.isprintable():
        raise ValueError(f"name {name!r} contains characters that cannot be printed")
    return name


def chosen_client_name(name: object) -> str:
    """The name that an argument `name=` gives; None stands for the script's name and process id."""
    return default_client_name(sys.argv, os.getpid()) if name is None else checked_client_name(name)


def default_client_name(argv: Sequence[str], pid: int) -> str:
    """The default name of a program, such as `market.py[1234]`.

    A package that runs by `python -m package` is called after its folder, and a program without a script
    `python`.
    """
    path = argv[0] if argv else ""
    script = os.path.basename(path)
    if script == "__main__.py":
        script = os.path.basename(os.path.dirname(os.path.abspath(path)))
    if script in ("", "-c", "-m", "-"):
        script = "python"
    suffix = f"[{pid}]"
    printable = "".join([letter if letter.isprintable() else "?" for letter in script])
    return printable[: MAX_CLIENT_NAME - len(suffix)] + suffix


def described(name: str, address: str) -> str:
    """A client as a log shows it: its address, and its name in quotes if it has one."""
    return f"{name!r} ({address})" if name else address
