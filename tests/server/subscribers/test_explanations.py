"""What the log and the subscriber are told, for each reason."""

from __future__ import annotations

import Pyro5.errors
import pytest

from pyro_events.server.subscribers import explanations
from pyro_events.wire.event_answers import CallFailedError, CallFailure
from pyro_events.wire.frames import CONNECT_FAIL, MSGPACK, Frame, FrameError


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (CallFailure.NO_EVENT_CLASS, "must import pyro_events to know events (why)"),
        (CallFailure.RUNS_NOTHING, "make it a plain function (why)"),
        (CallFailure.NO_OBJECT, "cannot be delivered to: why"),
    ],
)
def test_what_the_log_says_of_one_that_cannot_be_delivered_to(failure: CallFailure, text: str) -> None:
    assert explanations.refused(CallFailedError("why", failure)).endswith(text)


@pytest.mark.parametrize(
    ("explanation", "lost", "words"),
    [
        ("", 0, ""),
        ("was slow", 0, "was slow"),
        ("", 2, "2 events that waited for it were lost"),
        ("was slow", 2, "was slow; 2 events that waited for it were lost"),
    ],
)
def test_what_a_subscriber_is_told_when_it_comes_back(explanation: str, lost: int, words: str) -> None:
    assert explanations.parting_words(explanation, lost) == words


def test_what_the_log_says_of_other_ends() -> None:
    assert "cannot be delivered to: other" in explanations.refused(Pyro5.errors.ProtocolError("other"))
    refusal = FrameError("message too large", Frame(CONNECT_FAIL, 0, MSGPACK, 0, b"", b""))
    assert "THREADPOOL_SIZE" in explanations.no_answer(refusal)
    assert "sent an invalid frame (not a Pyro message)" in explanations.no_answer(
        FrameError("not a Pyro message")
    )
    assert explanations.lost(None, greeting=False, secured=False) == "closed its connection"
    assert "SSL" in explanations.lost(OSError("reset"), greeting=True, secured=False)
    assert "(reset)" in explanations.lost(OSError("reset"), greeting=True, secured=True)
    assert "has not answered the handshake for 3 s" in explanations.obstacle(("host", 1), True, 3.4)
    assert "tried for 3 s" in explanations.obstacle(("host", 1), False, 3.4)
