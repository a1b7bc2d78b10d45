"""Opening a listener's own connection: what `attach` answers, and a service that gives no such connection."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import Pyro5.errors
import pytest
from contract import running
from fake_locator import FakeLocator
from fake_service import FakeConnection, fake_service
from raw_client import raw_client
from reading import read_frame

from pyro_events import Publisher
from pyro_events.client.connection.opener import ConnectionOpener
from pyro_events.client.connection.times import ConnectTimes
from pyro_events.client.own_connection.opening import OwnConnection, check_capable, open_own_connection
from pyro_events.errors import EventServiceError, ServiceUnreachableError
from pyro_events.transport.sockets import time_limit
from pyro_events.wire.event_batch import events_opening, read_events
from pyro_events.wire.frames import EXCEPTION, FrameTooLargeError
from pyro_events.wire.handshake.capabilities import OURS, OWN_CONNECTION, PeerInfo
from pyro_events.wire.handshake.greeting_notes import WHY_KEY
from pyro_events.wire.own_connection import OBJECT_ID, attach_options, delivery_limits

ATTACHED = {"key": 32 * "a", "id": "an id", "subscriptions": 3, WHY_KEY: "it was slow"}


def opened(*uris: str, **options: Any) -> OwnConnection:
    locator: Any = FakeLocator(*uris)
    return open_own_connection(ConnectionOpener(locator), attach_options("a test", **options), ConnectTimes())


def test_events_come_over_it() -> None:
    with running() as service, Publisher(es_uri=service.uri) as market:
        own = opened(service.uri)
        with own.sock, raw_client(service.uri) as client:
            assert client.call("subscribe", "A", own.attached.subscriber) == 1
            assert market.publish("A", 1) == 1
            frame = read_frame(own.sock, own.reader)
            assert frame is not None
            rows = read_events(frame, events_opening(OBJECT_ID))
            assert rows is not None and [row[0] for row in rows] == ["A"]
            assert own.sock.gettimeout() == time_limit(own.sock) and own.address == service.uri


def test_the_same_key_is_the_same_listener() -> None:
    with running() as service:
        first = opened(service.uri)
        with first.sock, raw_client(service.uri) as client:
            client.call("subscribe", ["A", "B"], first.attached.subscriber)
            again = opened(service.uri, key=first.attached.key)
            with again.sock:
                assert again.attached.id == first.attached.id


def test_a_message_may_be_as_large_as_the_service_says() -> None:
    with running(max_message=1 << 16) as service:
        own = opened(service.uri)
        with own.sock:
            assert own.reader.limits == delivery_limits(1 << 16)


def test_what_is_wrong_with_the_options_is_the_services_error() -> None:
    with running() as service, pytest.raises(ValueError, match="backlog"):
        opened(service.uri, backlog=-1)


def test_a_service_without_the_capability_is_not_called() -> None:
    with fake_service() as fake:
        with pytest.raises(ServiceUnreachableError, match="callback=True") as raised:
            opened(fake.uri)
        assert not raised.value.temporary and fake.next().frame() is None


def test_the_next_address_is_tried_then() -> None:
    with fake_service() as older, running() as service:
        own = opened(older.uri, service.uri)
        with own.sock:
            assert own.address == service.uri


def test_the_error_says_which_service_it_is() -> None:
    check_capable(OURS, "an address")
    with pytest.raises(ServiceUnreachableError, match="is of version 0.2"):
        check_capable(PeerInfo("0.2"), "an address")
    with pytest.raises(ServiceUnreachableError, match="stock Pyro5 daemon"):
        check_capable(PeerInfo(), "an address")


def test_telling_who_listens_is_a_capability_of_its_own() -> None:
    check_capable(OURS, "an address", interest=True)
    older = PeerInfo("0.3", frozenset({OWN_CONNECTION}))
    check_capable(older, "an address")
    with pytest.raises(ServiceUnreachableError, match="0.3, and does not tell publishers who listens: start"):
        check_capable(older, "an address", interest=True)


def answered(answer: Callable[[FakeConnection, int], object]) -> OwnConnection:
    """The own connection to a service that answers `attach` so."""
    with fake_service(capabilities=[OWN_CONNECTION]) as fake:

        def serve() -> None:
            connection = fake.next()
            seq, method, _ = connection.call()
            assert method == "attach"
            answer(connection, seq)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return opened(fake.uri)
        finally:
            thread.join(10)


def test_the_answer_is_read() -> None:
    own = answered(lambda connection, seq: connection.answer(seq, ATTACHED))
    with own.sock:
        assert own.attached.subscriber == {"key": 32 * "a"}
        assert own.attached.subscriptions == 3 and own.attached.notes.why == "it was slow"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda connection, seq: connection.answer(seq, "yes"), "not answered `attach` with a key"),
        (lambda connection, seq: connection.answer(seq + 1, ATTACHED), "reply 2 instead of 1"),
        (lambda connection, seq: connection.close(), "closed the connection|reset"),
    ],
)
def test_an_answer_that_is_none(answer: Callable[[FakeConnection, int], object], reason: str) -> None:
    with pytest.raises(ServiceUnreachableError, match=f"did not take over .*({reason})") as raised:
        answered(answer)
    assert raised.value.temporary


def test_a_services_error_is_raised() -> None:
    error = {"__class__": "Pyro5.errors.SecurityError", "__exception__": True, "args": ["not from there"]}
    with pytest.raises(Pyro5.errors.SecurityError, match="not from there"):
        answered(lambda connection, seq: connection.answer(seq, error, EXCEPTION))


def test_nothing_larger_than_the_limits_is_read() -> None:
    own = answered(lambda connection, seq: connection.answer(seq, ATTACHED))
    with own.sock:
        header = bytearray(b"PYRO\x01\xf6\x04\x04\x00\x00\x00\x01\x7f\xff\xff\xff" + bytes(24))
        header[38:40] = (0x4DC5).to_bytes(2, "big")
        own.reader.feed(bytes(header))
        with pytest.raises(FrameTooLargeError):
            own.reader.next_frame()


def test_closing_the_opener_interrupts_attach() -> None:
    with fake_service(capabilities=[OWN_CONNECTION]) as fake:
        locator: Any = FakeLocator(fake.uri)
        opener = ConnectionOpener(locator)
        errors: list[EventServiceError] = []

        def attach() -> None:
            try:
                open_own_connection(opener, {}, ConnectTimes(connect=60.0))
            except EventServiceError as error:
                errors.append(error)

        thread = threading.Thread(target=attach)
        thread.start()
        fake.next().call()
        opener.close()
        thread.join(20)
        assert len(errors) == 1
