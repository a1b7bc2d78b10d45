"""Settling: what a subscriber's answer to a batch says of each of its events.

Knows: how such an answer is read, and which account of the backlog each event goes to. Must not know:
links, windows and paces, or when a batch is sent.
"""

from __future__ import annotations

from ...broker.accounting import Batch
from ...broker.backlog import Backlog
from ...client_name import described
from ...log.background import get_logger
from ...wire import callbacks
from ...wire.frames import Frame

log = get_logger("pyro_events.delivery")


def apply_answer(frame: Frame, batch: Batch, backlog: Backlog, event_only: bool) -> bool:
    """Account for an answer; False if what is left of the batch must be sent again.

    event_only: whether it was sent as calls of `event`. Raises ProtocolError for an answer that does
    not say what became of the batch; then nothing is accounted for.
    """
    if not event_only:
        failed = callbacks.read_events_answer(frame, len(batch.rows))
        for position in failed:
            _log_failure(batch, position, backlog, "the subscriber's own log says why")
        backlog.acknowledge(batch, len(failed))
        return True
    done, reason = callbacks.read_event_batch_answer(frame, len(batch.rows))
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


def is_final(reason: str) -> bool:
    """Whether no later event could fare better: the object is gone, or does not know or handle events."""
    return (
        callbacks.EVENT_CLASS in reason
        or reason.startswith("Pyro5.errors.DaemonError")
        or callbacks.is_unrun(reason)
    )


def ends_connection(reason: str) -> bool:
    """Whether the subscriber's daemon closes the connection after such an answer: Pyro5's does."""
    return reason.startswith("Pyro5.errors.SerializeError")
