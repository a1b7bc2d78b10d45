"""Settling: what a subscriber's answer to a batch says of each of its events.

Knows: how such an answer is read, and which account of the backlog each event goes to. Must not know:
links, windows and paces, or when a batch is sent.
"""

from __future__ import annotations

from typing import Final

import Pyro5.errors

from ...broker.accounting import Batch
from ...broker.backlog import Backlog
from ...client_name import described
from ...log.background import get_logger
from ...wire.event_answers import (
    CallFailedError,
    CallFailure,
    read_event_batch_answer,
    read_events_answer,
)
from ...wire.frames import Frame

log = get_logger("pyro_events.delivery")


def apply_answer(frame: Frame, batch: Batch, backlog: Backlog, event_only: bool) -> bool:
    """Account for an answer; False if what is left of the batch must be sent again.

    event_only: whether it was sent as calls of `event`. Raises ProtocolError for an answer that does
    not say what became of the batch; then nothing is accounted for.
    """
    if not event_only:
        failed = read_events_answer(frame, len(batch.rows))
        for position in failed:
            _log_failure(batch, position, backlog, "the subscriber's own log says why")
        backlog.acknowledge(batch, len(failed))
        return True
    done, reason = read_event_batch_answer(frame, len(batch.rows))
    if reason is None:
        backlog.acknowledge(batch)
        return True
    # A Pyro batch stops at the first exception: it is resumed behind the event that raised.
    _log_failure(batch, done - 1, backlog, reason)
    if done == len(batch.rows):
        backlog.acknowledge(batch, 1)
        return True
    backlog.acknowledge_part(batch, done, 1)
    return False


def _log_failure(batch: Batch, position: int, backlog: Backlog, reason: str) -> None:
    subject = batch.rows[position][0]
    who = described(backlog.name, backlog.subscriber)
    log.warning("%s: its event raised for subject %r: %s", who, subject, reason, about=backlog.subscriber)


_FINAL: Final = frozenset({CallFailure.NO_OBJECT, CallFailure.NO_EVENT_CLASS, CallFailure.RUNS_NOTHING})


def is_final(error: Pyro5.errors.ProtocolError) -> bool:
    """Whether no later event could fare better: the object is gone, or does not know or handle events."""
    return isinstance(error, CallFailedError) and error.failure in _FINAL


def ends_connection(error: Pyro5.errors.ProtocolError) -> bool:
    """Whether the subscriber's daemon closes the connection after such an answer: Pyro5's does."""
    return isinstance(error, CallFailedError) and error.failure is CallFailure.RESULT_NOT_CARRIED
