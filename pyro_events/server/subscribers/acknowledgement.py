"""Acknowledgement: what a subscriber's answer to a batch says about each of its events.

Knows: how to read such an answer, how the backlog accounts for each event, and which failures also affect all
later events. Must not know: connections, windows, pacing, or when a batch is sent.
"""

from __future__ import annotations

import enum
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


class Outcome(enum.Enum):
    """What follows from an answer."""

    DONE = "done"
    PARTLY_DONE = "partly done"  # the rest of the batch must be sent again
    RECONNECT = "reconnect"  # done, but Pyro5's daemon ends the connection after such an answer


_DONE: Final = Outcome.DONE  # a lookup in an enum takes a while
# After these, later events would fail too: the object is gone, or does not know or handle events.
_FINAL: Final = frozenset({CallFailure.NO_OBJECT, CallFailure.NO_EVENT_CLASS, CallFailure.RUNS_NOTHING})


def settle_answer(frame: Frame, batch: Batch, backlog: Backlog, event_only: bool) -> Outcome:
    """Account for an answer, also for one that does not say what happened to the batch.

    event_only: whether the batch was sent as calls of `event`. Raises ProtocolError for an answer after which
    no event can be delivered; then nothing is accounted for.
    """
    try:
        return _DONE if _apply_answer(frame, batch, backlog, event_only) else Outcome.PARTLY_DONE
    except Pyro5.errors.ProtocolError as error:
        failure = error.failure if isinstance(error, CallFailedError) else CallFailure.OTHER
        if failure in _FINAL:
            raise
        name = described(backlog.name, backlog.subscriber)
        log.warning("%s: %d events are unconfirmed: %s", name, len(batch.rows), error, about=name)
        backlog.lose_batch(batch)
        return Outcome.RECONNECT if failure is CallFailure.RESULT_NOT_CARRIED else Outcome.DONE


def _apply_answer(frame: Frame, batch: Batch, backlog: Backlog, event_only: bool) -> bool:
    """The same for an answer that says what happened to the batch; False if a part of it is left."""
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
    # A Pyro batch stops at the first exception. It is resumed after the event that raised.
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
