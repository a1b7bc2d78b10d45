"""How actions are asked of a subscriber."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from pyro_events.client.reconnect.acting import act, change, make_request
from pyro_events.client.reconnect.events import (
    Answered,
    Ask,
    Complain,
    DropConnection,
    Failed,
    FallBack,
    HangUp,
    Reach,
    Report,
    Request,
    Resubscribed,
    Subscribe,
    Subscribed,
    SubscriptionStatus,
    Unsubscribed,
    Warn,
)
from pyro_events.errors import ServiceUnreachableError

KNOWN = Answered(SubscriptionStatus.KNOWN)


class Target:
    """Notes what is asked of it; `error` is raised by every request."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[Any] = []
        self.can_fall_back = False

    def wanted(self) -> bool:
        return True

    def falls_back(self) -> bool:
        return self.can_fall_back

    def activity(self) -> int:
        return 0

    def address(self) -> str:
        return "there"

    def own_address(self) -> str:
        return "here"

    def _called(self, *call: object) -> None:
        self.calls.append(call)
        if self.error is not None:
            raise self.error

    def reach(self) -> None:
        self._called("reach")

    def ask(self, timeout: float) -> Answered:
        self._called("ask", timeout)
        return KNOWN

    def subscribe_again(self, anew: bool) -> None:
        self._called("subscribe", anew)

    def fall_back(self, why: str) -> None:
        self.calls.append(("fall back", why))

    def drop_connection(self, reason: str) -> None:
        self.calls.append("drop")

    def hang_up(self, connections: Iterable[object]) -> None:
        self.calls.append(set(connections))


def test_what_takes_no_time_is_done(caplog: pytest.LogCaptureFixture) -> None:
    target = Target()
    for action in (
        DropConnection(),
        HangUp(frozenset({1})),
        Report("for somebody else"),
        Ask(),
        FallBack("no route"),
    ):
        act(target, action)
    assert target.calls == ["drop", {1}, ("fall back", "no route")]
    assert not caplog.text


def test_the_first_subscription_says_whether_it_can_connect_itself() -> None:
    target = Target()
    assert change(target, True) == Subscribed(falls_back=False)
    target.can_fall_back = True
    assert change(target, True) == Subscribed(falls_back=True)
    assert change(target, False) == Unsubscribed()


@pytest.mark.parametrize(("why", "said"), [("it was refused", "it was refused"), ("", "it does not say why")])
def test_a_warning_names_both_ends(caplog: pytest.LogCaptureFixture, why: str, said: str) -> None:
    act(Target(), Warn(why))
    assert f"the event service at there does not reach this subscriber at here: {said}" in caplog.text


def test_a_complaint_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    act(Target(), Complain(OSError("nobody is there")))
    assert "will be tried until it succeeds: nobody is there" in caplog.text


@pytest.mark.parametrize(
    ("request_", "call", "result"),
    [
        (Reach(), ("reach",), Answered(SubscriptionStatus.REACHED)),
        (Ask(), ("ask", 5.0), KNOWN),
        (Subscribe(anew=True), ("subscribe", True), Resubscribed()),
    ],
)
def test_a_request_is_made(request_: Request, call: tuple[object, ...], result: object) -> None:
    target = Target()
    assert make_request(target, request_, 5.0) == result
    assert target.calls == [call]
    error = OSError("nobody is there")
    assert make_request(Target(error), request_, 5.0) == Failed(error, "OSError True")


@pytest.mark.parametrize("attribute", ["tls", "temporary"])
def test_a_failure_that_waiting_does_not_fix(attribute: str) -> None:
    error = ServiceUnreachableError("it speaks TLS")
    setattr(error, attribute, attribute == "tls")
    failed = make_request(Target(error), Reach(), 5.0)
    assert isinstance(failed, Failed) and failed.lasting
