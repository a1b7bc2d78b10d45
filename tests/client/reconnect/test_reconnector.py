"""The keeper, with a subscriber that is the test's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import Pyro5.errors
import pytest
from waiting import eventually

from pyro_events.client.reconnect import heartbeat, reconnect_queue
from pyro_events.client.reconnect import reconnector as module
from pyro_events.client.reconnect.reconnector import Reconnector
from pyro_events.client.reconnect.target import SubscriptionStatus
from pyro_events.errors import ServiceUnreachableError

LOST = "the connection from the event service ended"


class Kept:
    """A subscriber that notes what its keeper does."""

    def __init__(self) -> None:
        self.subscribed = True
        self.came = 0
        self.another = False
        self.calls: list[Any] = []
        self.times: list[float] = []
        self.tries: list[float] = []
        self.answer: Callable[[], object] = lambda: False
        self.answer_reach: Callable[[], object] = lambda: False
        self.ask_answer: Callable[[], SubscriptionStatus] = lambda: SubscriptionStatus.KNOWN

    def wanted(self) -> bool:
        return self.subscribed

    def activity(self) -> int:
        return self.came

    def address(self) -> str:
        return str(id(self))

    def reach(self) -> bool:
        self.tries.append(time.monotonic())
        self.answer_reach()
        return self.another

    def subscribe_again(self, anew: bool) -> None:
        self.times.append(time.monotonic())
        self.calls.append(anew)
        self.answer()

    def ask(self, timeout: float) -> SubscriptionStatus:
        self.calls.append("ask")
        return self.ask_answer()

    def drop_link(self, reason: str) -> None:
        self.calls.append(f"elsewhere: {reason}")

    def hang_up(self, connections: Iterable[object]) -> None:
        self.calls += [f"hang up {connection}" for connection in connections]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything fifty times as fast."""
    for name in ("ARRIVAL", "MOST_ARRIVAL"):
        monkeypatch.setattr(module, name, getattr(module, name) / 50)
    for name in ("FIRST_DELAY", "MOST_DELAY"):
        monkeypatch.setattr(reconnect_queue, name, getattr(reconnect_queue, name) / 50)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def reconnector(kept: Kept) -> Iterator[Reconnector]:
    reconnector = Reconnector(kept)
    yield reconnector
    reconnector.stop()
    reconnector.join()


def refuse() -> Any:
    raise ServiceUnreachableError("nobody is there")


def be_silent() -> Any:
    raise Pyro5.errors.TimeoutError("no answer")


def test_a_first_connection_is_no_return(reconnector: Reconnector, kept: Kept) -> None:
    reconnector.begin()
    assert reconnector.connected("one") is None
    assert kept.calls == []


def test_a_connection_that_is_lost_is_replaced(reconnector: Reconnector, kept: Kept) -> None:
    reconnector.begin()
    reconnector.connected("one")
    reconnector.left("one")
    reconnector.left("one")
    eventually(lambda: kept.calls == [True])
    assert reconnector.connected("two") == LOST
    reconnector.left("two")
    eventually(lambda: len(kept.calls) == 2)


@pytest.mark.parametrize("before", [True, False])
def test_a_connection_that_is_lost_in_the_moment_of_being_back(
    reconnector: Reconnector, kept: Kept, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    """Another thread's `left` comes when it is about to leave the line, or has just left it."""
    leave, lost = reconnect_queue.outages.leave, []

    def leave_and_lose(who: Reconnector) -> None:
        if not before:
            leave(who)
        if who is reconnector and not lost:
            lost.append(reconnector)
            with monkeypatch.context() as crowd:
                crowd.setattr(reconnect_queue, "AT_ONCE", 0)  # it is not summoned at once
                reconnector.left("two")
        if before:
            leave(who)

    reconnector.begin()
    reconnector.connected("one")
    reconnector.left("one")
    eventually(lambda: kept.calls == [True])
    monkeypatch.setattr(reconnect_queue.outages, "leave", leave_and_lose)
    reconnector.connected("two")
    monkeypatch.setattr(reconnect_queue.outages, "leave", leave)
    assert lost == [reconnector]
    eventually(lambda: len(kept.calls) == 2)


@pytest.mark.parametrize("step", ["answer", "answer_reach"])
def test_it_is_tried_until_it_succeeds(
    reconnector: Reconnector, kept: Kept, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    setattr(kept, step, refuse)
    reconnector.begin()
    reconnector.connected("one")
    reconnector.left("one")
    eventually(lambda: len(kept.tries) > 12)
    pauses = [later - earlier for earlier, later in zip(kept.tries, kept.tries[1:], strict=False)]
    setattr(kept, step, lambda: None)
    eventually(lambda: kept.calls and kept.calls[0] is True)
    reconnector.connected("two")
    eventually(lambda: reconnector._due is None)
    assert caplog.text.count("nobody is there") == 1
    assert max(pauses[5:]) >= reconnect_queue.MOST_DELAY / 2
    assert pauses[0] < reconnect_queue.MOST_DELAY


class Away:
    """A service that many look for. trying: how many do so now; `most` ever did at once, since it is back."""

    def __init__(self) -> None:
        self.gone = True
        self.tries: list[float] = []
        self.trying = self.most = 0
        self._lock = threading.Lock()

    def reach(self) -> None:
        with self._lock:
            self.tries.append(time.monotonic())
            self.trying += 1
            self.most = max(self.most, self.trying)

    def told(self, reconnector: Reconnector) -> None:
        """One has subscribed again, and is connected to."""
        with self._lock:
            self.trying -= 1
        reconnector.connected("two")

    def refuse(self) -> None:
        with self._lock:
            self.trying -= 1
        refuse()


@pytest.fixture
def away() -> Away:
    return Away()


@pytest.fixture
def many(away: Away) -> Iterator[list[Reconnector]]:
    """Sixty keepers that have lost the same service."""
    keepers = []
    for _ in range(60):
        one = Kept()
        its = Reconnector(one)
        one.address = lambda: "the same for all"  # type: ignore[method-assign]
        one.answer = lambda its=its: away.told(its)  # type: ignore[misc]

        def reach() -> None:
            away.reach()
            if away.gone:
                away.refuse()

        one.answer_reach = reach
        its.begin()
        its.connected("one")
        keepers.append(its)
    for its in keepers:
        its.left("one")
    yield keepers
    for its in keepers:
        its.stop()
    for its in keepers:
        its.join()
    assert not reconnect_queue.outages._places and not reconnect_queue.outages._lines


def test_many_subscribers_try_as_one_and_return_a_few_at_once(away: Away, many: list[Reconnector]) -> None:
    eventually(lambda: len(away.tries) > 60)
    assert away.tries[-1] - away.tries[-20] > 2 * reconnect_queue.MOST_DELAY
    away.gone = False
    eventually(lambda: all(its._due is None for its in many))
    assert away.most <= reconnect_queue.AT_ONCE


def test_those_who_rest_or_end_hold_nobody_up(away: Away, many: list[Reconnector]) -> None:
    """Whoever's turn it is, there is always another who tries."""
    eventually(lambda: len(away.tries) > 20)
    for its in many[:20]:
        its.stop()
    for its in many[20:40]:
        its.rest()
    tries = len(away.tries)
    eventually(lambda: len(away.tries) > tries + 5)
    away.gone = False
    eventually(lambda: all(its._due is None for its in many[40:]))
    assert not any(its._due is None for its in many[:40])
    for its in many[20:40]:
        its.begin()
    eventually(lambda: all(its._due is None for its in many[20:40]))


def test_one_that_fails_for_a_reason_of_its_own_holds_nobody_up(away: Away, many: list[Reconnector]) -> None:
    bad = many[0]._kept
    bad.answer_reach = refuse  # type: ignore[attr-defined]
    away.gone = False
    eventually(lambda: all(its._due is None for its in many[1:]))
    eventually(lambda: len(bad.tries) > 3)  # type: ignore[attr-defined]


def test_a_turn_ends_though_the_service_does_not_connect(away: Away, many: list[Reconnector]) -> None:
    for its in many[:30]:
        its._kept.answer = lambda: None  # type: ignore[attr-defined]
    away.gone = False
    eventually(lambda: all(its._due is None for its in many[30:]))


def test_nothing_is_missed_where_nothing_was_subscribed(reconnector: Reconnector, kept: Kept) -> None:
    reconnector.begin()
    reconnector.connected("one")
    kept.subscribed = False
    reconnector.left("one")
    kept.subscribed = True
    reconnector.expect()
    assert reconnector.connected("two") is None
    assert kept.calls == []


def test_subscriptions_that_end_meanwhile_are_not_made_again(reconnector: Reconnector, kept: Kept) -> None:
    reconnector.begin()
    reconnector.connected("one")
    with reconnector._changed:
        reconnector.left("one")
        kept.subscribed = False
    eventually(lambda: reconnector._due is None)
    assert kept.calls == []


def test_a_service_that_never_connects_is_asked_again_and_again_more_rarely(
    reconnector: Reconnector, kept: Kept
) -> None:
    reconnector.begin()
    eventually(lambda: len(kept.calls) == 4)
    assert kept.calls == [False] * 4  # a link that it is still making shall stay
    first, _, _, last = kept.times
    assert last - first > 5 * module.ARRIVAL
    assert reconnector.connected("one") is None


def test_a_service_that_was_lost_before_it_had_connected(reconnector: Reconnector, kept: Kept) -> None:
    kept.another = True
    reconnector.begin()
    eventually(lambda: kept.calls == [True])
    assert reconnector.connected("one") == "the connection to the event service was lost"


def test_one_that_was_lost_is_asked_once_for_another_link(reconnector: Reconnector, kept: Kept) -> None:
    """What it then makes shall not be ended by asking again."""
    reconnector.begin()
    reconnector.connected("one")
    reconnector.left("one")
    eventually(lambda: kept.calls[:3] == [True, False, False])
    assert reconnector.connected("two") == LOST


def test_a_subscription_of_ones_own_meanwhile_does_not_stand_for_all(
    reconnector: Reconnector, kept: Kept
) -> None:
    reconnector.begin()
    reconnector.connected("one")
    with reconnector._changed:
        reconnector.left("one")
        reconnector.expect()
        assert reconnector.connected("two") == LOST  # the program subscribed to something else
    eventually(lambda: kept.calls == ["ask", False])


def test_a_service_that_connects_once_more_may_not_know_all(reconnector: Reconnector, kept: Kept) -> None:
    """It gave us up, and knows what the program has subscribed to since."""
    reconnector.begin()
    reconnector.connected("one")
    assert reconnector.connected("two") == "the event service connected once more"
    eventually(lambda: kept.calls == ["ask", False])
    eventually(lambda: reconnector._due is None)
    assert reconnector._connections == {"one", "two"}  # a stranger may have made the second one


def test_one_of_two_connections_that_ends_is_reason_to_ask(
    reconnector: Reconnector,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reconnector.begin()
    reconnector.connected("one")
    reconnector.connected("two")
    eventually(lambda: kept.calls == ["ask", False])
    eventually(lambda: reconnector._due is None)
    kept.ask_answer = lambda: SubscriptionStatus.UNKNOWN
    reconnector.left("two")
    eventually(lambda: kept.calls[-2:] == ["hang up one", True])


def test_what_was_open_during_a_rest_is_asked_about(reconnector: Reconnector, kept: Kept) -> None:
    reconnector.begin()
    reconnector.connected("one")
    reconnector.rest()
    reconnector.begin()
    eventually(lambda: kept.calls == ["ask"])


def test_listening_late(reconnector: Reconnector, kept: Kept) -> None:
    """It asks first: what the service's first connection has brought shall not be thrown away."""
    reconnector.begin(late=True)
    eventually(lambda: kept.calls[:2] == ["ask", False])
    assert reconnector.connected("one") is None


def test_listening_too_late(reconnector: Reconnector, kept: Kept) -> None:
    kept.ask_answer = lambda: SubscriptionStatus.UNKNOWN
    reconnector.begin(late=True)
    eventually(lambda: kept.calls[:2] == ["ask", True])
    assert reconnector.connected("one") == module.FORGOTTEN


def test_at_rest_it_does_nothing_but_remember(reconnector: Reconnector, kept: Kept) -> None:
    reconnector.begin()
    reconnector.connected("one")
    reconnector.rest()
    reconnector.left("one")
    assert kept.calls == []
    reconnector.begin()
    eventually(lambda: kept.calls == [True])
    assert reconnector.connected("two") == LOST


def test_without_listen_the_first_connection_begins_it(reconnector: Reconnector, kept: Kept) -> None:
    reconnector.connected("one")
    reconnector.left("one")
    eventually(lambda: kept.calls == [True])


def test_a_quiet_service_is_asked(
    reconnector: Reconnector,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)
    reconnector.connected("one")
    eventually(lambda: kept.calls[:2] == ["ask", "ask"])


def test_one_whose_events_come_is_not(
    reconnector: Reconnector,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)
    asked = []

    def activity() -> int:
        asked.append(1)
        return len(asked)

    kept.activity = activity  # type: ignore[method-assign]
    reconnector.connected("one")
    eventually(lambda: len(asked) > 3)
    assert kept.calls == []


def test_nobody_is_asked_who_was_not_subscribed(
    reconnector: Reconnector,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.01)
    looks = []
    kept.subscribed = False
    kept.activity = lambda: looks.append(1) or 0  # type: ignore[func-returns-value, method-assign]
    reconnector.begin()
    eventually(lambda: len(looks) > 3)
    assert kept.calls == []


@pytest.mark.parametrize("answer", [be_silent, refuse])
def test_no_sign_of_life_for_long_enough_ends_it(
    reconnector: Reconnector,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[], SubscriptionStatus],
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)
    monkeypatch.setattr(heartbeat, "HEARTBEAT_ANSWER", 0.02)
    kept.ask_answer = answer
    reconnector.connected("one")
    elsewhere = f"elsewhere: {module.SILENT}"
    eventually(lambda: elsewhere in kept.calls[:-1])
    assert kept.calls.index(elsewhere) > 3
    assert reconnector._connections == {"one"}
    kept.ask_answer = lambda: SubscriptionStatus.UNKNOWN
    eventually(lambda: kept.calls[-2:] == ["hang up one", True])
    assert reconnector.connected("two") == module.FORGOTTEN


def test_a_service_that_was_silent_and_knows_us_still_goes_on_where_it_was(
    reconnector: Reconnector,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waits to come by its connection is not lost."""
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)
    monkeypatch.setattr(heartbeat, "HEARTBEAT_ANSWER", 0.02)
    kept.ask_answer = be_silent
    reconnector.connected("one")
    eventually(lambda: f"elsewhere: {module.SILENT}" in kept.calls)
    kept.ask_answer = lambda: SubscriptionStatus.KNOWN
    eventually(lambda: False in kept.calls)
    assert True not in kept.calls and "hang up one" not in kept.calls
    assert reconnector._connections == {"one"}
    reconnector.left("one")
    eventually(lambda: True in kept.calls)
    assert reconnector.connected("two") == LOST


def test_a_control_connection_that_was_made_anew_may_lead_to_another_service(
    reconnector: Reconnector,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)
    kept.ask_answer = lambda: SubscriptionStatus.UNSURE
    reconnector.connected("one")
    eventually(lambda: kept.calls[:3] == ["ask", "ask", False])  # its connection may well be alive


def test_a_connection_that_ends_while_it_is_asked(
    reconnector: Reconnector,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)

    def ask() -> SubscriptionStatus:
        reconnector.left("one")
        return be_silent()

    kept.ask_answer = ask
    reconnector.connected("one")
    eventually(lambda: kept.calls[:2] == ["ask", True])
    assert reconnector.connected("two") == LOST


def test_one_that_answers_late(
    reconnector: Reconnector,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)
    kept.ask_answer = lambda: SubscriptionStatus.UNSURE if len(kept.calls) > 2 else be_silent()
    reconnector.connected("one")
    eventually(lambda: kept.calls[:5] == ["ask", "ask", "ask", "ask", False])


def test_resting_ends_the_questions(
    reconnector: Reconnector,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)

    def ask() -> SubscriptionStatus:
        reconnector.rest()
        return be_silent()

    kept.ask_answer = ask
    reconnector.connected("one")
    eventually(lambda: reconnector._working is False)
    assert kept.calls == ["ask"]


def test_the_end_while_an_attempt_is_under_way(reconnector: Reconnector, kept: Kept) -> None:
    go_on, begun = threading.Event(), threading.Event()

    def answer() -> None:
        begun.set()
        go_on.wait(10)
        refuse()

    kept.answer = answer
    reconnector.begin()
    assert begun.wait(10)
    reconnector.stop()
    go_on.set()
    reconnector.join()
    assert reconnector._thread is not None and not reconnector._thread.is_alive()
    reconnector.begin()
    assert kept.calls == [False]


def test_a_subscriber_that_keeps_being_lost_waits_longer(reconnector: Reconnector, kept: Kept) -> None:
    reconnector.begin()
    reconnector.connected(0)
    for number in range(6):
        reconnector.left(number)
        eventually(lambda number=number: len(kept.calls) > number)  # type: ignore[misc]
        reconnector.connected(number + 1)
    assert reconnector._failures >= 5


@pytest.fixture
def listening(reconnector: Reconnector) -> None:
    reconnector.begin()
    reconnector.connected("one")


@pytest.mark.usefixtures("listening")
def test_one_that_the_service_has_given_up_comes_back(reconnector: Reconnector, kept: Kept) -> None:
    kept.ask_answer = lambda: SubscriptionStatus.UNKNOWN
    reconnector.doubt()
    eventually(lambda: kept.calls[:4] == ["ask", "ask", "hang up one", True])
    assert reconnector.connected("two") == module.FORGOTTEN
    reconnector.left("one")
    reconnector.left("two")
    eventually(lambda: kept.calls.count(True) == 2)


@pytest.mark.usefixtures("listening")
def test_a_doubt_without_reason_changes_nothing(reconnector: Reconnector, kept: Kept) -> None:
    reconnector.doubt()
    eventually(lambda: kept.calls == ["ask"])
    reconnector.stop()
    reconnector.join()
    assert reconnector._due is None and reconnector._doubt is None
    assert reconnector.connected("two") == "the event service connected once more"


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("answer", [be_silent, refuse])
def test_no_answer_to_a_doubt_means_nothing_yet(
    reconnector: Reconnector,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[], SubscriptionStatus],
) -> None:
    """Whoever wants a frozen service to be given up early knocks at its subscribers' doors."""
    monkeypatch.setattr(heartbeat, "HEARTBEAT_ANSWER", 0.02)
    kept.ask_answer = answer
    reconnector.doubt()
    eventually(lambda: len(kept.calls) > 3)
    eventually(lambda: not reconnector._heartbeat.waiting)
    reconnector.stop()
    reconnector.join()
    assert set(kept.calls) == {"ask"}
    assert reconnector._due is None and reconnector._connections == {"one"}


@pytest.mark.usefixtures("listening")
def test_strangers_cannot_make_it_ask_all_the_time(
    reconnector: Reconnector,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A doubt is put off and not forgotten: the next one may be the service's."""
    reconnector.doubt()
    eventually(lambda: kept.calls == ["ask"])
    eventually(lambda: not reconnector._heartbeat.waiting)
    monkeypatch.setattr(module, "DOUBT_EVERY", 3600.0)
    for _ in range(10):
        reconnector.doubt()
    assert reconnector._doubt is not None and reconnector._doubt > time.monotonic() + 3000
    assert kept.calls == ["ask"]
    monkeypatch.setattr(module, "DOUBT_EVERY", 0.0)
    reconnector._doubt, reconnector._asked = None, 0.0
    reconnector.doubt()
    eventually(lambda: kept.calls == ["ask", "ask"])


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("when", ["resting", "closed", "not subscribed"])
def test_there_is_nothing_to_doubt(reconnector: Reconnector, kept: Kept, when: str) -> None:
    if when == "resting":
        reconnector.rest()
    elif when == "closed":
        reconnector.stop()
    else:
        kept.subscribed = False
    reconnector.doubt()
    assert reconnector._doubt is None


@pytest.mark.usefixtures("listening")
def test_a_doubt_waits_while_it_is_coming_back_and_is_over_then(reconnector: Reconnector, kept: Kept) -> None:
    kept.answer_reach = refuse
    reconnector.left("one")
    eventually(lambda: len(kept.tries) > 2)
    reconnector.doubt()
    tries = len(kept.tries)
    eventually(lambda: len(kept.tries) > tries + 2)
    assert kept.calls == []
    kept.answer_reach = lambda: False
    eventually(lambda: True in kept.calls)
    reconnector.connected("two")
    assert reconnector._doubt is None


@pytest.mark.usefixtures("listening")
def test_an_overdue_answer_is_asked_for_elsewhere(
    reconnector: Reconnector,
    kept: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was asked when the line was cut is repeated late; and one who knocks can be reached."""
    asking, going_on = threading.Event(), threading.Event()

    def ask() -> SubscriptionStatus:
        asking.set()
        going_on.wait(10)
        return SubscriptionStatus.KNOWN

    kept.ask_answer = ask
    reconnector.doubt()
    assert asking.wait(10)
    monkeypatch.setattr(heartbeat, "_OVERDUE", 3600.0)
    reconnector.doubt()
    assert kept.calls == ["ask"]
    monkeypatch.setattr(heartbeat, "_OVERDUE", -1.0)
    reconnector.doubt()
    assert kept.calls[0] == "ask" and "overdue" in kept.calls[1]
    going_on.set()


@pytest.mark.usefixtures("listening")
def test_subscriptions_that_end_while_it_is_asked(reconnector: Reconnector, kept: Kept) -> None:
    def ask() -> SubscriptionStatus:
        kept.subscribed = False
        return SubscriptionStatus.UNKNOWN

    kept.ask_answer = ask
    reconnector.doubt()
    eventually(lambda: kept.calls == ["ask"])
    reconnector.stop()
    reconnector.join()
    assert reconnector._due is None
