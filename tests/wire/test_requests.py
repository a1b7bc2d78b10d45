"""Requests: what stock Pyro5 clients and our own write is read, and nothing else gets through.

Knows: Pyro5's own serializers, the other side of every call here. Must not know: what is called.
"""

from __future__ import annotations

import datetime
import marshal
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import msgpack
import Pyro5.core
import Pyro5.errors
import Pyro5.protocol as pyro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from Pyro5.client import Proxy
from Pyro5.core import URI
from Pyro5.serializers import serializers
from stock_wire import IDS, MARSHAL, each_serializer, frame, plain, received, thorough

from pyro_events.constants import LARGE, MAX_STOCK_CALL, MAX_SUBJECTS_PER_CALL
from pyro_events.wire.frames import Frame
from pyro_events.wire.handshake.messages import read_connect
from pyro_events.wire.large_payload import SplitPayload
from pyro_events.wire.plain_data import read_plain
from pyro_events.wire.publish_options import RETAIN
from pyro_events.wire.requests import (
    Call,
    Entry,
    PackedCall,
    Publication,
    call_opening,
    packed_call,
    packed_publish,
    packed_publish_one,
    packed_size,
    pieces,
    read_call,
    read_large_publication,
    write_call,
    write_ping,
    write_plain_call,
)

KIB, MIB = 1 << 10, 1 << 20

call_shapes = st.tuples(
    st.text("abc_", min_size=1),
    st.lists(plain, max_size=3),
    st.dictionaries(st.text("abc", min_size=1), plain, max_size=2),
)


# Reading what stock clients write


def parts(call: Call) -> tuple[object, ...]:
    return call.object_id, call.method, call.args, call.kwargs, call.batch


@each_serializer
@thorough
@given(shape=call_shapes)
def test_a_stock_call_is_read(name: str, shape: tuple[str, list[Any], dict[str, Any]]) -> None:
    method, args, kwargs = shape
    data = serializers[name].dumpsCall("Pyro.EventService", method, tuple(args), kwargs)
    assert parts(read_call(frame(name, data))) == ("Pyro.EventService", method, args, kwargs, None)


@each_serializer
@thorough
@given(batch=st.lists(call_shapes, max_size=4))
def test_a_stock_batch_is_read(name: str, batch: list[tuple[str, list[Any], dict[str, Any]]]) -> None:
    sent = [(method, tuple(args), kwargs) for method, args, kwargs in batch]
    data = serializers[name].dumpsCall("Pyro.EventService", "<batch>", sent, None)
    read = read_call(frame(name, data, pyro.FLAGS_BATCH))
    assert parts(read) == ("Pyro.EventService", "", [], {}, batch)


MOMENT = datetime.datetime(2024, 2, 29, 12, 30, 15, 250000)
IDENTITY = uuid.UUID(int=5)


@pytest.mark.parametrize(
    ("name", "sent", "read"),
    [
        ("serpent", (1, (2,)), (1, (2,))),
        ("serpent", {1, 2}, {1, 2}),
        ("serpent", 1 + 2j, 1 + 2j),
        ("serpent", b"raw", {"data": "cmF3", "encoding": "base64"}),
        ("serpent", 10**100, 10**100),
        ("serpent", MOMENT, "2024-02-29T12:30:15.250000"),
        ("json", (1, (2,)), [1, [2]]),
        ("json", {7}, [7]),
        ("json", IDENTITY, str(IDENTITY)),
        ("json", 10**100, 10**100),
        ("msgpack", (1, (2,)), [1, [2]]),
        ("msgpack", b"raw", b"raw"),
        ("msgpack", {1: "one", b"two": 2}, {1: "one", b"two": 2}),
        ("msgpack", {7}, [7]),
        ("msgpack", 1 + 2j, 1 + 2j),
        ("msgpack", MOMENT, MOMENT),
        ("msgpack", MOMENT.date(), MOMENT.date()),
        ("msgpack", Decimal("1.5"), "1.5"),
    ],
)
def test_how_special_values_arrive(name: str, sent: Any, read: Any) -> None:
    data = serializers[name].dumpsCall("object", "method", (sent,), {})
    [value] = read_call(frame(name, data)).args
    assert value == read
    assert type(value) is type(read)


def test_a_large_number_in_msgpack_arrives() -> None:
    # Pyro5 means to write it so; the msgpack of today refuses it before it asks Pyro5.
    data = msgpack.packb(["object", "method", [msgpack.ExtType(0x31, b"-1" + b"0" * 50)], {}])
    assert read_call(frame("msgpack", data)).args == [-(10**50)]


@each_serializer
@pytest.mark.parametrize(
    ("make", "argument", "kind"),
    [
        (Proxy, "PYRO:subscriber@localhost:5555", "Pyro5.client.Proxy"),
        (URI, "PYRO:subscriber@localhost:5555", "Pyro5.core.URI"),
        (ValueError, "no", "builtins.ValueError"),
    ],
)
def test_classes_stay_dictionaries(name: str, make: Callable[[str], Any], argument: str, kind: str) -> None:
    data = serializers[name].dumpsCall("object", "method", (make(argument),), {})
    [value] = read_call(frame(name, data)).args
    assert type(value) is dict
    assert value["__class__"] == kind


# What is refused


@each_serializer
@pytest.mark.parametrize(
    "shape",
    [
        None,
        7,
        "text",
        [],
        ["object", "method", []],
        ["object", "method", [], {}, 1],
        [None, "method", [], {}],
        ["object", None, [], {}],
        ["object", "method", None, {}],
        ["object", "method", "text", {}],
        ["object", "method", [], None],
        ["object", "method", [], []],
        {"object": "object", "method": "method"},
        {"object": 1, "method": "method", "params": [], "kwargs": {}},
    ],
)
def test_a_frame_that_is_not_a_call(name: str, shape: Any) -> None:
    with pytest.raises(Pyro5.errors.SerializeError, match="a call must"):
        read_call(frame(name, serializers[name].dumps(shape)))


@each_serializer
@pytest.mark.parametrize(
    "batch", [None, 1, "text", {}, [1], [["method", []]], [["method", [], []]], [[1, [], {}]]]
)
def test_a_frame_that_is_not_a_batch(name: str, batch: Any) -> None:
    data = serializers[name].dumpsCall("object", "<batch>", batch, None)
    with pytest.raises(Pyro5.errors.SerializeError, match="a (call|batch) must"):
        read_call(frame(name, data, pyro.FLAGS_BATCH))


@pytest.fixture
def no_marshal(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: bytes) -> None:
        pytest.fail("marshal.loads was called")

    monkeypatch.setattr(marshal, "loads", refuse)


@pytest.mark.parametrize("serializer_id", [0, MARSHAL, 5, 42, 255])
@pytest.mark.parametrize("payload", [marshal.dumps({"object": "x"}), b'{"object": "x"}', b""])
def test_no_other_serializer_is_read(serializer_id: int, payload: bytes, no_marshal: None) -> None:
    for read in (read_connect, read_call):
        with pytest.raises(Pyro5.errors.SerializeError, match=f"serializer {serializer_id} is not accepted"):
            read(Frame(pyro.MSG_INVOKE, 0, serializer_id, 0, b"", payload))


@each_serializer
def test_marshal_under_another_name_is_not_read(name: str, no_marshal: None) -> None:
    data = marshal.dumps(("Pyro.EventService", "publish", (1.5, "x"), {}))
    with pytest.raises(Pyro5.errors.SerializeError):
        read_call(frame(name, data))


# Any bytes

PLAIN_TYPES = (
    type(None), bool, int, float, complex, str, bytes, list, tuple, set, dict, type(...),
    datetime.datetime, datetime.date, msgpack.Timestamp,
)  # fmt: skip


def all_within(value: Any) -> Iterator[Any]:
    """The value and all that it holds, however deep."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        yield value
        if isinstance(value, dict):
            waiting += value
            waiting += value.values()
        elif isinstance(value, (list, tuple, set)):
            waiting += value


def read_or_refused(name: str, payload: bytes) -> None:
    """Reading gives plain data and nothing that code stands behind, or SerializeError, bounded."""
    for read in (read_call, read_connect):
        for flags in (0, pyro.FLAGS_BATCH):
            try:
                read(frame(name, payload, flags))
            except Pyro5.errors.SerializeError as error:
                assert len(str(error)) < 300
    try:
        value = read_plain(IDS[name], payload)
    except Pyro5.errors.SerializeError:
        return
    assert all(type(each) in PLAIN_TYPES for each in all_within(value))


@each_serializer
@thorough
@given(data=st.data())
def test_any_bytes_are_plain_data_or_refused(name: str, data: st.DataObject) -> None:
    read_or_refused(name, data.draw(st.binary(max_size=200)))


text_fragments = st.lists(
    st.sampled_from(
        [
            *"[](){},:'\"\\-+.#\n\t 0179ejxu",
            "...",
            "nan",
            "1e999",
            "None",
            "set()",
            "b''",
            "\ud7ff",
            "__class__",
        ]
    ),
    max_size=30,
).map(lambda fragments: "".join(fragments).encode())
extension_codes = st.sampled_from([0x30, 0x31, 0x32, 0x33, 0x34, 0xFF])


@pytest.mark.parametrize("name", ["serpent", "json"])
@thorough
@given(payload=text_fragments)
def test_any_text_is_plain_data_or_refused(name: str, payload: bytes) -> None:
    read_or_refused(name, payload)


@thorough
@given(code=extension_codes, data=st.binary(max_size=17) | st.integers().map(lambda number: b"%d" % number))
def test_any_msgpack_extension_is_plain_data_or_refused(code: int, data: bytes) -> None:
    read_or_refused("msgpack", b"\xc7" + bytes([len(data) % 256, code]) + data)


@each_serializer
@thorough
@given(shape=call_shapes, data=st.data())
def test_a_call_with_a_wrong_byte_is_read_or_refused(name: str, shape: Any, data: st.DataObject) -> None:
    payload = bytearray(serializers[name].dumpsCall("object", *shape))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    read_or_refused(name, bytes(payload))


@each_serializer
@pytest.mark.parametrize(
    "opening", [b"[", b"(", b"{", b"-", b"{1:", b'{"a":', b"[[],", b"\x91", b"\x81\x01", b"\xdd\0\0\0\1"]
)
@pytest.mark.parametrize("depth", [200, 900, 1023, 10_000, MAX_STOCK_CALL])
def test_deep_nesting_is_read_or_refused(name: str, opening: bytes, depth: int) -> None:
    closing = {b"[": b"]", b"(": b",)", b"-": b"1", b"[[],": b"]", b"\x91": b"\x01"}.get(opening, b"1")
    depth = min(depth, MAX_STOCK_CALL // len(opening))
    payload = opening * depth + closing * (1 if opening in b"-" else depth)
    read_or_refused(name, payload[:MAX_STOCK_CALL])


@pytest.mark.parametrize(
    "payload",
    [
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff0",
        b"\xdb\x7f\xff\xff\xff",
    ],
)
def test_a_length_without_contents_costs_no_memory(payload: bytes) -> None:
    tracemalloc.start()
    try:
        read_or_refused("msgpack", payload)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MIB


# What our own publisher writes is read by a shorter way, with the same result


def read_both_ways(payload: bytes) -> tuple[str, str]:
    """What becomes of a msgpack call, by its text; a flag that means nothing here forbids the short way."""
    outcomes = []
    for flags in (0, pyro.FLAGS_ONEWAY):
        try:
            outcomes.append(repr(parts(read_call(frame("msgpack", payload, flags)))))
        except Pyro5.errors.SerializeError:
            outcomes.append("refused")
    return outcomes[0], outcomes[1]


def encoded_batch(batch: Any) -> bytes:
    """The body of a `publish_encoded` call, as our publisher writes it."""
    body: bytes = msgpack.packb(["Pyro.EventService", "publish_encoded", [batch], {}])
    return body


@pytest.mark.parametrize("batch", [[], [["A", b"x"]], [[["A", "B"], b"x"], ["C", b""]], None, "text", {}])
def test_a_batch_of_our_publisher_is_read(batch: Any) -> None:
    call = read_call(frame("msgpack", encoded_batch(batch)))
    assert parts(call) == ("Pyro.EventService", "publish_encoded", [batch], {}, None)


@pytest.mark.parametrize("batch", [b"", b"\x91", b"\x90\x90", b"\x80\x80", b"\xc1", b"\x91" * 2000])
def test_a_batch_that_is_none_is_refused(batch: bytes) -> None:
    assert read_both_ways(encoded_batch(0)[:-2] + batch + b"\x80") == ("refused", "refused")


@thorough
@given(batch=plain, data=st.data())
def test_the_short_way_reads_the_same(batch: Any, data: st.DataObject) -> None:
    payload = encoded_batch(batch)
    start = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(start, min(len(payload), start + 2)))
    short, long = read_both_ways(payload[:start] + data.draw(st.binary(max_size=3)) + payload[end:])
    assert short == long


# Large publications


def publication(subjects: Any, payload: Any, *options: Any) -> bytes:
    """The body of a `publish_encoded` call of one event, as our publisher writes it."""
    entry = [subjects, payload, *options]
    body: bytes = msgpack.packb(["Pyro.EventService", "publish_encoded", [[entry]], {}])
    return body


@pytest.mark.parametrize("size", [0, 255, 256, 65535, 65536, 1_000_000])
@pytest.mark.parametrize("subjects", ["STOCKQUOTE.SUN", ["A", "b" * 255], []])
def test_a_large_publication_is_read(size: int, subjects: Any) -> None:
    payload = bytes(size)
    body = publication(subjects, payload)
    assert read_large_publication(body, MAX_STOCK_CALL) == (
        "Pyro.EventService",
        Publication(subjects, payload),
    )


@pytest.mark.parametrize("options", [{"retain": True}, {}, None, 1, {"retain": {"deep": [1]}}])
def test_the_options_of_a_large_publication_are_read(options: Any) -> None:
    body = publication("X", bytes(70_000), options)
    assert read_large_publication(body, MAX_STOCK_CALL)[1] == ("X", bytes(70_000), options)


def test_options_that_are_none_are_refused() -> None:
    body = publication("X", bytes(70_000), {})
    for end in (b"", b"\xc1", b"\x91", b"\x80\x80"):
        with pytest.raises(Pyro5.errors.SerializeError, match="cannot be read"):
            read_large_publication(body[:-2] + end + b"\x80", MAX_STOCK_CALL)


@pytest.mark.parametrize("size", [1000, 2 * MAX_STOCK_CALL, 64 * MAX_STOCK_CALL])
def test_an_event_holds_little_more_than_it_is_charged_for(size: int) -> None:
    body = bytearray(1000) + publication(["x" * 250] * 254, bytes(size))
    event = read_large_publication(memoryview(body)[1000:], MAX_STOCK_CALL)[1].payload
    held = event.obj if isinstance(event, memoryview) else event
    assert len(held) <= 8 * len(event) / 7
    assert event == bytes(size)


def test_an_event_just_below_the_size_of_a_large_frame_is_read() -> None:
    # The whole is over 64 KiB, its bytes are not: msgpack then writes their length in two bytes.
    subjects = ["x" * 255] * 20
    body = publication(subjects, b"p" * (MAX_STOCK_CALL - 2000))
    assert len(body) > MAX_STOCK_CALL
    assert read_large_publication(body, MAX_STOCK_CALL)[1].subjects == subjects


@thorough
@given(
    subjects=st.text(max_size=20) | st.lists(st.text(max_size=20), max_size=5),
    payload=st.binary(max_size=300),
    spare=st.integers(-3, 3),
)
def test_the_envelope_must_lie_within_the_head(subjects: Any, payload: bytes, spare: int) -> None:
    body = publication(subjects, payload)
    head = len(body) - 1 - len(msgpack.packb(payload)) + spare
    if spare >= 0:
        assert read_large_publication(body, head)[1] == (subjects, payload, None)
    else:
        with pytest.raises(Pyro5.errors.SerializeError, match=f"a call over {head} bytes"):
            read_large_publication(body, head)


def assert_equal_or_refused(body: bytes, head: int) -> None:
    """What is accepted is what msgpack itself reads."""
    try:
        object_id, entry = read_large_publication(body, head)
    except Pyro5.errors.SerializeError:
        return
    read = msgpack.unpackb(body, strict_map_key=False)
    ((fields,),) = read[2]
    assert 2 <= len(fields) <= 3
    fields.extend([None] * (3 - len(fields)))  # no options
    accepted = [object_id, "publish_encoded", [[list(entry)]], {}]
    # By their text, because a changed byte may turn a name into nan.
    assert repr(read) == repr(accepted)


@thorough
@given(
    body=st.builds(
        publication, st.text(max_size=9) | st.lists(st.text(max_size=9), max_size=3), st.binary(max_size=40)
    )
    | st.builds(publication, st.text(max_size=9), st.binary(max_size=40), st.just({"retain": True})),
    data=st.data(),
)
def test_a_mutated_publication_is_refused_or_equal(body: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 3)))
    mutated = body[:start] + data.draw(st.binary(max_size=4)) + body[end:]
    assert_equal_or_refused(mutated, data.draw(st.sampled_from([20, 40, MAX_STOCK_CALL])))


@pytest.mark.parametrize("options", [[], [{"retain": True}]])
def test_every_byte_of_the_envelope_counts(options: list[Any]) -> None:
    body = publication("ab", b"payload", *options)
    for place in range(len(body)):
        for value in range(256):
            assert_equal_or_refused(body[:place] + bytes([value]) + body[place + 1 :], MAX_STOCK_CALL)


@thorough
@given(body=st.binary(max_size=100))
def test_any_bytes_are_a_large_publication_or_refused(body: bytes) -> None:
    assert_equal_or_refused(body, 50)


@pytest.mark.parametrize(
    "body",
    [
        msgpack.packb(["o", "publish", ["X", bytes(70_000)], {}]),
        msgpack.packb(["o", "publish_encoded", [[["X", bytes(70_000)]]], {"more": 1}]),
        msgpack.packb(["o", "publish_encoded", [[["X", bytes(70_000)], ["Y", b""]]], {}]),
        msgpack.packb(["o", "publish_encoded", [[["X", "text" * 70_000]]], {}]),
        msgpack.packb(["o", "publish_encoded", [[["X", bytes(70_000), {}, 1]]], {}]),
        msgpack.packb(["o", "publish_encoded", [[["X", bytes(70_000), {"x": "y" * 300}]]], {}]),
        msgpack.packb(["o", "publish_encoded", [[["X", bytes(70_000), {}]]], {"more": 1}]),
        msgpack.packb(["o", "publish_encoded", [[["X"] * 255, bytes(70_000)]], {}]),
        msgpack.packb(["o", "publish_encoded", [[[["X" * 255] * 300, bytes(70_000)]]], {}]),
        msgpack.packb([1, "publish_encoded", [[["X", bytes(70_000)]]], {}]),
        publication("X", bytes(70_000)) + b"\x80",
        publication("X", bytes(70_000))[:-1],
        b"\x91" * 70_000,
        b"\x94" + b"\x91" * 70_000,
        b"",
    ],
)
def test_no_other_large_call_is_read(body: bytes) -> None:
    with pytest.raises(Pyro5.errors.SerializeError, match="single event; publish less at once"):
        read_large_publication(body, MAX_STOCK_CALL)


@pytest.mark.parametrize(
    "body",
    [
        b"\x94\xa1o\xafpublish_encoded\xdd\x00\x80\x00\x00" + b"\x80" * (8 * MIB),
        b"\x94\xa1o\xafpublish_encoded\x91\x91\x92\xdd\x00\x80\x00\x00" + b"\x80" * (8 * MIB),
        b"\x80" * (8 * MIB),
    ],
)
def test_a_large_call_of_small_things_costs_no_memory(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Pyro5.errors.SerializeError):
            read_large_publication(body, MAX_STOCK_CALL)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The head, as objects: an empty dictionary takes 64 bytes.
    assert peak < 150 * MAX_STOCK_CALL


# What our own clients write


def whole(object_id: str, seq: int, call: PackedCall) -> bytes:
    """The bytes of a call as a connection sends them."""
    return b"".join((write_call(call_opening(object_id), seq, call), *call[1:]))


@thorough
@given(method=st.text("abc_", min_size=1), arguments=st.lists(plain, max_size=3), seq=st.integers(0, 0xFFFF))
def test_a_call_of_ours_is_read_by_pyro5(method: str, arguments: list[Any], seq: int) -> None:
    message = received(whole("Pyro.EventService", seq, packed_call(method, *arguments)))
    assert (message.type, message.flags, message.seq) == (pyro.MSG_INVOKE, 0, seq)
    called = serializers["msgpack"].loadsCall(message.data)
    assert called == ["Pyro.EventService", method, arguments, {}]


SMALL = [("A", b"1"), (["B", "C"], b"2")]
KEPT: list[Entry] = [("A", b"1", RETAIN), ("B", b"2")]
LARGE_ENTRIES: list[Entry] = [
    ("A", bytes(LARGE + 1)),
    (["A", "b"], SplitPayload(b"before", bytes(LARGE))),
    ("A", bytes(LARGE + 1), RETAIN),
    (["A", "b"], SplitPayload(b"before", bytes(LARGE)), RETAIN),
]


@pytest.mark.parametrize("entries", [[], SMALL, KEPT, *([each] for each in LARGE_ENTRIES)], ids=range(7))
def test_a_publication_of_ours_is_read_by_pyro5(entries: list[Entry]) -> None:
    message = received(whole("Pyro.EventService", 9, packed_publish(entries)))
    called = serializers["msgpack"].loadsCall(message.data)
    batch = [[subjects, bytes(payload), *options] for subjects, payload, *options in entries]
    assert called == ["Pyro.EventService", "publish_encoded", [batch], {}]


@pytest.mark.parametrize("entry", [*SMALL, *KEPT, *LARGE_ENTRIES])
def test_one_entry_is_published_by_the_same_call(entry: Entry) -> None:
    assert packed_publish_one(entry) == packed_publish([entry])


@pytest.mark.parametrize("entry", LARGE_ENTRIES, ids=range(4))
def test_a_large_publication_of_ours_is_read_without_a_copy_of_its_payload(entry: Entry) -> None:
    subjects, payload, *options = entry
    call = packed_publish([entry])
    assert any(piece is getattr(payload, "body", payload) for piece in call)
    body = whole("Pyro.EventService", 9, call)[40:]
    read = read_large_publication(body, MAX_STOCK_CALL)
    assert read == ("Pyro.EventService", Publication(subjects, bytes(payload), *options))


@each_serializer
@thorough
@given(shape=call_shapes)
def test_a_call_of_any_other_object_is_read_by_pyro5(
    name: str, shape: tuple[str, list[Any], dict[str, Any]]
) -> None:
    method, arguments, _ = shape
    message = received(write_plain_call(IDS[name], 3, "Pyro.NameServer", method, arguments))
    assert (message.type, message.serializer_id, message.seq) == (pyro.MSG_INVOKE, IDS[name], 3)
    called = serializers[name].loadsCall(message.data)
    assert list(called) == ["Pyro.NameServer", method, arguments, {}]


def test_a_ping_is_a_ping() -> None:
    message = received(write_ping(17))
    assert (message.type, message.seq, message.data) == (pyro.MSG_PING, 17, b"ping")


@thorough
@given(plain)
def test_the_size_of_plain_data(value: Any) -> None:
    assert packed_size(value) == len(msgpack.packb(value))


# Many names or patterns in pieces


@given(st.lists(st.text(max_size=255), max_size=1500))
def test_pieces_fit_into_a_call_and_lose_nothing(texts: list[str]) -> None:
    made = list(pieces(texts))
    assert sum(made, []) == texts
    assert all(0 < len(piece) <= MAX_SUBJECTS_PER_CALL for piece in made)
    assert all(len(msgpack.packb(piece, unicode_errors="surrogatepass")) < MAX_STOCK_CALL for piece in made)


def test_pieces_of_very_many_names() -> None:
    texts = [f"{number:0255}" for number in range(MAX_SUBJECTS_PER_CALL * 2 + 1)]
    made = list(pieces(texts))
    assert sum(made, []) == texts and len(made) > 2
    assert all(len(msgpack.packb(piece)) < MAX_STOCK_CALL for piece in made)
    assert list(pieces([])) == []
