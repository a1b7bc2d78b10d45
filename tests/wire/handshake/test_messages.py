"""The handshake: a stock peer reads ours, we read a stock peer's, and nothing else is believed.

Knows: Pyro5's own serializers and messages. Must not know: what proves a passphrase.
"""

from __future__ import annotations

import json
from typing import Any

import Pyro5
import Pyro5.errors
import Pyro5.protocol as pyro
import pytest
from Pyro5.errors import ProtocolError
from Pyro5.server import _get_exposed_members, expose
from stock_wire import IDS, MARSHAL, dumped, each_serializer, frame, received, result_of

from pyro_events.constants import LARGEST_MESSAGE, MAX_HANDSHAKE, MAX_HANDSHAKE_REPLY, MIB
from pyro_events.wire.frames import MSGPACK, Frame, FrameError, FrameLimits, FrameReader, write_frame
from pyro_events.wire.handshake.greeting_notes import GreetingNotes
from pyro_events.wire.handshake.messages import (
    HELLO_LIMITS,
    Hello,
    Welcome,
    announced_max_message,
    answer_limits,
    read_connect,
    read_connect_fail,
    read_connect_ok,
    write_connect,
    write_connect_fail,
    write_connect_ok,
)
from pyro_events.wire.handshake.unix_offer import TICKET_BYTES, UnixOffer

# What asks to be let in


@each_serializer
def test_what_we_say_first_is_what_a_stock_proxy_would(name: str) -> None:
    data = write_connect("obj_1", "hello", serializer_id=IDS[name])
    message = received(data)
    assert (message.type, message.flags, message.seq) == (pyro.MSG_CONNECT, 0, 0)
    assert result_of(data) == {"handshake": "hello", "object": "obj_1"}


@pytest.mark.parametrize("name", ["", "plotter"])
def test_a_client_says_its_name(name: str) -> None:
    hello = read_frame(write_connect("obj", "hello", name=name), HELLO_LIMITS)
    assert read_connect(hello) == Hello("hello", "obj", name)


def test_a_service_says_to_a_subscriber_how_large_messages_may_be() -> None:
    hello = read_frame(write_connect("obj", "hello", max_message=5000), HELLO_LIMITS)
    assert read_connect(hello) == Hello("hello", "obj", None, 5000)
    hello = read_frame(write_connect("obj", "hello"), HELLO_LIMITS)
    assert read_connect(hello) == Hello("hello", "obj")


def test_a_service_tells_a_subscriber_why_it_was_disconnected() -> None:
    notes = GreetingNotes("it was slow", "it may not hold up publishers")
    hello = read_frame(write_connect("obj", "hello", notes=notes), HELLO_LIMITS)
    assert read_connect(hello) == Hello("hello", "obj", notes=notes)


def test_a_client_at_a_unix_socket_says_its_ticket() -> None:
    ticket = "0a" * TICKET_BYTES
    hello = read_frame(write_connect("obj", "hello", ticket=ticket), HELLO_LIMITS)
    assert read_connect(hello) == Hello("hello", "obj", ticket=ticket)


def test_a_service_says_where_else_it_listens() -> None:
    offer = UnixOffer("/run/es.sock", "0a" * TICKET_BYTES, "1b" * TICKET_BYTES, ("127.0.0.1", 4321))
    data = write_connect_ok(MSGPACK, 3, "hello", ["publish"], 5000, offer=offer)
    assert read_connect_ok(read_frame(data, answer_limits())).offer == offer


def read_frame(data: bytes, limits: FrameLimits) -> Frame:
    """The frame in these bytes."""
    reader = FrameReader(limits)
    reader.feed(data)
    found = reader.next_frame()
    assert found is not None
    return found


@each_serializer
@pytest.mark.parametrize("handshake", ["hello", None, {"ident": "x"}, [1, 2]])
def test_a_stock_handshake_is_read(name: str, handshake: Any) -> None:
    data = dumped({"handshake": handshake, "object": "Pyro.EventService"}, name)
    hello = read_connect(frame(name, data, kind=pyro.MSG_CONNECT))
    assert hello == Hello(handshake, "Pyro.EventService")


def test_a_handshake_may_bring_nothing_but_the_object() -> None:
    data = json.dumps({"object": "Pyro.EventService"}).encode()
    assert read_connect(frame("json", data)) == Hello(None, "Pyro.EventService")


@each_serializer
@pytest.mark.parametrize("hello", [None, "hello", ["object"], {}, {"object": 1}, {"handshake": "hello"}])
def test_a_frame_that_is_not_a_handshake(name: str, hello: Any) -> None:
    with pytest.raises(Pyro5.errors.SerializeError, match="must name the object"):
        read_connect(frame(name, dumped(hello, name)))


# What lets a client in, or turns it away


@each_serializer
def test_an_accepted_client_learns_what_it_may_call(name: str) -> None:
    data = write_connect_ok(IDS[name], 3, "hello", ["publish", "subscribe"], 5000)
    message = received(data)
    assert (message.type, message.flags, message.seq) == (pyro.MSG_CONNECTOK, 0, 3)
    assert result_of(data) == {
        "handshake": "hello",
        "meta": {"methods": ["publish", "subscribe"], "oneway": [], "attrs": []},
        "max_message": 5000,
    }


@each_serializer
@pytest.mark.parametrize("reason", ["denied", "there is no object '\ud800' here"])
def test_a_refused_client_learns_why(name: str, reason: str) -> None:
    data = write_connect_fail(IDS[name], 3, reason)
    message = received(data)
    assert (message.type, message.flags, message.seq) == (pyro.MSG_CONNECTFAIL, 0, 3)
    assert result_of(data) == reason.encode("utf-8", "backslashreplace").decode()


def welcome(methods: Any) -> Frame:
    said = {"handshake": "hello", "meta": {"methods": methods}}
    return frame("msgpack", dumped(said), kind=pyro.MSG_CONNECTOK)


@expose
class Plain:
    def event(self, event: Any) -> None: ...


def test_the_methods_of_a_stock_object_are_found() -> None:
    said = {"handshake": "hello", "meta": _get_exposed_members(Plain())}
    answer = read_connect_ok(frame("msgpack", dumped(said), kind=pyro.MSG_CONNECTOK))
    assert answer == Welcome("hello", frozenset({"event"}), None)


def test_what_the_service_says_is_read() -> None:
    data = write_connect_ok(MSGPACK, 3, "proof", ["publish", "subscribe"], 5000)
    answer = read_connect_ok(read_frame(data, answer_limits()))
    assert answer == Welcome("proof", frozenset({"publish", "subscribe"}), 5000)


def test_something_that_is_not_a_name_is_not_a_method() -> None:
    assert read_connect_ok(welcome(["events", 1, None, ["event"], "ping"])).methods == {"events", "ping"}


@pytest.mark.parametrize(
    "data", [None, [], "hello", {}, {"meta": None}, {"meta": {}}, {"meta": {"methods": "event"}}]
)
def test_a_welcome_without_methods(data: Any) -> None:
    assert read_connect_ok(frame("msgpack", dumped(data))) == Welcome(None, None, None)


def test_the_reason_of_a_refusal() -> None:
    data = write_connect_fail(MSGPACK, 3, "denied")
    assert read_connect_fail(read_frame(data, answer_limits())) == "denied"
    assert read_connect_fail(frame("msgpack", dumped([1]))) == "[1]"


@pytest.mark.parametrize("read", [read_connect_ok, read_connect_fail])
@pytest.mark.parametrize("serializer_id", [1, 2, 3, 42])
def test_an_answer_in_another_serializer_is_not_read(read: Any, serializer_id: int) -> None:
    with pytest.raises(ProtocolError, match="another serializer"):
        read(Frame(pyro.MSG_CONNECTOK, 0, serializer_id, 0, b"", dumped({})))


@pytest.mark.parametrize("read", [read_connect_ok, read_connect_fail])
@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x91" * 2000])
def test_an_answer_that_cannot_be_read(read: Any, payload: bytes) -> None:
    with pytest.raises(ProtocolError, match="its answer cannot be read"):
        read(frame("msgpack", payload))


# How large messages may be


@pytest.mark.parametrize("bound", [1, 16 * MIB, LARGEST_MESSAGE])
def test_a_bound_that_a_service_can_have(bound: int) -> None:
    assert announced_max_message({"handshake": "hello", "max_message": bound}) == bound


@pytest.mark.parametrize(
    "said",
    [
        {},
        "hello",
        None,
        [("max_message", 5)],
        *({"max_message": bound} for bound in (0, -1, LARGEST_MESSAGE + 1, 2**70, True, "5", 5.0, None, [5])),
    ],
    ids=repr,
)
def test_anything_else_says_nothing(said: Any) -> None:
    assert announced_max_message(said) is None


# What is let through at all


@pytest.mark.parametrize("kind", [pyro.MSG_CONNECTOK, pyro.MSG_CONNECTFAIL])
@pytest.mark.parametrize("compressed", [False, True])
def test_what_a_stock_daemon_answers_is_let_through(kind: int, compressed: bool) -> None:
    payload = dumped([None] * 1000)
    Pyro5.config.COMPRESSION = compressed
    data = pyro.SendingMessage(kind, 0, 1, MSGPACK, payload).data
    assert read_frame(data, answer_limits()).payload == payload


@pytest.mark.parametrize(
    "data",
    [
        pyro.SendingMessage(pyro.MSG_CONNECTOK, 0, 1, MSGPACK, bytes(MAX_HANDSHAKE_REPLY + 1)).data[:40],
        pyro.SendingMessage(pyro.MSG_CONNECTOK, 0, 1, MARSHAL, b"marshal").data,
        pyro.SendingMessage(pyro.MSG_CONNECTOK, pyro.FLAGS_KEEPSERIALIZED, 1, MSGPACK, b"").data,
        pyro.SendingMessage(pyro.MSG_INVOKE, 0, 1, MSGPACK, b"").data,
        pyro.SendingMessage(pyro.MSG_RESULT, 0, 1, MSGPACK, b"\x90").data,
        pyro.SendingMessage(pyro.MSG_CONNECTOK, 0, 1, IDS["json"], b"{}").data,
    ],
    ids=range(6),
)
def test_no_other_answer_is_let_through(data: bytes) -> None:
    with pytest.raises(FrameError):
        read_frame(data, answer_limits(frozenset({MSGPACK})))


@pytest.mark.parametrize(
    "data",
    [
        pyro.SendingMessage(pyro.MSG_CONNECT, 0, 1, MSGPACK, bytes(MAX_HANDSHAKE + 1)).data[:40],
        write_frame(pyro.MSG_CONNECT, pyro.FLAGS_COMPRESSED, MSGPACK, 1, b""),
        pyro.SendingMessage(pyro.MSG_INVOKE, 0, 1, MSGPACK, b"").data,
    ],
    ids=range(3),
)
def test_nothing_else_comes_first(data: bytes) -> None:
    with pytest.raises(FrameError):
        read_frame(data, HELLO_LIMITS)
