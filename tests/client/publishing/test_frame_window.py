"""The frames on their way: whatever becomes of them, every event is counted once, and the caller is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.client.connection.connection import PendingReply
from pyro_events.client.publishing.frame_window import FrameWindow, PipelineFrame
from pyro_events.errors import PipelineError, PipelineOutcomeUnknownError


class Interruption(BaseException):
    """Of a signal's handler."""


class FakeSender:
    """A sender and its connection. sending, answering: what happens to the next frames, in turn."""

    def __init__(self) -> None:
        self.connection = self
        self.sending: list[BaseException | None] = []
        self.answering: list[int | BaseException | None] = []
        self.counted = [0, 0, 0]

    def post(self, call: Any) -> PendingReply:
        outcome = self.sending.pop(0) if self.sending else None
        if outcome is not None:
            raise outcome
        return PendingReply(self, 0)  # type: ignore[arg-type]

    def settled(self, reply: PendingReply, deadline: float | None) -> bool:
        return not self.answering or self.answering[0] is not None

    def wait(self, reply: PendingReply) -> int:
        outcome = self.answering.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        assert outcome is not None
        reply.answer = object()  # type: ignore[assignment]
        return outcome

    def count(self, published: int = 0, queued: int = 0, unknown: int = 0) -> None:
        self.counted = [a + b for a, b in zip(self.counted, (published, queued, unknown), strict=True)]


def window_of(sender: FakeSender) -> FrameWindow:
    return FrameWindow(sender)  # type: ignore[arg-type]


def send(window: FrameWindow, events: int) -> None:
    window.recover()
    window.sending = frame = PipelineFrame(events)
    window.transmit(frame, (b"call",))


def numbers(failure: PipelineError) -> tuple[int, int, int, int]:
    return failure.published, failure.not_published, failure.unknown, failure.pending


def test_acknowledged_frames_are_counted_in_order() -> None:
    sender = FakeSender()
    window = window_of(sender)
    for events in (3, 4):
        send(window, events)
    assert window.pending == 7
    sender.answering = [6]
    assert window.collect(1) and window.pending == 4 and window.account.queued == 6
    sender.answering = [None]
    assert not window.collect(0, deadline=0.0)
    sender.answering = [8]
    assert window.collect(0) and window.account.queued == 14 and window.pending == 0
    assert not window.account.trouble and sender.counted == [7, 14, 0]


def test_an_interruption_before_it_has_left_is_unknown_and_goes_on() -> None:
    sender = FakeSender()
    window = window_of(sender)
    sender.sending = [Interruption()]
    with pytest.raises(Interruption):
        send(window, 5)
    assert window.account.trouble and window.sending is None
    failure = window.account.failure(window.pending + 2)
    assert isinstance(failure, PipelineOutcomeUnknownError) and numbers(failure) == (0, 0, 5, 2)
    assert "sending was interrupted" in str(failure) and "2 are pending" in str(failure)
    window.account.told()
    assert not window.account.trouble


def test_an_interruption_after_it_has_left_costs_nothing() -> None:
    sender = FakeSender()
    window = window_of(sender)
    send(window, 5)
    window.sending = window._outstanding[-1]  # as if the exception had come just after it was noted
    window.recover()
    sender.answering = [5]
    assert window.collect(0) and not window.account.trouble and window.account.queued == 5


def test_an_error_is_brought_up_to_date() -> None:
    sender = FakeSender()
    window = window_of(sender)
    sender.sending = [Interruption()]
    with pytest.raises(Interruption):
        send(window, 1)
    failure = window.account.failure(window.pending)
    send(window, 2)
    sender.answering = [2]
    window.collect(0)
    window.account.update(failure, window.pending + 3)
    assert numbers(failure) == (2, 0, 1, 3) and "2 were published" in str(failure)
    assert sender.counted == [2, 2, 1], "the publisher's statistics say the same"


def test_a_forked_child_drops_everything() -> None:
    window = window_of(FakeSender())
    send(window, 5)
    window.discard()
    assert window.pending == 0 and window.collect(0)


HISTORIES = st.lists(
    st.tuples(
        st.integers(1, 5),  # events of a frame
        st.sampled_from(["sent", "interrupted"]),
        st.integers(0, 3),  # frames that may then be unacknowledged
    ),
    max_size=30,
)


@given(HISTORIES)
def test_every_event_is_in_one_place(history: list[tuple[int, str, int]]) -> None:
    sender = FakeSender()
    window = window_of(sender)
    given_to_it = unknown = 0
    for events, what, most in history:
        given_to_it += events
        if what == "sent":
            send(window, events)
        else:
            unknown += events
            sender.sending = [Interruption()]
            with pytest.raises(Interruption):
                send(window, events)
        sender.answering = [1] * max(0, len(window._outstanding) - most)
        assert window.collect(most)
        failure = window.account.failure(window.pending)
        assert sum(numbers(failure)) == given_to_it
        assert (failure.not_published, failure.unknown) == (0, unknown)
        assert window.account.trouble == bool(unknown)
