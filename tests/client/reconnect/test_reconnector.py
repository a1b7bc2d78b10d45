"""The reconnector: its threads, with subscribers and times that are the test's own."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from waiting import eventually

from pyro_events.client.reconnect import reconnector as module
from pyro_events.client.reconnect.events import Answered, SubscriptionStatus
from pyro_events.client.reconnect.reconnect_queue import AT_ONCE
from pyro_events.client.reconnect.reconnection import Reconnection
from pyro_events.client.reconnect.reconnector import Reconnector
from pyro_events.client.reconnect.state import State
from pyro_events.client.reconnect.times import ReconnectTimes
from pyro_events.client.reconnect.transitions import ENDED
from pyro_events.errors import ServiceUnreachableError

QUICK = ReconnectTimes(first_delay=0.002, most_delay=0.016, arrival=60.0, most_arrival=60.0, hint_every=0.02)
KNOWN = Answered(SubscriptionStatus.KNOWN)


class Target:
    """A subscriber that notes what is asked of it."""

    def __init__(self, at: str = "here") -> None:
        self.at = at
        self.subscribed = True
        self.came = 0
        self.calls: list[Any] = []
        self.answer: Callable[[], Answered] = lambda: KNOWN
        self.answer_reach: Callable[[], object] = lambda: None
        self.answer_subscribe: Callable[[], object] = lambda: None

    def wanted(self) -> bool:
        return self.subscribed

    def falls_back(self) -> bool:
        return True

    def activity(self) -> int:
        return self.came

    def address(self) -> str:
        return self.at

    def own_address(self) -> str:
        return f"127.0.0.1:{id(self)}"

    def reach(self) -> None:
        self.calls.append("reach")
        self.answer_reach()

    def ask(self, timeout: float) -> Answered:
        self.calls.append("ask")
        return self.answer()

    def subscribe_again(self, anew: bool) -> None:
        self.calls.append(anew)
        self.answer_subscribe()

    def fall_back(self, why: str) -> None:
        self.calls.append(f"fall back: {why}")

    def drop_connection(self, reason: str) -> None:
        self.calls.append("drop")

    def hang_up(self, connections: Iterable[object]) -> None:
        self.calls += [f"hang up {connection}" for connection in connections]


def refuse() -> Any:
    raise ServiceUnreachableError("nobody is there")


Make = Callable[..., Reconnection]


@pytest.fixture
def reconnector() -> Reconnector:
    return Reconnector(retry=0.01)


@pytest.fixture
def make(reconnector: Reconnector) -> Iterator[Make]:
    """Makes subscribers that listen, and are connected to."""
    made: list[Reconnection] = []

    def one(at: str = "here", times: ReconnectTimes = QUICK) -> Reconnection:
        member = Reconnection(Target(at), reconnector, times)
        member.subscriptions_changed()
        member.listened()
        member.connected_by("one")
        made.append(member)
        return member

    yield one
    for member in made:
        member.closed()
    for member in made:
        member.join()
    assert not reconnector._thread and not reconnector._workers and not reconnector._members


def target_of(member: Reconnection) -> Target:
    assert isinstance(member.target, Target)
    return member.target


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("pyro_events-reconnect")]


def test_a_connection_that_is_lost_is_replaced(make: Make) -> None:
    one = make()
    calls = target_of(one).calls
    one.disconnected("one")
    eventually(lambda: calls == ["reach", True])
    assert one.connected_by("two", "it was slow") == f"{ENDED}: it was slow"
    one.disconnected("two")
    eventually(lambda: calls == ["reach", True] * 2)


def test_it_is_tried_until_it_succeeds(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    one = make()
    target = target_of(one)
    target.answer_reach = refuse
    one.disconnected("one")
    eventually(lambda: target.calls.count("reach") > 8)
    target.answer_reach = lambda: None
    target.answer_subscribe = refuse
    eventually(lambda: target.calls.count(True) > 3)
    target.answer_subscribe = lambda: None
    eventually(lambda: one.state.state is State.EXPECTED and not one.state.complaint)
    assert caplog.text.count("nobody is there") == 1


def test_there_is_one_thread_and_it_ends_with_the_last_subscriber(make: Make) -> None:
    before = threads()
    first, second = make(), make()
    assert len(threads()) == len(before) + 1
    first.closed()
    first.join()
    assert len(threads()) == len(before) + 1
    second.closed()
    second.join()
    assert threads() == before
    third = make()  # and begins again with the next
    third.disconnected("one")
    eventually(lambda: target_of(third).calls == ["reach", True])


def test_one_that_the_service_cannot_reach_falls_back_before_it_is_subscribed_again(
    reconnector: Reconnector,
) -> None:
    target = Target()
    target.answer = lambda: Answered(SubscriptionStatus.KNOWN, "refused", unreachable=True, falls_back=True)
    one = Reconnection(target, reconnector, ReconnectTimes(soon=0.01))
    one.subscriptions_changed()
    eventually(lambda: target.calls == ["ask", "fall back: refused", False])
    one.connected_by("own", own=True)
    one.closed()
    one.join()


def test_a_program_without_subscriptions_has_no_thread(reconnector: Reconnector) -> None:
    target = Target()
    target.subscribed = False
    one = Reconnection(target, reconnector)
    one.listened()
    one.hinted()
    one.closed()
    one.join()
    assert reconnector._thread is None


@pytest.fixture
def many(make: Make) -> list[Reconnection]:
    return [make() for _ in range(60)]


def test_many_subscribers_try_as_one_and_return_a_few_at_once(many: list[Reconnection]) -> None:
    gone, lock = True, threading.Lock()
    tries = trying = most = 0

    def reach() -> None:
        nonlocal tries, trying, most
        with lock:
            tries += 1
            trying += 1
            most = max(most, trying)
        time.sleep(0.001)
        with lock:
            trying -= 1
        if gone:
            refuse()

    for one in many:
        target_of(one).answer_reach = reach
    for one in many:
        one.disconnected("one")
    eventually(lambda: tries > 10)
    eventually(lambda: trying <= 1)
    gone = False
    eventually(lambda: all(True in target_of(one).calls for one in many))
    assert most <= AT_ONCE
    for one in many:
        assert one.connected_by("two") == ENDED


def test_one_that_does_not_answer_holds_up_nobody_elsewhere(make: Make) -> None:
    go_on = threading.Event()
    stuck = [make("frozen") for _ in range(3 * AT_ONCE)]
    for one in stuck:
        target_of(one).answer_reach = lambda: go_on.wait(10)
        one.disconnected("one")
    eventually(lambda: sum(len(target_of(one).calls) for one in stuck) == AT_ONCE)
    try:
        other = make("there")
        other.disconnected("one")
        eventually(lambda: target_of(other).calls == ["reach", True])
    finally:
        go_on.set()
    eventually(lambda: all(True in target_of(one).calls for one in stuck))


def test_subscribers_that_pause_or_close_delay_no_others(many: list[Reconnection]) -> None:
    for one in many:
        target_of(one).answer_reach = refuse
        one.disconnected("one")
    for one in many[:20]:
        one.closed()
    for one in many[20:40]:
        one.paused()
    for one in many:
        target_of(one).answer_reach = lambda: None
    eventually(lambda: all(True in target_of(one).calls for one in many[40:]))
    assert not any(True in target_of(one).calls for one in many[:40])
    for one in many[20:40]:
        one.listened()
    eventually(lambda: all(True in target_of(one).calls for one in many[20:40]))


def test_a_quiet_service_is_asked_and_one_whose_events_come_is_not(
    make: Make, reconnector: Reconnector
) -> None:
    times = ReconnectTimes(heartbeat=0.02)
    quiet = make(times=times)
    eventually(lambda: target_of(quiet).calls[:2] == ["ask", "ask"])
    busy = Reconnection(Busy(), reconnector, times)
    busy.subscriptions_changed()
    busy.connected_by("one")
    eventually(lambda: target_of(busy).came > 5)
    busy.closed()
    busy.join()
    assert target_of(busy).calls == []


class Busy(Target):
    """Events come all the time."""

    def activity(self) -> int:
        self.came += 1
        return self.came


def test_a_hint_gives_up_questions_that_are_overdue_to_the_same_service(make: Make) -> None:
    times = ReconnectTimes(heartbeat=0.02, overdue=0.02)
    waiting, other = make(times=times), make(times=ReconnectTimes())
    go_on = threading.Event()

    def ask() -> Answered:
        go_on.wait(10)
        return KNOWN

    target_of(waiting).answer = ask
    eventually(lambda: target_of(waiting).calls == ["ask"])
    try:
        eventually(lambda: other.hinted() or "drop" in target_of(waiting).calls)
    finally:
        go_on.set()
    assert "drop" not in target_of(other).calls


def test_what_the_service_does_not_use_is_hung_up(make: Make) -> None:
    one = make()
    target_of(one).answer = lambda: Answered(SubscriptionStatus.UNKNOWN)
    one.hinted()
    eventually(lambda: target_of(one).calls == ["ask", "hang up one", True])


def test_a_service_that_does_not_connect_is_logged(
    reconnector: Reconnector, caplog: pytest.LogCaptureFixture
) -> None:
    one = Reconnection(Target(), reconnector, ReconnectTimes(arrival=0.01, warn_after=0.03))
    target_of(one).answer = lambda: Answered(SubscriptionStatus.KNOWN, "it was refused")
    one.subscriptions_changed()
    one.listened()
    eventually(lambda: one.state.problem == "it was refused")
    eventually(lambda: len(target_of(one).calls) > 3)
    one.closed()
    one.join()
    assert caplog.text.count("does not reach this subscriber") == 1
    assert f"this subscriber at {target_of(one).own_address()}: it was refused" in caplog.text


def test_the_end_while_an_attempt_is_under_way(make: Make) -> None:
    one = make()
    go_on, begun = threading.Event(), threading.Event()

    def answer() -> None:
        begun.set()
        go_on.wait(10)
        refuse()

    target_of(one).answer_reach = answer
    one.disconnected("one")
    assert begun.wait(10)
    one.closed()
    threading.Timer(0.05, go_on.set).start()
    one.join()
    assert go_on.is_set() and target_of(one).calls == ["reach"]


def test_one_that_is_used_in_the_middle_of_itself(make: Make, reconnector: Reconnector) -> None:
    """By a __del__ or a signal's handler, between any two steps."""
    one, other = make(), make()

    def wanted() -> bool:
        target_of(one).wanted = lambda: True  # type: ignore[method-assign]
        assert one.entered
        other.disconnected("one")
        one.join()  # does not wait for itself
        return True

    target_of(one).wanted = wanted  # type: ignore[method-assign]
    one.subscriptions_changed()
    assert not one.entered
    eventually(lambda: target_of(other).calls == ["reach", True])


def test_one_that_waits_for_a_connection_in_the_middle_of_itself(make: Make) -> None:
    one = make()
    answers: list[bool] = []

    def wanted() -> bool:
        del target_of(one).wanted  # type: ignore[method-assign]
        answers.append(one.wait_until_connected(None))
        return True

    one.disconnected("one")
    eventually(lambda: target_of(one).calls == ["reach", True])
    target_of(one).wanted = wanted  # type: ignore[method-assign]
    changing = threading.Thread(target=one.subscriptions_changed, daemon=True)
    changing.start()
    changing.join(10)
    assert answers == [False]


def test_a_system_without_threads_left(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    start, refused = threading.Thread.start, []

    def refuse_to_start(thread: threading.Thread) -> None:
        if thread.name.startswith("pyro_events-reconnect") and len(refused) < 2:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_to_start)
    one = make()
    one.disconnected("one")
    eventually(lambda: target_of(one).calls == ["reach", True])
    assert len(refused) == 2


@pytest.mark.parametrize("started", [False, True])
def test_a_signal_while_the_thread_is_being_started(
    make: Make, reconnector: Reconnector, monkeypatch: pytest.MonkeyPatch, started: bool
) -> None:
    """Its handler raises. Nobody knows then whether the thread runs; there must be one, and not two."""
    start, interrupted = threading.Thread.start, []

    def interrupt(thread: threading.Thread) -> None:
        interrupting = thread.name.startswith("pyro_events-reconnect") and not interrupted
        if started or not interrupting:
            start(thread)
        if interrupting:
            interrupted.append(thread)
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupt)
    before = threads()
    first = Reconnection(Target(), reconnector, QUICK)
    with pytest.raises(KeyboardInterrupt):
        first.subscriptions_changed()
    one = make()
    one.disconnected("one")
    eventually(lambda: target_of(one).calls == ["reach", True])
    eventually(lambda: len(threads()) == len(before) + 1)
    first.closed()


def test_a_signal_while_it_is_closed(
    make: Make, reconnector: Reconnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its handler raises, and the program closes the subscriber once more."""

    def interrupt(member: object) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    one = make()
    monkeypatch.setattr(reconnector._queue, "leave", interrupt)
    with pytest.raises(KeyboardInterrupt):
        one.closed()
    one.closed()
    one.join()
    assert not reconnector._thread


def test_a_signal_whose_handler_closes_another_and_raises(make: Make, reconnector: Reconnector) -> None:
    one, other = make(), make()

    def wanted() -> bool:
        del target_of(one).wanted  # type: ignore[method-assign]
        other.closed()
        raise KeyboardInterrupt

    target_of(one).wanted = wanted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        one.subscriptions_changed()
    assert reconnector._members == {one}
    one.disconnected("one")
    eventually(lambda: target_of(one).calls == ["reach", True])


@pytest.mark.parametrize("method", ["activity", "address", "reach"])
def test_an_error_with_one_does_not_end_a_thread_that_serves_others(make: Make, method: str) -> None:
    def leave() -> Any:
        delattr(target_of(one), method)
        raise SystemExit

    one, other = make("there"), make()
    setattr(target_of(one), method, leave)
    one.disconnected("one")
    eventually(lambda: method not in vars(target_of(one)))
    other.disconnected("one")
    eventually(lambda: target_of(other).calls == ["reach", True])
    if method == "reach":
        eventually(lambda: target_of(one).calls == ["reach", True])


def test_one_that_was_closed_is_not_kept_in_memory(make: Make, reconnector: Reconnector) -> None:
    make()
    target = Target()
    one = Reconnection(target, reconnector)
    one.subscriptions_changed()
    one.connected_by("one")
    one.closed()
    one.join()
    left = weakref.ref(target)
    del one, target
    gc.collect()
    assert left() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_begins_with_a_new_reconnector() -> None:
    one = Reconnection(Target(), times=QUICK)
    one.subscriptions_changed()
    try:
        pid = os.fork()
        if pid == 0:  # pragma: no cover
            shared = module.shared
            os._exit(1 if shared._members or shared._thread or shared._due_at or len(shared._queue) else 0)
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        one.closed()
        one.join()
