"""The work that RE2 gets when many patterns are matched: for tests that bound the work without a clock.

Knows: where sets of patterns are compiled and asked. Must not know: which subscribers there are, or how sets
grow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from pyro_events.broker.matching import pattern_sets
from pyro_events.broker.matching.patterns import Pattern
from pyro_events.broker.matching.regexps import Matcher


class PatternWork:
    """compiled: the patterns and the program steps of each set, as it was compiled. asked: how many
    times a subject was matched against a set."""

    def __init__(self) -> None:
        self.compiled: list[tuple[int, int]] = []
        self.asked = 0

    @property
    def sizes(self) -> list[int]:
        """How many patterns each set was compiled from."""
        return [patterns for patterns, _ in self.compiled]

    def asked_by(self, match: Callable[[str], object]) -> int:
        """Against how many sets a subject is matched."""
        before = self.asked
        match("a subject that is new")
        return self.asked - before


class _Asked:
    """A compiled set that counts how often it is asked."""

    def __init__(self, matcher: Matcher, work: PatternWork) -> None:
        self._matcher = matcher
        self._work = work

    def Match(self, text: bytes) -> list[int] | None:
        self._work.asked += 1
        return self._matcher.Match(text)


def watched(monkeypatch: pytest.MonkeyPatch) -> PatternWork:
    """Have all sets of patterns counted from now on."""
    work = PatternWork()
    real = pattern_sets._compile

    def counted(members: Sequence[Pattern], max_mem: int) -> Matcher:
        matcher = real(members, max_mem)
        work.compiled.append((len(members), sum(member.program_size for member in members)))
        return _Asked(matcher, work)

    monkeypatch.setattr(pattern_sets, "_compile", counted)
    return work
