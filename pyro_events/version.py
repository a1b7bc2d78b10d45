"""The version of the package, which setup.cfg reads too, and which of its two forms runs.

Knows: a number, and whether this module was compiled, which always is together with the other ones that
setup.py lists. Must not know: which modules these are, or what they do: both forms do the same.
"""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"


def is_compiled() -> bool:
    """Whether the compiled form of the package runs, and not the plain one."""
    return not __file__.endswith((".py", ".pyc"))


def in_words() -> str:
    """The version and the form, for those who read logs."""
    return f"pyro_events {__version__}, {'compiled' if is_compiled() else 'plain Python'}"
