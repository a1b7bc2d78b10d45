"""RoutingTable: subject -> targets.

Knows: subscriptions, by name and by pattern, and the target of each. Must not know: what a target is
(anything hashable), how many subscriptions it may have, or what is sent to it. Names and patterns are checked
before they come here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from itertools import chain, count, islice
from typing import Final, Generic, NamedTuple, TypeVar

from ...constants import MATCH_CACHE_SUBJECTS
from ..subscriptions.memory import name_bytes, pattern_bytes
from .match_cache import MatchCache
from .pattern_sets import PatternSets
from .patterns import Pattern
from .service_subjects import is_service_pattern, is_service_subject, may_match
from .subjects import fold

__all__ = ["RoutingTable"]

T = TypeVar("T", bound=Hashable)
# Given a subject and its targets, returns those that may get it.
Restriction = Callable[[str, tuple[T, ...]], tuple[T, ...]]

# So many targets of a name are found as quickly as they are remembered.
_FEW: Final = 8


class _Target:
    """The subscriptions of one target. Numbers grow in the order in which targets came."""

    __slots__ = ("memory", "names", "number", "patterns", "program_size")

    def __init__(self, number: int) -> None:
        self.number = number
        self.names: dict[str, str] = {}  # folded name -> as spelled
        self.patterns: dict[str, Pattern] = {}
        self.program_size = 0
        self.memory = 0


class Addition(NamedTuple):
    """What a target would have after an addition. subscriptions: their number. program_size: of its patterns.
    memory: bytes that they take."""

    subscriptions: int
    program_size: int
    memory: int


class RoutingTable(Generic[T]):
    """Finds the targets of a subject. Used by one caller at a time."""

    def __init__(self, cache_size: int = MATCH_CACHE_SUBJECTS, patterns: PatternSets | None = None) -> None:
        """cache_size: for how many subjects the targets are remembered, 0 for none.

        patterns: the sets that match patterns; empty ones with the default bounds unless given.
        """
        self._targets: dict[T, _Target] = {}
        self._numbers = count()
        # Targets by number: of each folded name, and of each pattern's text.
        self._names: dict[str, dict[int, T]] = {}
        self._patterns: dict[str, dict[int, T]] = {}
        self._sets = PatternSets() if patterns is None else patterns
        # Those that may match service subjects. Apart, so that such a subject costs nothing when nobody wants
        # it, however many other patterns there are.
        self._service_sets = PatternSets()
        self._cache: MatchCache[T] = MatchCache(cache_size)
        self._restriction: Restriction[T] | None = None

    def restrict(self, restriction: Restriction[T]) -> None:
        """From now on only what `restriction` leaves of a subject's targets is found. Call it again when it
        would leave others than before: what it left is remembered."""
        self._restriction = restriction
        self._cache.clear()

    def match(self, subject: str) -> tuple[T, ...]:
        """The targets of `subject`, each once.

        They come in the order of each target's first subscription; a target that lost its last one
        and subscribes again goes to the end. The longest call compiles one set of patterns, and one of those
        that may match service subjects.
        """
        found = self._cache.recent.get(subject)
        return self._find(subject) if found is None else found

    def recall(self, subject: str) -> tuple[T, ...] | None:
        """What `match` returned for `subject` if it is remembered from lately, else None.

        Unlike the other methods, it may be called while another thread is in the middle of one of them.
        """
        return self._cache.recent.get(subject)

    def _find(self, subject: str) -> tuple[T, ...]:
        folded = fold(subject)
        cheap = not self._patterns and self._restriction is None and len(self._names.get(folded, ())) <= _FEW
        result = None if cheap else self._cache.recall(subject, folded)
        if result is None:
            result = self._look_up(subject, folded)
            self._cache.remember(subject, folded, result, cheap)
        return result

    def _look_up(self, subject: str, folded: str) -> tuple[T, ...]:
        return self._found(subject, folded, self._matching(subject, folded) if self._patterns else ())

    def _found(self, subject: str, folded: str, texts: Iterable[str]) -> tuple[T, ...]:
        """The targets of a subject by its name, and by the patterns with these texts."""
        found = self._names.get(folded, {})
        if texts:
            found = found.copy()
            for text in texts:
                found.update(self._patterns[text])
        in_order = found.values() if len(found) < 2 else [found[number] for number in sorted(found)]
        targets = tuple(in_order)
        return targets if self._restriction is None else self._restriction(subject, targets)

    def _matching(self, subject: str, folded: str) -> list[str]:
        """The texts of the patterns that match."""
        if is_service_subject(folded):
            return [text for text in self._service_sets.match(subject) if may_match(text, folded)]
        return self._sets.match(subject) + self._service_sets.match(subject)

    def matching(self, subject: str) -> list[Pattern]:
        """The patterns that match a subject. Nothing is remembered."""
        return [self._pattern(text) for text in self._matching(subject, fold(subject))]

    def match_exactly(self, subject: str) -> tuple[T, ...]:
        """As `match`, without those targets that match only by patterns that match everything, as far as such
        patterns were found. Nothing is remembered."""
        texts = [pattern.text for pattern in self.matching(subject) if not pattern.everything]
        return self._found(subject, fold(subject), texts)

    def notify(self, changed: Callable[[str | None], object] | None) -> None:
        """Call that from now on when `match` may return something else.

        It is called after each change, with the fold of the name whose targets have changed, or None for any
        subject's. None calls nothing.
        """
        self._cache.changed = changed

    def _pattern(self, text: str) -> Pattern:
        pattern = self._sets_with(text).get(text)
        assert pattern is not None, text
        return pattern

    def _sets_with(self, text: str) -> PatternSets:
        """The sets where a pattern of that spelling belongs."""
        return self._service_sets if is_service_pattern(text) else self._sets

    def add_name(self, name: str, target: T) -> bool:
        """Subscribe `target` to a name. False if it was subscribed, in any spelling (the first spelling
        stays)."""
        folded = fold(name)
        entry = self._entry(target)
        if folded in entry.names:
            return False
        entry.names[folded] = name
        entry.memory += name_bytes(name, folded)
        self._names.setdefault(folded, {})[entry.number] = target
        self._cache.invalidate(folded)
        return True

    def add_pattern(self, pattern: Pattern, target: T) -> bool:
        """Subscribe `target` to a pattern. False if it was subscribed to one spelled the same."""
        text = pattern.text
        entry = self._entry(target)
        if text in entry.patterns:
            return False
        entry.patterns[text] = pattern
        entry.program_size += pattern.program_size
        entry.memory += pattern_bytes(text, pattern.program_size)
        if text not in self._patterns:
            self._patterns[text] = {}
            self._sets_with(text).add(pattern)
        self._patterns[text][entry.number] = target
        self._cache.clear()
        return True

    def _entry(self, target: T) -> _Target:
        entry = self._targets.get(target)
        if entry is None:
            entry = self._targets[target] = _Target(next(self._numbers))
        return entry

    def remove(self, name_or_pattern: str, target: T, names: bool = True, patterns: bool = True) -> bool:
        """End the subscription of `target` to that name, to that pattern, or to both. False if there was
        none.

        names, patterns: whether a name, and whether a pattern, is meant.
        """
        entry = self._targets.get(target)
        if entry is None:
            return False
        by_name = names and self._remove_name(fold(name_or_pattern), entry)
        by_pattern = patterns and self._remove_pattern(name_or_pattern, entry)
        if not entry.names and not entry.patterns:
            del self._targets[target]
        return by_name or by_pattern

    def remove_target(self, target: T) -> None:
        """End all subscriptions of `target`, if it has any."""
        entry = self._targets.pop(target, None)
        if entry is None:
            return
        for folded in list(entry.names):
            self._remove_name(folded, entry)
        for text in list(entry.patterns):
            self._remove_pattern(text, entry)

    def _remove_name(self, folded: str, entry: _Target) -> bool:
        name = entry.names.pop(folded, None)
        if name is None:
            return False
        entry.memory -= name_bytes(name, folded)
        targets = self._names[folded]
        del targets[entry.number]
        if not targets:
            del self._names[folded]
        self._cache.invalidate(folded)
        return True

    def _remove_pattern(self, text: str, entry: _Target) -> bool:
        pattern = entry.patterns.pop(text, None)
        if pattern is None:
            return False
        entry.program_size -= pattern.program_size
        entry.memory -= pattern_bytes(pattern.text, pattern.program_size)
        targets = self._patterns[text]
        del targets[entry.number]
        if not targets:
            del self._patterns[text]
            self._sets_with(text).remove(text)
        self._cache.clear()
        return True

    def would_add(self, target: T, names: Iterable[str] = (), patterns: Iterable[Pattern] = ()) -> Addition:
        """What `target` would have if these were added.

        Those that it has already, or that are given twice, count once. Nothing is changed.
        """
        entry = self._targets.get(target) or _Target(-1)
        given: dict[str, str] = {}
        for name in names:
            given.setdefault(fold(name), name)  # as it would be spelled
        new_names = [(name, folded) for folded, name in given.items() if folded not in entry.names]
        new_patterns = {p.text: p.program_size for p in patterns if p.text not in entry.patterns}
        subscriptions = len(entry.names) + len(entry.patterns) + len(new_names) + len(new_patterns)
        memory = entry.memory + sum([name_bytes(name, folded) for name, folded in new_names])
        memory += sum([pattern_bytes(text, size) for text, size in new_patterns.items()])
        return Addition(subscriptions, entry.program_size + sum(new_patterns.values()), memory)

    def memory(self, target: T) -> int:
        """The bytes that the subscriptions of `target` take."""
        entry = self._targets.get(target)
        return 0 if entry is None else entry.memory

    @property
    def alike(self) -> bool:
        """Whether all targets have the same subscriptions."""
        most = len(self._targets)
        return all(len(each) == most for each in chain(self._names.values(), self._patterns.values()))

    def subscribed(self, text: str) -> tuple[bool, bool]:
        """Whether any target is subscribed to that name, and to that pattern."""
        return fold(text) in self._names, text in self._patterns

    def unknown(
        self, target: T, names: list[str], patterns: list[Pattern]
    ) -> tuple[list[str], list[Pattern]]:
        """Those of the names and patterns to which `target` is not subscribed."""
        entry = self._targets.get(target) or _Target(-1)
        return (
            [name for name in names if fold(name) not in entry.names],
            [pattern for pattern in patterns if pattern.text not in entry.patterns],
        )

    def known_pattern(self, text: str) -> Pattern | None:
        """The pattern of that spelling if any target is subscribed to it: it need not be compiled again."""
        return self._sets_with(text).get(text)

    def subscriptions(self, target: T, most: int | None = None) -> list[str]:
        """The names, then the patterns of `target`, as spelled and in the order of subscribing.

        most: return at most so many; None for all.
        """
        entry = self._targets.get(target)
        return [] if entry is None else list(islice(chain(entry.names.values(), entry.patterns), most))

    def count(self, target: T) -> int:
        """How many subscriptions `target` has."""
        entry = self._targets.get(target)
        return 0 if entry is None else len(entry.names) + len(entry.patterns)
