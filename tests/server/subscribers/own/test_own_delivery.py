"""A delivery over the subscriber's own connection, without a service: with a transport of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pyro_events.broker.accounting import Loss
from pyro_events.broker.broker import Broker
from pyro_events.options import BacklogOptions, ServiceOptions
from pyro_events.server.limits.scheduler import Scheduler
from pyro_events.server.subscribers.delivery import State
from pyro_events.server.subscribers.own.own_delivery import OwnDelivery


class Owner:
    """The engine. done: what it hears."""

    def __init__(self) -> None:
        self.client_tls = None
        self.failures = SimpleNamespace(is_new=lambda *about: True)
        self.scheduler = Scheduler()
        self.done: list[Any] = []

    def acknowledged(self, delivery: Any) -> None:
        self.done.append("acknowledged")

    def greeted(self, delivery: Any) -> None:
        self.done.append("greeted")

    def ended(self, delivery: Any, reason: Loss, explanation: str, why: str) -> None:
        self.done.append((reason, why))


class Transport:
    def __init__(self, peer: Any = ("192.0.2.1", 4000)) -> None:
        self.done: list[str] = []
        self.written: list[bytes] = []
        self.protocol: Any = None
        self._peer = peer

    def get_extra_info(self, name: str) -> Any:
        return self._peer if name == "peername" else None

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def resume_reading(self) -> None:
        self.done.append("resume")

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.done.append("abort")


def run(work: Callable[[OwnDelivery, Owner], None]) -> None:
    async def once() -> None:
        owner, broker = Owner(), Broker(BacklogOptions(), 1 << 20)
        backlog = broker.subscribe("OWN:x@192.0.2.1", "A")
        broker.publish(iter([(["A"], b"\x01")]), 1.0)
        work(OwnDelivery(owner, backlog, "192.0.2.1", "x", ServiceOptions()), owner)  # type: ignore[arg-type]

    asyncio.run(once())


def test_what_waits_is_sent_when_the_roles_are_swapped() -> None:
    def work(delivery: OwnDelivery, owner: Owner) -> None:
        transport: Any = Transport()
        delivery.take_over(transport, True)
        assert transport.protocol is delivery and transport.done == ["resume"]
        assert delivery.state is State.ACTIVE and delivery.address == ("192.0.2.1", 4000)
        assert len(transport.written) == 1 and owner.done == ["greeted", "acknowledged"]
        assert delivery.known_as == "x" and not delivery.lingers

    run(work)


def test_one_that_has_sent_more_is_refused() -> None:
    def work(delivery: OwnDelivery, owner: Owner) -> None:
        transport: Any = Transport()
        delivery.take_over(transport, False)
        assert transport.done == ["abort"] and not transport.written
        ((reason, why),) = owner.done
        assert reason is Loss.REFUSED and "instead of waiting until it is called" in why

    run(work)


def test_one_that_was_disconnected_meanwhile_gets_nothing() -> None:
    def work(delivery: OwnDelivery, owner: Owner) -> None:
        transport: Any = Transport(None)
        delivery.close(Loss.STOPPED)
        delivery.take_over(transport, True)
        assert transport.done == ["abort"] and not transport.written and len(owner.done) == 1

    run(work)


def test_one_whose_connection_has_ended_is_forgotten() -> None:
    def work(delivery: OwnDelivery, owner: Owner) -> None:
        delivery.abandon()
        assert owner.done == [(Loss.GONE, "closed its connection; 1 events that waited for it were lost")]

    run(work)
