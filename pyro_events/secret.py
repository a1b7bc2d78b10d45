"""Secrets: values that no traceback, log or pickle shows.

Knows: how Python and its tools show, copy and write values. Must not know: what a secret is used for.

A traceback that shows local variables shows their `repr`, also for all callers. So every function that takes
a secret wraps it in its first line, and it stays wrapped. It is revealed only inside the one expression that
uses it, never in a variable.
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

Self = TypeVar("Self", bound="Secret")


class Secret:
    """Base of an object that contains a secret: its `repr` is blank, and it cannot be pickled.

    A copy is the object itself, because it never changes.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __copy__(self: Self) -> Self:
        return self

    def __deepcopy__(self: Self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__getstate__()

    def __getstate__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds a secret and cannot be pickled: give the other program the secret "
            "in a file that only its user may read"
        )


class Passphrase(Secret):
    """A passphrase, or what was given as one; equal to its text and to another with the same text.

    Example: `Publisher(ident=Passphrase(open("secret.txt").readline().rstrip("\\n")))`.
    """

    __slots__ = ("_given",)

    def __init__(self, given: object) -> None:
        self._given = given

    def reveal(self) -> Any:
        """The text. Use it in an expression; a variable would show in a traceback."""
        return self._given

    def __eq__(self, other: object) -> bool:
        return bool(self._given == (other._given if isinstance(other, Passphrase) else other))

    def __hash__(self) -> int:
        return hash(self._given)
