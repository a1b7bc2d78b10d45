"""Passphrases in files.

Knows: which line of a file is the passphrase, and how long it may be. Must not know: which file that is, or
what the passphrase is for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .secret import Passphrase

__all__ = ["Opener", "read_passphrase"]

# Opens a file in place of `os.open`, as for Python's `open`.
Opener = Callable[[str, int], int]

# The longest passphrase in a file, in characters. A longer one is refused and not cut off.
_LONGEST: Final = 4096


def read_passphrase(path: str, opener: Opener | None = None) -> Passphrase | str:
    """The first line of a file, exactly as Python's `readline().rstrip("\\n")` returns it; or the reason, as
    text, why it cannot be used.

    It raises nothing, because the errors of decoding contain what was read.
    """
    try:
        with open(path, encoding="utf-8", opener=opener) as file:
            line = Passphrase(file.readline(_LONGEST + 2).rstrip("\n"))
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 text ({error.reason} at byte {error.start})"
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:  # a path with a null byte
        return str(error)
    if not line.reveal().strip():
        return "its first line should be the passphrase, but is empty"
    if len(line.reveal()) > _LONGEST:
        return f"its first line is longer than {_LONGEST} characters"
    return line
