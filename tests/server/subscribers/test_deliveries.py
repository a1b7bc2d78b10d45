"""Which subscriber has a delivery, who may change its subscriptions, and which delivery lingers; none
connects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import Pyro5.errors
import pytest

from pyro_events.broker.accounting import Loss
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.broker import Broker
from pyro_events.broker.matching.rights import Rights
from pyro_events.constants import NOT_KNOWN
from pyro_events.options import BacklogOptions, ServiceOptions
from pyro_events.server.access import AccessControl
from pyro_events.server.objects import Caller
from pyro_events.server.subscribers import deliveries as module
from pyro_events.server.subscribers.callbacks.callback_address import Callback
from pyro_events.server.subscribers.deliveries import Deliveries
from pyro_events.server.subscribers.departures import remembered_as
from pyro_events.server.subscribers.subscribe_options import SubscribeOptions
from pyro_events.wire.handshake.passphrase import Identity

HERE, ELSEWHERE = Caller("192.0.2.1", 1), Caller("192.0.2.99", 1)


def users(*names: str) -> list[Caller]:
    """Callers at one host that have proved to be these users."""
    return [Caller("192.0.2.1", 4, proved=True, user=name) for name in names]


class FakeDelivery:
    """A delivery that connects to nobody."""

    takes_batches = False
    lingers = True
    obstacle = ""
    state = SimpleNamespace(value="active")

    def __init__(
        self,
        owner: Service,
        backlog: Backlog,
        callback: Callback,
        options: Any,
        proof: Any,
        host: str,
        falls_back: bool,
        user: str,
    ) -> None:
        self._owner = owner
        self.backlog = backlog
        self.address = callback.address
        self.subscribed_from = host
        self.lingering = False
        self.notes: Any = None
        self.falls_back = falls_back
        self.user = user
        self.known_as = remembered_as(backlog.subscriber, user)
        self.closed: list[Loss] = []

    def start(self, notes: Any) -> None:
        self.notes = notes

    def close(self, reason: Loss, explanation: str = "", hung_up: bool = False) -> None:
        self.closed.append(reason)
        self._owner.deliveries.remove(self, reason, explanation, "" if hung_up else explanation)


class FakeEvents:
    """What is told of subscribers that come and go."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def subscribed(self, backlog: Backlog) -> None:
        self.told.append(("subscribed", backlog.subscriber))

    def leaving(self, backlog: Backlog) -> Any:
        self.told.append(("leaving", backlog.subscriber))
        return "what it was subscribed to"

    def left(self, backlog: Backlog, subscribed: Any, reason: Loss, why: str) -> None:
        assert subscribed == "what it was subscribed to"
        self.told.append((reason.value, why))


class Service:
    """The deliveries, and what they ask of their engine."""

    def __init__(self, **options: Any) -> None:
        wanted = ServiceOptions(**options)
        self.draining = False
        self.client_tls: Any = None
        self.tls_memory = SimpleNamespace(full=False)
        self.configured_backlogs: list[Backlog] = []
        self.broker = Broker(BacklogOptions(), 1 << 20)
        self.events = FakeEvents()
        # Where the objects are, plain ones need not prove who they are.
        access = AccessControl(stock=frozenset({"192.0.2.1"}), users=lambda user: Identity(b"key", user))
        self.deliveries: Any = Deliveries(self, self.broker, access, wanted)  # type: ignore[arg-type]

    def configured(self, backlog: Backlog) -> None:
        self.configured_backlogs.append(backlog)

    def subscribe(self, *names: str, number: int = 1, caller: Caller = HERE, **wanted: Any) -> None:
        options = SubscribeOptions(**{"options": None, **wanted})
        self.deliveries.subscribe(caller, callback(number), names, (), options)

    def delivery(self, number: int = 1, user: str = "") -> Any:
        backlog = self.broker.find(callback(number).uri, user)
        assert backlog is not None
        return self.deliveries.table[backlog]


def callback(number: int = 1) -> Callback:
    return Callback(("192.0.2.1", number), "s", f"PYRO:s@192.0.2.1:{number}", "192.0.2.1")


@pytest.fixture(autouse=True)
def no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CallbackDelivery", FakeDelivery)


def run(work: Callable[[], None]) -> None:
    async def once() -> None:
        work()

    asyncio.run(once())


def test_who_comes_and_goes_is_told() -> None:
    def work() -> None:
        service = Service()
        service.subscribe("A")
        service.subscribe("B")
        service.subscribe()  # nothing: no delivery
        uri = callback().uri
        service.delivery().close(Loss.DEADLINE, "was slow")
        with pytest.raises(TypeError):
            service.deliveries.subscribe(HERE, callback(), 5, (), SubscribeOptions(None))
        assert service.events.told == [
            ("subscribed", uri),
            ("subscribed", uri),
            ("subscribed", uri),
            ("leaving", uri),
            ("deadline", "was slow"),
        ]

    run(work)


def test_the_first_subscription_begins_a_delivery_and_the_next_uses_it() -> None:
    def work() -> None:
        service = Service()
        service.subscribe("A", name="market")
        first = service.delivery()
        assert first.notes is not None and first.backlog.name == "market"
        service.subscribe("B")
        assert service.delivery() is first
        assert service.configured_backlogs == [first.backlog]
        assert (len(service.deliveries.table), len(service.deliveries.admission)) == (1, 1)

    run(work)


def test_no_subjects_make_no_subscriber() -> None:
    def work() -> None:
        service = Service()
        service.subscribe()
        assert not service.deliveries.table and service.broker.backlogs() == []

    run(work)


def test_one_without_subscriptions_lingers_until_it_has_one_again() -> None:
    def work() -> None:
        service = Service()
        service.subscribe("A", "B")
        delivery = service.delivery()
        assert service.deliveries.unsubscribe(HERE, [callback().uri], ["A"]) == 1
        assert not delivery.lingering
        assert service.deliveries.unsubscribe(HERE, [callback().uri], ["B"]) == 0
        assert delivery.lingering and delivery in service.deliveries.lingering
        service.subscribe("C")
        assert service.delivery() is delivery
        assert not delivery.lingering and not service.deliveries.lingering
        assert service.deliveries.unsubscribe(HERE, [callback(2).uri], ["C"]) == NOT_KNOWN

    run(work)


def test_one_that_has_lost_its_connection_gets_another() -> None:
    def work() -> None:
        service = Service()
        service.subscribe("A")
        first = service.delivery()
        service.subscribe("A", anew=True)
        assert first.closed == [Loss.GONE]
        assert service.delivery() is not first
        assert len(service.deliveries.admission) == 1

    run(work)


def test_only_its_own_host_and_the_one_that_subscribed_it_may_change_it() -> None:
    def work() -> None:
        service = Service()
        service.subscribe("A", caller=ELSEWHERE)
        stranger = Caller("192.0.2.50", 1)
        for caller in (HERE, ELSEWHERE, Caller("192.0.2.50", 1, proved=True)):
            service.subscribe("A", caller=caller)
        for change in (
            lambda: service.subscribe("B", caller=stranger),
            lambda: service.deliveries.unsubscribe(stranger, [callback().uri], ["A"]),
            lambda: service.deliveries.standing(stranger, [callback().uri]),
        ):
            with pytest.raises(Pyro5.errors.SecurityError):
                change()
        assert service.deliveries.standing(HERE, [callback().uri]) == (1, "active", "")

    run(work)


def test_who_is_refused_is_told_why_and_others_go_on() -> None:
    def work() -> None:
        service = Service(max_connections=2, max_per_host=1)
        service.subscribe("A")
        with pytest.raises(ValueError, match="max-per-host"):
            service.subscribe("A", number=2)
        service.client_tls, service.tls_memory.full = object(), True
        with pytest.raises(ValueError, match="TLS"):
            service.subscribe("A", number=2, caller=ELSEWHERE)
        service.subscribe("B")
        service.draining = True
        with pytest.raises(ValueError, match="stopping"):
            service.subscribe("C")
        assert service.broker.subscriptions(service.delivery().backlog) == 2

    run(work)


def test_of_one_that_is_gone_only_the_reason_is_left() -> None:
    def work() -> None:
        service = Service()
        service.subscribe("A")
        delivery = service.delivery()
        service.deliveries.disconnect_unresponsive(delivery, Loss.GONE, "left 3 heartbeats unanswered")
        assert not service.deliveries.table and service.broker.backlogs() == []
        assert len(service.deliveries.admission) == 0
        found = service.deliveries.standing(HERE, [callback().uri])
        assert (found.subscriptions, found.why) == (NOT_KNOWN, "left 3 heartbeats unanswered")
        service.subscribe("A")
        assert "left 3 heartbeats unanswered" in service.delivery().notes[0]

    run(work)


@pytest.mark.parametrize("other", [Caller("192.0.2.1", 4), *users("bob", "Alice", "alice ")])
def test_what_a_user_has_subscribed_does_not_exist_for_others(other: Caller) -> None:
    """Even at the same host."""

    def work() -> None:
        service, (alice,) = Service(), users("alice")
        service.subscribe("A", caller=alice)
        nobody = [callback(7).uri]
        for uris in ([callback().uri], nobody):
            assert service.deliveries.standing(other, uris) == (NOT_KNOWN, "", "")
            assert service.deliveries.unsubscribe(other, uris, "A") == NOT_KNOWN
            assert service.deliveries.checked(other, uris[0]) is None
            with pytest.raises(TypeError):
                service.deliveries.unsubscribe(other, uris, 7)
        service.subscribe("B", "C", caller=other, anew=True)  # that is another subscriber
        assert service.deliveries.standing(other, [callback().uri]).subscriptions == 2
        assert service.deliveries.standing(alice, [callback().uri]).subscriptions == 1
        assert service.delivery(user="alice").closed == []
        assert service.deliveries.unsubscribe(other, [callback().uri], ["B", "C"]) == 0
        assert service.deliveries.unsubscribe(alice, [callback().uri], "A") == 0

    run(work)


def test_a_user_may_change_its_subscribers_from_any_host() -> None:
    def work() -> None:
        service = Service()
        service.subscribe("A", caller=Caller("192.0.2.1", 4, proved=True, user="alice"))
        elsewhere = Caller("192.0.2.9", 4, proved=True, user="alice")
        assert service.deliveries.standing(elsewhere, [callback().uri]).subscriptions == 1
        assert service.deliveries.unsubscribe(elsewhere, [callback().uri], "A") == 0

    run(work)


def test_a_user_means_its_own_of_the_subscribers_that_a_name_may_stand_for() -> None:
    """Objects of the same name and port at the caller's host, another user's, and at another host."""

    def work() -> None:
        service, (alice, bob) = Service(), users("alice", "bob")
        service.subscribe("A", number=1, caller=bob)
        service.subscribe("A", "B", number=2, caller=alice)
        uris = [callback(1).uri, callback(2).uri]
        assert service.deliveries.standing(alice, uris).subscriptions == 2
        assert service.deliveries.unsubscribe(alice, uris, "A") == 1
        assert service.deliveries.standing(bob, uris).subscriptions == 1

    run(work)


def test_why_a_subscriber_was_disconnected_is_for_its_user_alone() -> None:
    def work() -> None:
        service, (alice, bob) = Service(), users("alice", "bob")
        service.subscribe("A", caller=alice)
        service.deliveries.disconnect_unresponsive(service.delivery(user="alice"), Loss.GONE, "was silent")
        assert service.deliveries.standing(bob, [callback().uri]) == (NOT_KNOWN, "", "")
        assert service.deliveries.standing(alice, [callback().uri]).why == "was silent"
        service.subscribe("A", caller=bob)
        assert service.delivery(user="bob").notes[0] == ""
        service.subscribe("A", caller=alice)
        assert service.delivery(user="alice").notes[0] == "was silent"

    run(work)


def test_what_some_users_have_subscribed() -> None:
    def work() -> None:
        service = Service()
        for number, caller in enumerate([*users("alice", "bob", "alice"), HERE], 1):
            service.subscribe("A", number=number, caller=caller)
        found = service.deliveries.of_users({"alice", "carol"})
        assert [each.address[1] for each in found] == [1, 3]
        assert service.deliveries.of_users(()) == []

    run(work)


def test_one_that_blocked_publishers_for_too_long_may_not_for_a_while() -> None:
    def work() -> None:
        service = Service(block_suspension=60)
        for number in (1, 2):
            service.subscribe("A", number=number)
        service.deliveries.disconnect_unresponsive(service.delivery(), Loss.DEADLINE, "blocked publishers")
        for number in (1, 3):  # it may come back at another port
            service.subscribe("A", number=number)
        policies = [service.delivery(number).backlog.overflow.value for number in (1, 2, 3)]
        assert policies == ["drop-oldest", "block", "drop-oldest"]

    run(work)


def test_the_end_ends_all() -> None:
    async def work() -> None:
        service = Service()
        for number in (1, 2):
            service.subscribe("A", number=number)
        both = list(service.deliveries.table.values())
        await service.deliveries.stop()
        assert [each.closed for each in both] == [[Loss.STOPPED]] * 2
        assert not service.deliveries.table

    asyncio.run(work())


def test_an_admin_may_change_what_any_user_has_subscribed_and_it_stays_that_users() -> None:
    def work() -> None:
        service, (alice, bob) = Service(), users("alice", "bob")
        admin = Caller("192.0.2.1", 4, proved=True, user="root", rights=Rights(admin=True))
        service.subscribe("A", caller=alice)
        service.subscribe("B", caller=admin)
        assert service.deliveries.standing(admin, [callback().uri]).subscriptions == 2
        assert service.deliveries.standing(alice, [callback().uri]).subscriptions == 2
        assert service.deliveries.standing(bob, [callback().uri]).subscriptions == NOT_KNOWN
        assert [each.user for each in service.deliveries.table.values()] == ["alice"]
        assert service.deliveries.unsubscribe(admin, [callback().uri], ["A", "B"]) == 0

    run(work)
