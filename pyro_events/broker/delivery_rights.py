"""Delivery rights: which backlogs may get an event, and what happens when rights change.

Knows: the rights of each backlog's user. Must not know: users, where rights come from, or who may publish.
"""

from __future__ import annotations

from collections.abc import Iterable

from .accounting import Loss
from .backlog import Backlog
from .matching.case_folding import fold
from .matching.rights import Rights

__all__ = ["allowed_targets", "lose_denied"]


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


def lose_denied(backlogs: Iterable[Backlog]) -> list[Backlog]:
    """Drop the waiting events that the rights do not allow any more. Returns the backlogs that lost some."""
    lost = []
    for backlog in backlogs:
        rights = backlog.rights
        if rights is None:
            continue
        denied = {subject for subject in backlog.waiting_subjects() if not rights.may_receive(subject)}
        if denied:
            backlog.lose_those(denied, Loss.DENIED)
            lost.append(backlog)
    return lost
