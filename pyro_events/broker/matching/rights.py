"""Rights: what a user may publish, receive, join and do.

Knows: rules of names and shell-style patterns, and how they are judged. Must not know: users, where rules
come from, or what is done about something that is not allowed.

A rule is a name or a shell-style pattern (see `glob`); `!` in front makes it deny. The last rule that matches
a subject decides, and what no rule matches is not allowed. Subjects are judged folded, so that every spelling
of a name is judged alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from ...constants import MAX_SUBJECT
from .patterns import compile_pattern
from .service_subjects import is_service_rule, is_service_subject, is_test_subject
from .shell_patterns import glob
from .subjects import fold

__all__ = ["Rights", "SubjectRules"]

_WILDCARDS: Final = frozenset("*?[")
# For how many subjects the answers are remembered.
_REMEMBERED: Final = 1_000


class _Shared:
    """A pattern with more than a star at its end. It remembers its last answer, because many users may have
    it in their rules, each of which is then asked of the same subject."""

    __slots__ = ("_answer", "_pattern")

    def __init__(self, text: str) -> None:
        self._pattern = compile_pattern(glob(text))
        self._answer = ("", False)

    def matches(self, folded: str) -> bool:
        """Whether it matches a folded subject."""
        answer = self._answer  # as one object, because services in several threads may share it
        if answer[0] != folded:
            self._answer = answer = (folded, self._pattern.matches(folded))
        return answer[1]


@lru_cache(maxsize=1024)
def _shared(text: str) -> _Shared:
    return _Shared(text)


class _Rule:
    """One rule. A name, and a pattern with a star at its end only, need no regular expression."""

    __slots__ = ("_pattern", "_prefix", "_text", "allows", "of_own")

    def __init__(self, text: str) -> None:
        """Raises ValueError."""
        self.allows = not text.startswith("!")
        text = text if self.allows else text[1:]
        if not text:
            raise ValueError("a rule is empty; '*' matches every subject")
        if len(text) > MAX_SUBJECT:
            raise ValueError(f"a rule has {len(text):,} characters; the limit is {MAX_SUBJECT}")
        if not text.isprintable():
            raise ValueError("a rule contains a character that cannot be printed, which no subject has")
        folded = fold(text)
        self.of_own = is_service_rule(folded)
        self._prefix = text.endswith("*") and _WILDCARDS.isdisjoint(text[:-1])
        self._text = folded[:-1] if self._prefix else folded
        self._pattern: _Shared | None = None
        if not self._prefix and not _WILDCARDS.isdisjoint(text):
            self._pattern = _shared(text)

    def matches(self, folded: str) -> bool:
        """Whether it matches a folded subject."""
        if self._prefix:
            return folded.startswith(self._text)
        return folded == self._text if self._pattern is None else self._pattern.matches(folded)


class SubjectRules:
    """Ordered rules: which subjects are allowed.

    A rule covers the service's own subjects, `$ES.…`, only if it begins with `$ES` itself. `$ES.TEST.…` is
    always allowed.
    """

    __slots__ = ("_known", "_most", "_own", "_rules")

    def __init__(self, rules: Iterable[str], remembered: int = _REMEMBERED) -> None:
        """remembered: for how many subjects the answers are remembered. Raises ValueError for a rule that
        cannot be used."""
        self._rules = [_Rule(text) for text in rules][::-1]
        self._own = [rule for rule in self._rules if rule.of_own]
        self._known: dict[str, bool] = {}
        self._most = remembered

    def allow(self, subject: str) -> bool:
        """Whether a subject is allowed."""
        known = self._known.get(subject)
        if known is None:
            if len(self._known) >= self._most:
                self._known.clear()
            known = self._known[subject] = self.judge(fold(subject))
        return known

    def judge(self, folded: str) -> bool:
        """The same for a folded subject; nothing is remembered."""
        own = is_service_subject(folded)
        if is_test_subject(folded):
            return True
        for rule in self._own if own else self._rules:
            if rule.matches(folded):
                return rule.allows
        return False


@dataclass(frozen=True)
class Rights:
    """What one user may do. Equal ones are the same rights, also of different users.

    publish, subscribe: rules for subjects, in order. groups: the names of the groups that it may join. block:
    whether its subscribers may hold publishers up. admin: whether it sees and changes what is others'.

    Raises ValueError for a rule or a group that cannot be used.
    """

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    block: bool = False
    admin: bool = False
    _publish: SubjectRules = field(init=False, repr=False, compare=False)
    _subscribe: SubjectRules = field(init=False, repr=False, compare=False)
    _groups: frozenset[str] = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        kept = object.__setattr__
        kept(self, "_publish", SubjectRules(self.publish))
        kept(self, "_subscribe", SubjectRules(self.subscribe))
        kept(self, "_groups", frozenset(map(fold, self.groups)))
        # Once, because rights are looked up for each subscriber of a subject.
        kept(self, "_hash", hash((self.publish, self.subscribe, self.groups, self.block, self.admin)))

    def __hash__(self) -> int:
        return self._hash

    def may_publish(self, subject: str) -> bool:
        """Whether it may publish that subject."""
        return self._publish.allow(subject)

    def may_receive(self, subject: str) -> bool:
        """Whether it may get events of that subject."""
        return self._subscribe.allow(subject)

    def may_receive_folded(self, folded: str) -> bool:
        """The same for a folded subject; nothing is remembered, because the caller does that."""
        return self._subscribe.judge(folded)

    def may_join(self, group: str) -> bool:
        """Whether its subscribers may join that group; its name is folded as subjects are."""
        return fold(group) in self._groups
