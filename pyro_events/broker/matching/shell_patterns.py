"""Shell-style patterns as regular expressions: `STOCKQUOTE.S*`.

Knows: the three signs of such a pattern (fnmatch's), and how they are spelled as a regular expression. Must
not know: subscriptions, or how expressions are matched.
"""

from __future__ import annotations

import re


def glob(pattern: str) -> str:
    """The regular expression of a shell-style pattern, for `subscribeMatch`.

    It matches the whole subject. The case of letters does not count, as in every pattern. The service's own
    subjects are matched only by a pattern that begins with `$ES`.

    Args:
        pattern: text in which `*` stands for any number of characters, also none and also dots; `?` for one
            character; `[abc]` and `[a-z]` for one of these, `[!abc]` for any other. Every other character
            stands for itself; to match one of these signs, put it into brackets: `[*]`.

    Returns:
        The expression, anchored at both ends.

    Raises:
        TypeError: `pattern` is not text.
        ValueError: `pattern` is empty, or has a range such as `[z-a]` that begins behind its end.

    Example:
        >>> glob("STOCKQUOTE.S*")
        '^STOCKQUOTE\\\\.S.*$'
    """
    if not isinstance(pattern, str):
        raise TypeError(f"a shell-style pattern is text, not {type(pattern).__name__}")
    if not pattern:
        raise ValueError("a shell-style pattern is empty; '*' matches every subject")
    parts = []
    position = 0
    while position < len(pattern):
        sign = pattern[position]
        end = _end_of_class(pattern, position) if sign == "[" else -1
        if end > 0:
            parts.append(_class(pattern[position + 1 : end]))
            position = end
        elif sign == "*":
            # Several in a row are one: each would cost the engine as much as the first.
            if parts[-1:] != [".*"]:
                parts.append(".*")
        else:
            parts.append("." if sign == "?" else re.escape(sign))
        position += 1
    return f"^{''.join(parts)}$"


def _end_of_class(pattern: str, begin: int) -> int:
    """Where the bracket closes that opens at `begin`; -1 if it does not, and then it stands for itself. A
    bracket that comes first in a class is a member of it."""
    first = begin + 2 if pattern[begin + 1 : begin + 2] == "!" else begin + 1
    return pattern.find("]", first + 1)


def _class(members: str) -> str:
    """A class of a regular expression. members: what stands between the brackets."""
    negated, members = ("^", members[1:]) if members[:1] == "!" else ("", members)
    made = []
    position = 0
    while position < len(members):
        first, last = members[position], members[position + 2 : position + 3]
        if members[position + 1 : position + 2] == "-" and last:
            if first > last:
                raise ValueError(f"in a shell-style pattern, the range {first}-{last} begins behind its end")
            made.append(f"{_member(first)}-{_member(last)}")
            position += 3
        else:
            made.append(_member(first))
            position += 1
    return f"[{negated}{''.join(made)}]"


def _member(character: str) -> str:
    return f"\\{character}" if character in r"\]^-[&~|" else character
