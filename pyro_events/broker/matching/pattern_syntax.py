"""Pattern syntax: reads a regular expression of Python's `re` and writes it again for RE2.

Knows: the syntax of Python's `re`, and what of it RE2 can do. Must not know: what a character is
(`character_sets`), how RE2 is called, or what a pattern may cost.

A pattern means exactly what it means to `re.match(pattern, subject, re.IGNORECASE)`, or it is refused; RE2
alone would read some of it differently. This is our own parser and does not use the result of Python's,
because that one is private, differs between Python 3.10 and 3.13, warns, and takes long for hostile patterns.
Our parser accepts nothing that Python 3.10 refuses, so a pattern means the same on all versions.

A subject contains no control characters and so no line breaks: `.`, `^` and `$` mean the same with and
without the flags `s` and `m`. Whether a pattern matches does not depend on what is tried first, so lazy
repetitions and capturing groups are written as ordinary ones.
"""

from __future__ import annotations

import functools
import re
import string
import unicodedata
from typing import Final

from .character_sets import BOUNDARY, NOT_BOUNDARY, Case, CharacterSet, literal

__all__ = ["PatternSyntaxError", "Translation"]

# Characters that stand for themselves outside a class, in `re` and in RE2.
_PLAIN: Final = re.compile(r"""[0-9A-Za-z_!"%&',/:;<=>@`~-]+""")
_COUNTS: Final = re.compile(r"\{([0-9]*)(,?)([0-9]*)\}")
_FLAGS: Final = re.compile(r"\(\?([a-zA-Z]*)(-?)([a-zA-Z]*)([:)])")
_NAME: Final = re.compile(r"\(\?P<([^>]*)>")
_POSIX_CLASS: Final = re.compile(r"\[:\^?[a-z]+:\]")
_HEXADECIMAL: Final = re.compile(r"[0-9a-fA-F]*")
_BLANKS: Final = frozenset(" \t\n\r\v\f")
_OCTAL: Final = frozenset(string.octdigits)

_ASSERTIONS: Final = {"A": r"\A", "Z": r"\z", "b": BOUNDARY, "B": NOT_BOUNDARY}
_CATEGORIES: Final = frozenset("wWdDsS")
_CONTROLS: Final = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_HEX_DIGITS: Final = {"x": 2, "u": 4, "U": 8}

# RE2 allows no more repetitions than this.
_MOST: Final = 1000
_MANY: Final = f"it is repeated more than {_MOST:,} times: use smaller counts"
_NO_LOOK: Final = "look-ahead and look-behind are not supported: test event.subject in event() instead"
_NO_REFERENCE: Final = "back-references are not supported"
_GROUPS: Final = {
    "=": _NO_LOOK,
    "!": _NO_LOOK,
    "<=": _NO_LOOK,
    "<!": _NO_LOOK,
    "(": "conditions are not supported, because back-references are not",
    ">": "atomic groups are not supported: write (?:…)",
    "P=": _NO_REFERENCE,
    "<": "the name of a group is written (?P<name>…)",
}
_REFUSED_FLAGS: Final = {
    "a": "subjects are Unicode: write [a-z], [0-9] or a space in place of ASCII's \\w, \\d, \\s",
    "L": "subjects are Unicode, without a locale",
}
_ESCAPE_HINTS: Final = {
    "z": r"the end of the subject is written \Z or $",
    "p": r"`re` has no Unicode classes: list the characters, or use \w, \d, \s",
    "P": r"`re` has no Unicode classes: list the characters, or use \W, \D, \S",
    "Q": "write what `re.escape` returns",
    "E": "write what `re.escape` returns",
    "C": "a subject contains no bytes: write .",
}


class PatternSyntaxError(ValueError):
    """A pattern is wrong, or uses what RE2 cannot do. The text is only the reason."""


class _CaseCountsError(Exception):
    """The pattern has to be read again, for subjects as they are spelled."""


class Translation:
    """One pattern, translated.

    expression: for RE2, to match the result of `character_sets.transcribe` for a subject, case-sensitively.
    spelled: whether it is for subjects as they are spelled, because case counts somewhere in the pattern.
    cost: of reading it, in steps of an RE2 program, in addition to the length of the texts.
    """

    def __init__(self, text: str, most: int, ignore_case: bool = True) -> None:
        """most: the cost at which reading stops. Raises PatternSyntaxError."""
        self._text = text
        self._most = most
        self.cost = 0
        self.spelled = not ignore_case
        try:
            self._begin(Case.FOLDED if ignore_case else Case.EXACT)
        except _CaseCountsError:
            self.spelled = True
            self._begin(Case.IGNORED)
        self.expression = "".join(self._pieces)

    def _begin(self, case: Case) -> None:
        self._at = 0
        self._verbose = False
        self._case = case
        self._names: set[str] = set()
        # The pieces written so far. For each open group: its position, where its pieces begin, and the flags
        # that hold after it.
        self._pieces: list[str] = []
        self._open: list[tuple[int, int, bool, Case]] = []
        # Why a repetition here would have nothing to repeat; None if it has something.
        self._unrepeatable: str | None = "nothing to repeat"
        self._read()

    def _read(self) -> None:
        text = self._text
        while self._at < len(text):
            plain = _PLAIN.match(text, self._at)
            if plain is not None:
                self._at = plain.end()
                self._add_plain(plain.group())
            else:
                self._read_special(text[self._at])
        if self._open:
            self._at = self._open[-1][0]
            raise self._error("missing ), unterminated subpattern")

    def _read_special(self, character: str) -> None:
        if self._verbose and (character in _BLANKS or character == "#"):
            self._skip_blank(character)
        elif character in "*+?{":
            self._read_repetition(character)
        elif character == "\\":
            self._read_escape()
        elif character == "[":
            self._read_class()
        elif character == "(":
            self._open_group()
        elif character == ")":
            self._close_group()
        else:
            self._at += 1
            if character == "|":
                self._pieces.append("|")
                self._unrepeatable = "nothing to repeat"
            elif character in "^$":
                self._add_assertion(r"\A" if character == "^" else r"\z")
            elif character == ".":
                self._add(_ANY[self._case])
            else:
                self._add_literal(ord(character))

    def _add_plain(self, characters: str) -> None:
        if self._case is Case.FOLDED:
            self._add(characters.lower())
            return
        for character in characters:
            self._add_literal(ord(character))

    def _add_literal(self, code: int) -> None:
        self._add(literal(code, self._case))

    def _add(self, piece: str) -> None:
        """Write an expression for characters. Only the last character of a longer piece may be repeated."""
        self._pieces.append(piece)
        self._unrepeatable = None

    def _add_assertion(self, piece: str) -> None:
        self._pieces.append(piece)
        self._unrepeatable = "nothing to repeat"

    def _skip_blank(self, character: str) -> None:
        """Skip white space, or a comment to the end of its line, where they are ignored."""
        self._at += 1
        while character == "#" and self._at < len(self._text):
            if self._next_token() == "\n":
                return

    def _next_token(self) -> str:
        """A character, or a backslash and what it escapes."""
        start = self._at
        self._at += 2 if self._text[start] == "\\" else 1
        if self._at > len(self._text):
            self._at = start
            raise self._error("bad escape (end of pattern)")
        return self._text[start : self._at]

    # Repetitions

    def _read_repetition(self, character: str) -> None:
        start = self._at
        counted = _COUNTS.match(self._text, start) if character == "{" else None
        if character == "{" and (counted is None or counted.group() == "{}"):
            self._at += 1
            self._add(r"\{")
            return
        if self._unrepeatable is not None:
            raise self._error(self._unrepeatable)
        self._at = start + 1 if counted is None else counted.end()
        self._pieces.append(character if counted is None else self._counts(counted, start))
        following = self._text[self._at : self._at + 1]
        if following == "+":
            raise self._error("possessive repetitions are not supported: leave out the second +")
        if following == "?":
            self._at += 1
        self._unrepeatable = "multiple repeat: put the first repetition in a group, (?:…)"

    def _counts(self, counted: re.Match[str], start: int) -> str:
        low, comma, high = counted.groups()
        self._at = start
        if not low:
            raise self._error(f"the least count is missing: write {{0,{high}}}")
        if len(low) > 9 or len(high) > 9 or int(low) > _MOST or (high and int(high) > _MOST):
            raise self._error(_MANY)
        if high and int(high) < int(low):
            raise self._error("min repeat greater than max repeat")
        self._at = counted.end()
        return f"{{{int(low)}{comma}{int(high) if high else ''}}}"

    # Escapes

    def _read_escape(self) -> None:
        letter = self._escaped_letter()
        if letter in _ASSERTIONS:
            self._at += 2
            self._add_assertion(_ASSERTIONS[letter])
        elif letter in _CATEGORIES:
            self._at += 2
            self._add(_whole_category(letter, self._case))
        elif letter in "123456789":
            self._add_literal(self._octal_or_reference())
        else:
            self._add_literal(self._escaped_code(letter))

    def _escaped_letter(self) -> str:
        """What follows the backslash here."""
        start = self._at
        letter = self._next_token()[1]
        self._at = start
        return letter

    def _octal_or_reference(self) -> int:
        digits = self._text[self._at + 1 : self._at + 4]
        if len(digits) == 3 and _OCTAL.issuperset(digits):
            return self._octal(digits)
        raise self._error(_NO_REFERENCE)

    def _octal(self, digits: str) -> int:
        code = int(digits, 8)
        if code > 0o377:
            raise self._error(f"octal escape value \\{digits} outside of range 0-0o377")
        self._at += 1 + len(digits)
        return code

    def _escaped_code(self, letter: str) -> int:
        """The code point that an escape stands for."""
        if letter in _HEX_DIGITS:
            return self._hexadecimal(letter, _HEX_DIGITS[letter])
        if letter == "N":
            return self._named_character()
        if letter in _OCTAL:
            digits = self._text[self._at + 1 : self._at + 4]
            return self._octal(digits[: len(digits) - len(digits.lstrip(string.octdigits))])
        if letter in string.ascii_letters and letter not in _CONTROLS or letter in string.digits:
            hint = _ESCAPE_HINTS.get(letter)
            raise self._error(f"bad escape \\{letter}" + (f" ({hint})" if hint else ""))
        self._at += 2
        return _CONTROLS.get(letter, ord(letter))

    def _hexadecimal(self, letter: str, count: int) -> int:
        start = self._at + 2
        found = _HEXADECIMAL.match(self._text, start, start + count)
        digits = found.group() if found else ""
        if len(digits) < count:
            raise self._error(f"incomplete escape \\{letter}{digits}")
        code = int(digits, 16)
        if code > 0x10FFFF:
            raise self._error(f"bad escape \\{letter}{digits}")
        self._at = start + count
        return code

    def _named_character(self) -> int:
        start = self._at + 2
        end = self._text.find("}", start)
        if self._text[start : start + 1] != "{" or end < 0:
            raise self._error("missing the name of a character: write \\N{NAME}")
        try:
            code = ord(unicodedata.lookup(self._text[start + 1 : end]))
        except (KeyError, TypeError):  # no such name, or that of several characters
            raise self._error("undefined character name") from None
        self._at = end + 1
        return code

    # Classes

    def _read_class(self) -> None:
        start = self._at
        self._at += 1
        negated = self._text.startswith("^", self._at)
        self._at += negated
        first = self._at
        found = CharacterSet()
        while self._at == first or not self._text.startswith("]", self._at):
            low = self._read_member(found, start)
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                self._read_range(found, low, start)
            elif low is not None:
                found.add_range(low, low)
        self._at += 1
        self._add(found.expression(self._case, negated))
        self.cost += found.cost
        if self.cost > self._most:
            raise self._error("too costly: use smaller character classes")

    def _read_member(self, found: CharacterSet, start: int) -> int | None:
        """The code point of one character; None for a category, which is added."""
        if self._at >= len(self._text):
            self._at = start
            raise self._error("missing ], unterminated character set")
        character = self._text[self._at]
        if character != "\\":
            if character == "[" and (posix := _POSIX_CLASS.match(self._text, self._at)):
                raise self._error(
                    f"Python's `re` has no classes such as {posix.group()}: list the characters"
                )
            self._at += 1
            return ord(character)
        letter = self._escaped_letter()
        if letter in _CATEGORIES:
            self._at += 2
            found.add_category(letter)
            return None
        if letter == "b":
            self._at += 2
            return 8
        return self._escaped_code(letter)

    def _read_range(self, found: CharacterSet, low: int | None, start: int) -> None:
        begin = self._at - 1
        high = self._read_member(found, start)
        if low is None or high is None or high < low:
            self._at = begin
            raise self._error("bad character range")
        found.add_range(low, high)

    # Groups

    def _open_group(self) -> None:
        start, text = self._at, self._text
        verbose, case = self._verbose, self._case
        if not text.startswith("(?", start):
            self._at += 1
        elif text.startswith("(?#", start):
            self._skip_comment()
            return
        elif text.startswith("(?P<", start):
            self._read_name()
        elif flags := _FLAGS.match(text, start):
            if not self._read_flags(flags):
                return
        else:
            raise self._bad_group()
        self._open.append((start, len(self._pieces), verbose, case))
        self._pieces.append("(?:")
        self._unrepeatable = "nothing to repeat"

    def _close_group(self) -> None:
        if not self._open:
            raise self._error("unbalanced parenthesis")
        _, begin, self._verbose, self._case = self._open.pop()
        self._at += 1
        group = "".join(self._pieces[begin:]) + ")"
        del self._pieces[begin:]
        self._add(group)

    def _skip_comment(self) -> None:
        start = self._at
        self._at += 3
        while self._at < len(self._text):
            if self._next_token() == ")":
                return
        self._at = start
        raise self._error("missing ), unterminated comment")

    def _read_name(self) -> None:
        named = _NAME.match(self._text, self._at)
        name = named.group(1) if named else ""
        if named is None or not name.isidentifier():
            raise self._error("bad name of a group: write (?P<name>…)")
        if name in self._names:
            raise self._error(f"redefinition of the group name {name!r}")
        self._names.add(name)
        self._at = named.end()

    def _read_flags(self, flags: re.Match[str]) -> bool:
        """Read the flags of a group. False if they are those of the whole pattern and open no group."""
        on, minus, off, end = flags.groups()
        for flag in on + off:
            if flag in _REFUSED_FLAGS:
                raise self._error(f"the flag {flag} is not accepted ({_REFUSED_FLAGS[flag]})")
            if flag not in "imsux":
                raise self._error(f"unknown flag {flag}")
        if "u" in off or (minus and not off) or set(on) & set(off):
            raise self._error("bad flags of a group")
        if end == ")" and (minus or not on or self._pieces or self._open):
            raise self._error("flags for the whole pattern, such as (?x), must be at its start: write (?x:…)")
        self._verbose = (self._verbose or "x" in on) and "x" not in off
        if "i" in off:
            if self._case is Case.FOLDED:
                raise _CaseCountsError
            self._case = Case.EXACT
        elif "i" in on and self.spelled:
            self._case = Case.IGNORED
        self._at = flags.end()
        return end == ":"

    def _bad_group(self) -> PatternSyntaxError:
        for length in 2, 1:
            reason = _GROUPS.get(self._text[self._at + 2 : self._at + 2 + length])
            if reason is not None:
                return self._error(reason)
        return self._error("unknown extension of a group")

    def _error(self, reason: str) -> PatternSyntaxError:
        return PatternSyntaxError(f"{reason} (at position {self._at})")


@functools.cache
def _whole_category(letter: str, case: Case) -> str:
    found = CharacterSet()
    found.add_category(letter)
    return found.expression(case)


_ANY: Final = {case: CharacterSet().expression(case, negated=True) for case in Case}
