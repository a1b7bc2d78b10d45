"""Writes the seed corpus: `python -m fuzz.seeds`. The seeds are the same each time.

Knows: what well-behaved peers send, and which mistakes in it are worth testing. Must not know: the targets'
code, except for the meaning of their first byte.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import json
import random
import uuid
import zlib
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, Final

import msgpack
import serpent

from pyro_events.codec.message import encode
from pyro_events.wire.frames import (
    BATCH,
    COMPRESSED,
    CONNECT,
    CONNECT_OK,
    EXCEPTION,
    INVOKE,
    KEEP_SERIALIZED,
    MSGPACK,
    ONEWAY,
    PING,
    RESULT,
    write_frame,
)
from pyro_events.wire.handshake.passphrase import Identity
from pyro_events.wire.handshake.proofs import (
    NONCE_SIZE,
    UNKNOWN_RUN,
    AgainError,
    CallbackCheck,
    CallbackProof,
    ClientProof,
    ServiceProof,
)

from .call_seeds import large, subscribe
from .corpus import CORPUS, as_text
from .stream_seeds import attach, inbox

_SEED: Final = 20240702
# 900 compressed null bytes; as a constant, because every zlib compresses differently.
_BOMB: Final = bytes.fromhex("789c63601805a360140c24000003840001")
_HELLO: Final = {"handshake": "hello", "object": "Pyro.EventService"}
_META: Final = {"handshake": "hello", "meta": {"methods": ["event", "events"], "oneway": [], "attrs": []}}


def mutations(data: bytes, chance: random.Random, count: int) -> Iterator[bytes]:
    """The input, some of its prefixes, and copies with a byte changed, doubled or missing."""
    yield data
    for _ in range(count):
        at = chance.randrange(len(data)) if data else 0
        yield data[:at]
        yield data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        yield data[:at] + data[at : at + 1] * 2 + data[at + 1 :]


def frames() -> Iterator[bytes]:
    hello = write_frame(CONNECT, 0, MSGPACK, 0, msgpack.packb(_HELLO))
    call = write_frame(INVOKE, 0, MSGPACK, 1, b"\x94" * 20)
    packed = zlib.compress(bytes(400), 0)
    yield b"\0" + hello
    yield b"\0" + hello + call
    yield b"\1" + call * 3
    for flags in (BATCH, ONEWAY, KEEP_SERIALIZED, COMPRESSED, EXCEPTION):
        yield b"\1" + write_frame(INVOKE, flags, MSGPACK, 2, packed)
    for serializer in (1, 2, 3, 42):
        yield b"\1" + write_frame(PING, 0, serializer, 3, b"ping")
        yield b"\1" + write_frame(INVOKE, 0, serializer, 3, b"[]")
    yield b"\1" + write_frame(INVOKE, 0, MSGPACK, 4, bytes(600)) + call
    yield b"\1" + write_frame(INVOKE, 0, MSGPACK, 5, bytes(2100))
    yield b"\1" + write_frame(INVOKE, COMPRESSED, MSGPACK, 6, _BOMB)
    annotated = bytearray(write_frame(INVOKE, 0, MSGPACK, 7, b"BLBI\0\0\0\4abcd" + b"rest"))
    annotated[15], annotated[19] = 4, 12  # of the 16 bytes, twelve are annotations
    yield b"\1" + bytes(annotated)
    yield b"\2" + write_frame(CONNECT_OK, 0, MSGPACK, 0, msgpack.packb(_META))
    yield b"\3" + write_frame(RESULT, 0, MSGPACK, 1, b"\x90") + write_frame(PING, 0, 42, 2, b"pong")


def handshake() -> Iterator[bytes]:
    def said(serializer: int, kind: int, data: bytes, error: bool = False) -> bytes:
        choice = next(
            byte
            for byte in range(256)
            if byte % 3 == serializer and byte // 3 % 5 == kind and bool(byte & 64) == error
        )
        return bytes([choice]) + data

    writers: tuple[Callable[[Any], bytes], ...] = (
        msgpack.packb,
        serpent.dumps,
        lambda value: json.dumps(value).encode(),
    )
    for serializer, write in enumerate(writers):
        for value in (
            _HELLO,
            {"object": 1},
            [],
            "hello",
            {**_HELLO, "handshake": {"proof": [1.5, "x" * 64]}},
        ):
            yield said(serializer, 0, write(value))
    for handshake in _proofs():
        for serializer, write in enumerate(writers):
            yield said(serializer, 0, write({**_HELLO, "handshake": handshake}))
        yield said(0, 1, msgpack.packb({**_META, "handshake": handshake}))
        yield said(0, 2, msgpack.packb(handshake))
    for value in (_META, {"meta": {"methods": None}}, {"meta": []}, "denied", [[[["deep"]]]]):
        yield said(0, 1, msgpack.packb(value))
        yield said(0, 2, msgpack.packb(value))
    wrapped = {"__class__": "Pyro5.core._ExceptionWrapper", "exception": _error("ValueError", "no")}
    for value in ([], [0, 2], [3], [None, None, None], [None, wrapped], [wrapped], None, {}, 7, [-1, True]):
        yield said(0, 3, msgpack.packb(value))
        yield said(0, 4, msgpack.packb(value))
    for name in ("ValueError", "UnicodeDecodeError", "Pyro5.errors.DaemonError", "os.system", "SystemExit"):
        for kind in (3, 4):
            yield said(0, kind, msgpack.packb(_error(name, "why", 3)), error=True)


def _proofs() -> Iterator[str]:
    """Everything that the two sides send to each other with a passphrase, the service's own and a user's."""
    zeros = bytes(NONCE_SIZE)
    for identity in (Identity(b"another key"), Identity(b"another key", "alice")):
        gate = ServiceProof({identity.user: identity}.get, zeros, b"a key that nobody has")
        early = ClientProof(identity, "object", UNKNOWN_RUN, 1e9, zeros)
        proof = ClientProof(identity, "object", zeros.hex(), 1e9, zeros)
        callback = CallbackProof(identity, "object", zeros.hex(), zeros)
        answers = CallbackCheck(identity)
        answers.call(zeros)
        yield from (early.hello, proof.hello, gate.verify(proof.hello, "object", 1e9).answer, callback.hello)
        yield answers.verify(callback.hello, "object")
        try:
            gate.verify(early.hello, "object", 1e9)
        except AgainError as error:
            yield str(error)


def _error(name: str, *arguments: Any) -> dict[str, Any]:
    full = name if "." in name else f"builtins.{name}"
    attributes = {"_pyroTraceback": ["line\n"]}
    return {"__class__": full, "__exception__": True, "args": list(arguments), "attributes": attributes}


def codec() -> Iterator[bytes]:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    values: list[Any] = [
        *(None, True, 0, -1, 1 << 63, 1 << 70, -(1 << 300), 1.5, float("nan"), float("-inf"), 1j),
        *("", "Straße", "\udc80", b"\0\xff", [], [1, [2, [3]]], {}, {"a": 1, 2: ("b",)}, (), ("SUN", 22.44)),
        *({1, 2}, frozenset({(1, 2)}), {("k", 1): {frozenset({1})}}, range(1, 10, 2)),
        *(decimal.Decimal("-1.50"), decimal.Decimal("NaN"), fractions.Fraction(-1, 3), uuid.UUID(int=7)),
        *(datetime.datetime(2024, 7, 2, 1, 2, 3, 4), datetime.datetime(2024, 7, 2, tzinfo=zone)),
        *(
            datetime.date(1, 1, 1),
            datetime.time(23, 59, tzinfo=datetime.timezone.utc),
            datetime.timedelta(-1, 2, 3),
        ),
        *(PurePosixPath("/a/b"), ValueError("no", 3), KeyError(("a", 1)), bytearray(b"x"), [[]] * 20),
        *(OrderedDict(b=1, a=(2,)), defaultdict(None, {(1, 2): []}), Counter("seed"), deque([1, "x"], 3)),
        *(OSError(2, "gone", "file"), UnicodeDecodeError("utf-8", b"a\xff", 1, 2, "bad"), StopIteration(3)),
    ]
    yield from map(encode, values)
    yield encode(values)
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    yield encode(deep)
    yield b"\x91" * 70 + b"\xc0"
    yield b"\x92" + b"\x91" * 400
    for claimed in (
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\x7f\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\0\1\0\0",
    ):
        yield claimed + b"\1\2"
    for code in (0, 1, 5, 0x30, 0x7F, 0xFF):
        yield b"\xd4" + bytes([code]) + b"\1"
        yield b"\xc7\x08" + bytes([code]) + bytes(8)
    yield encode(_numpy()) if _numpy() is not None else b"\x90"


def _numpy() -> Any:
    """An array, on machines with numpy; the corpus was written on one."""
    try:
        import numpy
    except ImportError:
        return None
    return [numpy.arange(6, dtype="float32").reshape(2, 3), numpy.int16(7), numpy.zeros((0, 4))]


def subjects() -> Iterator[bytes]:
    names = [
        "STOCKQUOTE.SUN",
        "stockquote.sap",
        "Straße",
        "İ",
        "ﬀ",
        "a" * 255,
        "a" * 256,
        "",
        "a\tb",
        "\udc80",
        "ſ",
    ]
    patterns = [
        *(r"^STOCKQUOTE\.S.*$", ".*", "", "a{1,50}", r"(a|b)*?c", r"\S+", r"[^\W_]+", r"\pL+", r"\p{Greek}"),
        *(r"(?i)x", r"(?P<n>a)", r"(?P=n)", r"\1", "(?=a)", "(?<!a)", "(", "[", "a**", "x{1001}", r"\Qa.b\E"),
        *(
            r"(?s:.)",
            r"[a-\xff]",
            r"^$",
            r"\bword\b",
            r"\z",
            r"\C",
            "((((((((((a))))))))))",
            "k",
            "K",
            "ſ",
            "ß",
            "SS",
        ),
    ]
    for name in names:
        yield "\n".join([name, *patterns[:9]]).encode("utf-8", "surrogatepass")
    for pattern in patterns:
        yield f"STOCKQUOTE.SUN\n{pattern}".encode()
        yield f"ſtraße\n{pattern}\n{pattern}|x\n.*".encode()


def generate() -> dict[str, str]:
    """The text of every corpus file, by target."""
    chance = random.Random(_SEED)
    files = {}
    for makers in (frames, handshake, codec, subjects, subscribe, large, attach, inbox):
        inputs = [each for seed in makers() for each in mutations(seed, chance, 1)]
        files[makers.__name__] = as_text(inputs)
    return files


def main() -> None:
    CORPUS.mkdir(exist_ok=True)
    for target, text in generate().items():
        (CORPUS / f"{target}.txt").write_text(text, "ascii")
        print(f"{target}: {text.count(chr(10))} seeds, {len(text)} characters")


if __name__ == "__main__":
    main()
