"""Calls that subscribe: by both ways, and with a service that does not know the subscriber any more."""

from __future__ import annotations

from typing import Any

import pytest

from pyro_events.client.subscribing.subscribe_calls import SubscribeCalls
from pyro_events.client.subscribing.subscriptions import NAME
from pyro_events.constants import AGAIN_KEY, NAME_KEY, NOT_KNOWN
from pyro_events.errors import AccessDeniedError, EventServiceError
from pyro_events.wire.handshake.proofs import CALL_OPTION
from pyro_events.wire.own_connection import FALLS_BACK

PROXY = {"a": "proxy"}


class Parts:
    """The connection, the check of the service's proofs, and the way. knows: whom the service knows."""

    name = "a test"

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.attached: list[tuple[bool, bool]] = []
        self.own = self.falls_back = False
        self.knows: list[object] = []
        self.denies: AccessDeniedError | None = None

    def call(
        self, how: str, texts: list[str], subscriber: Any, options: Any, timeout: float | None = None
    ) -> Any:
        self.calls.append((how, texts, subscriber, timeout))
        if self.denies is not None and not options.get(AGAIN_KEY):
            raise self.denies
        return len(texts) if subscriber in (PROXY, *self.knows) else NOT_KNOWN

    def attach(self, again: bool = False, quick: bool = False) -> dict[str, str]:
        self.attached.append((again, quick))
        return {"key": "new" if again else "old"}


class Gate:
    def call(self, nonce: bytes, anew: bool) -> tuple[str, bool]:
        return "nonce", anew


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
def calls(parts: Parts) -> SubscribeCalls:
    connection: Any = parts
    calls = SubscribeCalls(connection, None)
    calls.way = parts
    return calls


def test_a_callback_is_subscribed_by_its_proxy(calls: SubscribeCalls, parts: Parts) -> None:
    calls.subscriber = PROXY
    calls.make(NAME, ["A"], {})
    assert parts.calls == [(NAME, ["A"], PROXY, None)] and not parts.attached
    assert calls.options() == {NAME_KEY: "a test"} and not calls.own


def test_one_that_falls_back_says_so(calls: SubscribeCalls, parts: Parts) -> None:
    parts.falls_back = True
    assert calls.options() == {NAME_KEY: "a test", FALLS_BACK: True} and calls.falls_back


def test_without_another_way_there_is_nothing_to_say(parts: Parts) -> None:
    connection: Any = parts
    calls = SubscribeCalls(connection, None)
    assert not calls.own and not calls.falls_back and calls.options() == {NAME_KEY: "a test"}


def test_a_proof_is_for_a_callback_alone(parts: Parts) -> None:
    connection: Any = parts
    gate: Any = Gate()
    calls = SubscribeCalls(connection, gate)
    calls.way = parts
    assert calls.options(anew=True) == {NAME_KEY: "a test", CALL_OPTION: ("nonce", True)}
    parts.own = True
    assert calls.options() == {NAME_KEY: "a test"}


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_an_own_connection_is_made_first(calls: SubscribeCalls, parts: Parts, timeout: float | None) -> None:
    parts.own, parts.knows = True, [{"key": "old"}]
    calls.make(NAME, ["A"], {}, timeout)
    assert parts.attached == [(False, timeout is not None)]
    assert parts.calls == [(NAME, ["A"], {"key": "old"}, timeout)] and calls.subscriber == {"key": "old"}


def test_one_that_is_not_known_any_more_connects_again(calls: SubscribeCalls, parts: Parts) -> None:
    parts.own, parts.knows = True, [{"key": "new"}]
    calls.make(NAME, ["A"], {})
    assert parts.attached == [(False, False), (True, False)]
    assert [call[2] for call in parts.calls] == [{"key": "old"}, {"key": "new"}]


def test_and_again_is_an_error(calls: SubscribeCalls, parts: Parts) -> None:
    parts.own = True
    with pytest.raises(EventServiceError, match="as soon as it has connected"):
        calls.make(NAME, ["A"], {})
    assert len(parts.calls) == 2


def test_a_right_that_was_lost_meanwhile_does_not_keep_the_rest_from_being_subscribed_again(
    calls: SubscribeCalls, parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    calls.subscriber = PROXY
    parts.denies = AccessDeniedError("user 'alice' may not subscribe to the subject 'A'")
    with pytest.raises(AccessDeniedError):  # it is the connection that is denied
        calls.make_again(NAME, ["A", "B"], {}, 5.0)
    parts.denies.of_call = True
    with pytest.raises(AccessDeniedError):
        calls.make(NAME, ["A", "B"], {})
    parts.calls.clear()
    calls.make_again(NAME, ["A", "B"], {}, 5.0)
    assert parts.calls == [(NAME, ["A", "B"], PROXY, 5.0)] * 2
    assert "may not subscribe to the subject 'A': nothing will come of that" in caplog.text
