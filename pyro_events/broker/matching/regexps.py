"""Regular expressions as RE2 takes them, one by one and in sets.

Knows: how RE2 is called. Must not know: where an expression comes from, or what it is matched with.

RE2 is imported with the first expression. Most programs have none, and the library takes as long to load as
half of the rest of a client.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

__all__ = ["Matcher", "Regexp", "RegexpError", "compiled", "compiled_set"]


class Regexp(Protocol):
    """The part of a compiled expression that is used here. programsize: the steps of its program."""

    programsize: int

    def match(self, text: str | bytes) -> object:
        """None unless it matches from the start of the text."""


class Matcher(Protocol):
    """The part of a compiled set that is used here."""

    def Match(self, text: bytes) -> list[int] | None:
        """The indexes of the expressions that match, or None."""


class RegexpError(Exception):
    """RE2 refuses an expression; the text says why."""


def compiled(expression: str, max_mem: int) -> Regexp:
    """One expression, which may take `max_mem` bytes. Raises RegexpError."""
    import re2

    try:
        regexp: Regexp = re2.compile(expression, _options(max_mem))
    except re2.error as error:
        detail: bytes = error.args[0]
        raise RegexpError(detail.decode()) from None
    return regexp


def compiled_set(expressions: Iterable[str | bytes], max_mem: int) -> Matcher:
    """A set of valid expressions. Raises RegexpError when its program does not fit into `max_mem` bytes."""
    import re2

    matcher = re2.Set.MatchSet(_options(max_mem))
    try:
        for expression in expressions:
            matcher.Add(expression)
        matcher.Compile()
    except re2.error:
        raise RegexpError("the set does not fit into its memory") from None
    compiled: Matcher = matcher
    return compiled


def _options(max_mem: int) -> Any:
    """The options of every pattern: log nothing, remember no groups. Case counts, because it is folded
    before: expressions are translated, and subjects transcribed."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = max_mem
    return options
