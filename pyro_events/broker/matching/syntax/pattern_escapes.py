"""Pattern text: the position in a pattern that is being read, and the escapes there.

Knows: the escapes of Python's `re` that stand for one character. Must not know: what else a pattern contains,
or the expression that is written for it.
"""

from __future__ import annotations

import re
import string
import unicodedata
from typing import Final

NO_REFERENCE: Final = "back-references are not supported"
_OCTAL_DIGITS: Final = frozenset(string.octdigits)
_HEXADECIMAL: Final = re.compile(r"[0-9a-fA-F]*")
_CONTROLS: Final = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_HEX_DIGITS: Final = {"x": 2, "u": 4, "U": 8}
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


class PatternText:
    """A pattern that is read from its start to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def _error(self, reason: str) -> PatternSyntaxError:
        return PatternSyntaxError(f"{reason} (at position {self._at})")

    def _next_token(self) -> str:
        """A character, or a backslash and what it escapes."""
        start = self._at
        self._at += 2 if self._text[start] == "\\" else 1
        if self._at > len(self._text):
            self._at = start
            raise self._error("bad escape (end of pattern)")
        return self._text[start : self._at]

    def _escaped_letter(self) -> str:
        """What follows the backslash here."""
        start = self._at
        letter = self._next_token()[1]
        self._at = start
        return letter

    def _octal_or_reference(self) -> int:
        digits = self._text[self._at + 1 : self._at + 4]
        if len(digits) == 3 and _OCTAL_DIGITS.issuperset(digits):
            return self._octal(digits)
        raise self._error(NO_REFERENCE)

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
        if letter in _OCTAL_DIGITS:
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
