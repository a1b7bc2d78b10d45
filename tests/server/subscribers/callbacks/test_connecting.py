"""Connecting to a subscriber and greeting it, without a service: with a loop and a socket of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

import msgpack
import Pyro5.errors
import pytest
from fake_subscriber import FakeSubscriber, fake_subscriber

from pyro_events.options import ServiceOptions
from pyro_events.server.subscribers.callbacks.callback_address import Callback
from pyro_events.server.subscribers.callbacks.connecting import Contact, takes_event_only
from pyro_events.wire.frames import CONNECT_FAIL, CONNECT_OK, MSGPACK, Frame
from pyro_events.wire.handshake.greeting_notes import NO_NOTES, GreetingNotes
from pyro_events.wire.handshake.messages import read_connect
from pyro_events.wire.handshake.passphrase import Identity
from pyro_events.wire.handshake.proofs import NONCE_SIZE, CallbackCheck, CallbackProof


class Owner:
    """A service without TLS."""

    client_tls: Any = None
    tls_memory: Any = None


def contact(subscriber: FakeSubscriber, proof: CallbackProof | None = None, **options: Any) -> Contact:
    address = ("127.0.0.1", subscriber.port)
    callback = Callback(address, "fake", subscriber.uri, "127.0.0.1")
    return Contact(Owner(), callback, ServiceOptions(**options), proof)


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 10))


class Link(asyncio.Protocol):
    """The connection that is made."""

    def __init__(self) -> None:
        self.made: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.made.set_result(transport)


def never(reason: object) -> None:
    raise AssertionError(reason)


def test_a_subscriber_is_connected_to_and_greeted() -> None:
    async def work() -> None:
        with fake_subscriber() as subscriber:
            way = contact(subscriber, max_message=5000)
            way.notes = GreetingNotes("it was slow", "")
            link = Link()
            way.connect(link, never)
            transport = await link.made
            way.greet(transport, never)
            frame = await asyncio.to_thread(lambda: (subscriber.accept(), subscriber.frame())[1])
            assert frame is not None
            hello = read_connect(frame)
            assert (hello.handshake, hello.object_id, hello.max_message) == ("hello", "fake", 5000)
            assert hello.notes.why == "it was slow"
            assert not way.answered(answer(["events"]))
            assert way.notes == NO_NOTES  # which is told once
            transport.abort()

    run(work)


def test_one_that_cannot_be_reached_is_told_of_once() -> None:
    async def work() -> None:
        with fake_subscriber() as subscriber:
            pass  # nothing listens there any more
        failures: asyncio.Queue[str] = asyncio.Queue()
        contact(subscriber).connect(Link(), failures.put_nowait)
        failure = await failures.get()
        assert "cannot be connected to at 127.0.0.1" in failure
        await asyncio.sleep(0)
        assert failures.empty()

    run(work)


def test_one_that_does_not_answer_is_given_the_time_of_a_first_contact() -> None:
    async def work() -> None:
        with fake_subscriber() as subscriber:
            way, link = contact(subscriber, first_contact=0.05), Link()
            way.connect(link, never)
            reasons: asyncio.Queue[str] = asyncio.Queue()
            transport = await link.made
            way.greet(transport, reasons.put_nowait)
            assert "did not answer within 0.05 s" in await reasons.get()
            transport.abort()

    run(work)


@pytest.mark.parametrize("greeted", [False, True])
def test_nothing_is_waited_for_any_more(greeted: bool) -> None:
    async def work() -> None:
        with fake_subscriber() as subscriber:
            way, link = contact(subscriber, first_contact=0.001), Link()
            before = asyncio.all_tasks()
            way.connect(link, never)
            made = asyncio.all_tasks() - before
            if greeted:
                transport = await link.made
                way.greet(transport, never)
                transport.abort()
            way.end()
            await asyncio.gather(*made, return_exceptions=True)
            assert link.made.done() == greeted
            later = asyncio.Event()
            asyncio.get_running_loop().call_later(0.002, later.set)
            await later.wait()  # what was due before would have been called

    run(work)


def answer(methods: Any, handshake: Any = "hello", kind: int = CONNECT_OK) -> Frame:
    said = {"handshake": handshake, "meta": {"methods": methods}}
    return Frame(kind, 0, MSGPACK, 0, b"", msgpack.packb(said))


@pytest.mark.parametrize(
    ("methods", "event_only"), [(["events"], False), (["event", "events"], False), (["event", "ping"], True)]
)
def test_how_a_subscriber_takes_events(methods: list[str], event_only: bool) -> None:
    assert takes_event_only(answer(methods), None) == event_only


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (answer(["ping"]), "exposes neither `event` nor `events`"),
        (answer("event"), "did not say what the object can do"),
        (Frame(CONNECT_OK, 0, MSGPACK, 0, b"", b"\xc1"), "its answer cannot be read"),
        (
            Frame(CONNECT_FAIL, 0, MSGPACK, 0, b"", msgpack.packb("unknown object")),
            "^its daemon refused the connection: unknown object$",
        ),
        (Frame(CONNECT_FAIL, 0, MSGPACK, 0, b"", msgpack.packb("x" * 1000)), "^.{300}$"),
    ],
)
def test_what_cannot_be_delivered_to(frame: Frame, reason: str) -> None:
    with pytest.raises(Pyro5.errors.ProtocolError, match=reason):
        takes_event_only(frame, None)


def test_the_passphrase_must_be_proved_if_it_was_demanded() -> None:
    ours = Identity(b"ours")
    check = CallbackCheck(ours)
    proof = CallbackProof(ours, "fake", check.call(os.urandom(NONCE_SIZE)), os.urandom(NONCE_SIZE))
    assert not takes_event_only(answer(["events"], check.verify(proof.hello, "fake")), proof)
    with pytest.raises(Pyro5.errors.ProtocolError, match="does not prove"):
        takes_event_only(answer(["events"]), proof)
