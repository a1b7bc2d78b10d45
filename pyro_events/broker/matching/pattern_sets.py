"""PatternSets: which of many patterns match a subject, at a cost that hardly grows with their number.

Knows: patterns, and how RE2 matches a set of them at once. Must not know: which subscribers have them.

Compiling a set takes time, and longer the larger the set is; matching is fast, and relatively faster the
larger the sets are. So new patterns are kept aside until the next subject is matched. Then they become a set,
together with all sets that are not larger: sets double until they are full, and a pattern is compiled again
at most ten times. A removed pattern stays in its set, marked as dead, until more than a third of the set is
dead. No call compiles more than one set of at most `set_patterns` patterns and `set_program` program steps,
so that none takes long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...constants import SET_MEMORY, SET_MEMORY_LEAST, SET_PATTERNS, SET_PROGRAM
from .patterns import Pattern
from .regexps import Matcher, RegexpError, compiled_set
from .syntax.character_sets import transcribe

__all__ = ["PatternSets"]

# The first member of every set is the empty pattern, which matches any subject. When a match runs out of
# memory, RE2 answers "no pattern matches"; then this pattern is missing too, which shows it.
_CANARY: Final = 0


def _compile(members: Sequence[Pattern], max_mem: int) -> Matcher:
    """Raises RegexpError when the program does not fit into `max_mem` bytes."""
    return compiled_set([b"", *[member.expression for member in members]], max_mem)


class _Set:
    """Patterns that were compiled together. `program`: the size of the living ones."""

    __slots__ = ("_matcher", "_members", "_spelled", "_whole", "dead", "program")

    def __init__(self, members: Sequence[Pattern], matcher: Matcher | None) -> None:
        """matcher: compiled from `members`, or None to match them one by one."""
        self._members = members
        self._matcher = matcher
        # Whether some of them match subjects as they are spelled; then each subject is matched twice.
        self._spelled = any(member.spelled for member in members)
        self.dead: set[str] = set()
        self.program = self._whole = sum(member.program_size for member in members)

    def __len__(self) -> int:
        """How many patterns are alive."""
        return len(self._members) - len(self.dead)

    @property
    def worn(self) -> bool:
        return 3 * len(self.dead) > len(self._members) or 3 * self.program < 2 * self._whole

    def living(self) -> list[Pattern]:
        return [member for member in self._members if member.text not in self.dead]

    def match(self, subject: str, transcribed: bytes) -> list[str]:
        """The texts of the living patterns that match. transcribed: `subject`, as UTF-8."""
        hits = self._matcher.Match(transcribed) if self._matcher is not None else None
        if self._spelled and self._matcher is not None:
            hits = self._chosen(hits, self._matcher.Match(transcribe(subject, spelled=True).encode()))
        if hits is None or _CANARY not in hits:
            return [member.text for member in self.living() if member.matches(subject)]
        if len(hits) == 1:
            return []
        texts = [self._members[hit - 1].text for hit in hits if hit != _CANARY]
        return [text for text in texts if text not in self.dead] if self.dead else texts

    def _chosen(self, folded: list[int] | None, spelled: list[int] | None) -> list[int] | None:
        """The members that match, each by its own transcription; None if RE2 ran out of memory."""
        if _CANARY not in (folded or ()) or _CANARY not in (spelled or ()):
            return None
        assert folded is not None and spelled is not None
        return [hit for hit in folded if hit == _CANARY or not self._members[hit - 1].spelled] + [
            hit for hit in spelled if hit != _CANARY and self._members[hit - 1].spelled
        ]


def _build(members: Sequence[Pattern], max_mem: int) -> list[_Set]:
    """One set of all members, or more if they do not fit into one."""
    try:
        return [_Set(members, _compile(members, max_mem))]
    except RegexpError:
        if len(members) == 1:
            return [_Set(members, None)]
    middle = len(members) // 2
    return _build(members[:middle], max_mem) + _build(members[middle:], max_mem)


class PatternSets:
    """A changing collection of patterns, each spelling once."""

    def __init__(
        self, set_patterns: int = SET_PATTERNS, set_program: int = SET_PROGRAM, max_mem: int = SET_MEMORY
    ) -> None:
        """What one set may hold: patterns, program steps, and bytes of RE2's memory."""
        self._set_patterns = set_patterns
        self._set_program = set_program
        self._max_mem = max_mem
        # Every living pattern, by its text.
        self._patterns: dict[str, Pattern] = {}
        # Those of them that are not in a set yet, and the size of their programs.
        self._new: dict[str, Pattern] = {}
        self._new_program = 0
        # The sets; the set of each text, also of dead ones; and the sets that are mostly dead.
        self._sets: dict[_Set, None] = {}
        self._homes: dict[str, _Set] = {}
        self._worn: dict[_Set, None] = {}

    def __len__(self) -> int:
        return len(self._patterns)

    def get(self, text: str) -> Pattern | None:
        """The pattern of that spelling, if it is here."""
        return self._patterns.get(text)

    def add(self, pattern: Pattern) -> None:
        """Add a pattern whose spelling is not here yet."""
        text = pattern.text
        self._patterns[text] = pattern
        home = self._homes.get(text)
        if home is not None:
            self._revive(pattern, home)
            return
        if self._new and (
            len(self._new) >= self._set_patterns
            or self._new_program + pattern.program_size > self._set_program
        ):
            self._tidy()
        self._new[text] = pattern
        self._new_program += pattern.program_size

    def _revive(self, pattern: Pattern, home: _Set) -> None:
        home.dead.remove(pattern.text)
        home.program += pattern.program_size
        if not home.worn:
            self._worn.pop(home, None)

    def remove(self, text: str) -> None:
        """Remove the pattern of that spelling, which is here."""
        pattern = self._patterns.pop(text)
        if text in self._new:
            del self._new[text]
            self._new_program -= pattern.program_size
            return
        home = self._homes[text]
        home.dead.add(text)
        home.program -= pattern.program_size
        if not len(home):
            self._drop(home)
        elif home.worn:
            self._worn[home] = None

    def _drop(self, old: _Set) -> list[Pattern]:
        """Forget a set. Returns its living patterns."""
        del self._sets[old]
        self._worn.pop(old, None)
        living = old.living()
        for pattern in living:
            del self._homes[pattern.text]
        for text in old.dead:
            del self._homes[text]
        return living

    def match(self, subject: str) -> list[str]:
        """The texts of all patterns that match `subject`, each once, in no particular order."""
        if not self._patterns:
            return []
        if self._new or self._worn:
            self._tidy()
        transcribed = transcribe(subject).encode()
        found: list[str] = []
        for one in self._sets:
            found += one.match(subject, transcribed)
        return found

    def _tidy(self) -> None:
        """Do one piece of the pending work, at most one set's compilation."""
        if self._new:
            members = list(self._new.values())
            self._new.clear()
            self._new_program = 0
        else:
            members = self._drop(next(iter(self._worn)))
        self._absorb(members)
        for new in _build(members, self._memory_for(members)):
            self._sets[new] = None
            for member in new.living():
                self._homes[member.text] = new

    def _memory_for(self, members: Sequence[Pattern]) -> int:
        """The memory that RE2 may take for a set: a share of a full set's for each step of the programs.

        Otherwise many sets that are not full would together take what is counted for full ones.
        """
        program = sum(member.program_size for member in members)
        return min(self._max_mem, SET_MEMORY_LEAST + self._max_mem * program // self._set_program)

    def _absorb(self, members: list[Pattern]) -> None:
        """Move the patterns of the sets that are not larger to `members`, as many as fit into one set."""
        program = sum(member.program_size for member in members)
        for small in sorted(self._sets, key=len):
            count = len(members)
            program += small.program
            if len(small) > count or len(small) + count > self._set_patterns or program > self._set_program:
                return
            members += self._drop(small)
