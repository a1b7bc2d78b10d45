"""Pattern syntax: reads a regular expression of Python's `re` and writes it again for RE2.

Knows: the syntax of Python's `re`, and what of it RE2 can do. Must not know: what a character is
(`character_sets`), how escapes and classes are read, how RE2 is called, or what a pattern may cost.

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
from typing import Final

from .character_sets import BOUNDARY, NOT_BOUNDARY, Case, CharacterSet, literal
from .pattern_classes import CATEGORIES, PatternWithClasses
from .pattern_escapes import NO_REFERENCE, PatternSyntaxError

# Characters that stand for themselves outside a class, in `re` and in RE2.
_PLAIN: Final = re.compile(r"""[0-9A-Za-z_!"%&',/:;<=>@`~-]+""")
_COUNTS: Final = re.compile(r"\{([0-9]*)(,?)([0-9]*)\}")
_FLAGS: Final = re.compile(r"\(\?([a-zA-Z]*)(-?)([a-zA-Z]*)([:)])")
_NAME: Final = re.compile(r"\(\?P<([^>]*)>")
_BLANKS: Final = frozenset(" \t\n\r\v\f")

_ASSERTIONS: Final = {"A": r"\A", "Z": r"\z", "b": BOUNDARY, "B": NOT_BOUNDARY}

# RE2 allows no more repetitions than this.
_MOST: Final = 1000
_MANY: Final = f"it is repeated more than {_MOST:,} times: use smaller counts"
_NO_LOOK: Final = "look-ahead and look-behind are not supported: test event.subject in event() instead"
_GROUPS: Final = {
    "=": _NO_LOOK,
    "!": _NO_LOOK,
    "<=": _NO_LOOK,
    "<!": _NO_LOOK,
    "(": "conditions are not supported, because back-references are not",
    ">": "atomic groups are not supported: write (?:…)",
    "P=": NO_REFERENCE,
    "<": "the name of a group is written (?P<name>…)",
}
_REFUSED_FLAGS: Final = {
    "a": "subjects are Unicode: write [a-z], [0-9] or a space in place of ASCII's \\w, \\d, \\s",
    "L": "subjects are Unicode, without a locale",
}


class _CaseCountsError(Exception):
    """The pattern has to be read again, for subjects as they are spelled."""


class Translation(PatternWithClasses):
    """One pattern, translated.

    expression: for RE2, to match the result of `character_sets.transcribe` for a subject, case-sensitively.
    spelled: whether it is for subjects as they are spelled, because case counts somewhere in the pattern.
    cost: of reading it, in steps of an RE2 program, in addition to the length of the texts.
    """

    def __init__(self, text: str, most: int, ignore_case: bool = True) -> None:
        """most: the cost at which reading stops. Raises PatternSyntaxError."""
        super().__init__(text)
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
                self._add(_any_character(self._case))
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
        elif letter in CATEGORIES:
            self._at += 2
            self._add(_whole_category(letter, self._case))
        elif letter in "123456789":
            self._add_literal(self._octal_or_reference())
        else:
            self._add_literal(self._escaped_code(letter))

    # Classes and groups

    def _read_class(self) -> None:
        found, negated = self._read_set()
        self._add(found.expression(self._case, negated))
        self.cost += found.cost
        if self.cost > self._most:
            raise self._error("too costly: use smaller character classes")

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


@functools.cache
def _whole_category(letter: str, case: Case) -> str:
    found = CharacterSet()
    found.add_category(letter)
    return found.expression(case)


@functools.cache
def _any_character(case: Case) -> str:
    """Takes 7 ms the first time, for which no import waits."""
    return CharacterSet().expression(case, negated=True)
