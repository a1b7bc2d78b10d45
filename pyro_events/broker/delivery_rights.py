"""Delivery rights: which backlogs may get an event, and what happens when rights change.

Knows: the rights of each backlog's user. Must not know: users, where rights come from, or who may publish.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Final

from .accounting import Loss
from .backlog import Backlog
from .matching.case_folding import fold
from .matching.rights import Rights

__all__ = ["Judged", "allowed_targets", "lose_denied"]

# How many subjects are judged without a pause: with a hundred rules, in a few milliseconds.
_PIECE: Final = 32


def allowed_targets(subject: str, targets: tuple[Backlog, ...]) -> tuple[Backlog, ...]:
    """The targets of a subject whose rights allow it, in the same order. Each set of rights is asked once."""
    verdicts: dict[Rights | None, bool] = {None: True}
    folded = fold(subject)
    allowed = []
    for backlog in targets:
        rights = backlog.rights
        verdict = verdicts.get(rights)
        if verdict is None and rights is not None:
            verdict = verdicts[rights] = rights.may_receive_folded(folded)
        if verdict:
            allowed.append(backlog)
    return targets if len(allowed) == len(targets) else tuple(allowed)


class Judged:
    """What rights say of many subjects, each asked once. Ten thousand subjects and fifty rules take a second,
    and the rights themselves remember fewer.

    rights: whose judgement that is.
    """

    __slots__ = ("_verdicts", "rights")

    def __init__(self, rights: Rights) -> None:
        self.rights = rights
        self._verdicts: dict[str, bool] = {}

    def may_receive(self, subject: str) -> bool:
        """Whether they allow to get events of a subject."""
        verdict = self._verdicts.get(subject)
        if verdict is None:
            verdict = self._verdicts[subject] = self.rights.may_receive_folded(fold(subject))
        return verdict

    def ask(self, subjects: Iterable[str]) -> Generator[None, None, None]:
        """Ask of each of these, with pauses."""
        for number, subject in enumerate(subjects, 1):
            self.may_receive(subject)
            if number % _PIECE == 0:
                yield


def lose_denied(backlogs: Iterable[Backlog]) -> list[Backlog]:
    """Drop the waiting events that the rights do not allow any more. Returns the backlogs that lost some."""
    lost = []
    judged: dict[Rights, Judged] = {}
    for backlog in backlogs:
        rights = backlog.rights
        if rights is None:
            continue
        if rights not in judged:
            judged[rights] = Judged(rights)
        allows = judged[rights].may_receive
        denied = {subject for subject in backlog.waiting_subjects() if not allows(subject)}
        if denied:
            backlog.lose_those(denied, Loss.DENIED)
            lost.append(backlog)
    return lost
