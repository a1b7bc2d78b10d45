"""The passphrase and its key: no traceback, log, copy or pickle shows them (docs/security.md)."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import logging
import pickle
import pprint
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import msgpack
import pytest
from fake_service import fake_service
from listening import Collector, collecting
from Pyro5.api import URI, Proxy, config
from reading import read_frame

from pyro_events import (
    AccessDeniedError,
    EventServiceError,
    EventServiceStarter,
    IdentProxy,
    NameServerStarter,
    Publisher,
    Subscriber,
    es,
    locate_ns,
    ns,
)
from pyro_events.options import ServiceOptions
from pyro_events.secret import Passphrase
from pyro_events.transport.authentication import ClientHandshake
from pyro_events.transport.tls import server_context
from pyro_events.wire.frames import (
    CONNECT,
    CONNECT_OK,
    MSGPACK,
    FrameError,
    FrameLimits,
    FrameReader,
    write_frame,
)
from pyro_events.wire.handshake.passphrase import Identity, identity_of, sealed
from pyro_events.wire.handshake.proofs import ClientProof

SECRET = "a very uncommon secret"
KEY = hashlib.scrypt(SECRET.encode(), salt=b"pyro_events/v1", n=2**14, r=8, p=1, dklen=32)
LOOPBACK = "127.0.0.1"
# All ways in which a secret may be spelled where it is shown.
SPELLED = (SECRET, repr(SECRET.encode())[2:-1], SECRET.encode().hex(), repr(KEY)[2:-1], KEY.hex())


def assert_shows_nothing(text: str, where: object) -> None:
    for spelling in SPELLED:
        assert spelling not in text, (where, text[max(0, text.find(spelling) - 200) :][:400])


def shown(frame: FrameType) -> Iterator[str]:
    """What tools show of a frame: the `repr` of its variables, and of what is in them."""
    for name, value in dict(frame.f_locals).items():
        with contextlib.suppress(Exception):  # an object that has not been made yet
            yield f"{name} = {value!r}"
            yield f"{name} = {pprint.pformat(value)}"
        if isinstance(value, (list, tuple, set)):
            for item in value:
                yield f"{name}: {item!r}"
        attributes = getattr(value, "__dict__", None) if not isinstance(value, (type, Proxy)) else None
        if isinstance(attributes, dict):
            yield f"vars({name}) = {attributes!r}"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception with all that are behind it, suppressed or not."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        yield error
        yield from (each for each in chain(error.__cause__) if each not in found)
        error = error.__context__


def assert_error_shows_nothing(error: BaseException) -> None:
    for each in chain(error):
        assert_shows_nothing(f"{each!r} {each} {vars(each)}", type(each))
        trace = each.__traceback__
        while trace is not None:
            frame, trace = trace.tb_frame, trace.tb_next
            if Path(frame.f_code.co_filename).parent == Path(__file__).parent:
                continue  # the program's own variables are its own affair
            for text in shown(frame):
                assert_shows_nothing(text, f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
    stack: Iterable[traceback.FrameSummary] = ()
    with contextlib.suppress(AttributeError):  # a URI of Pyro5 that is half made has no `repr`
        stack = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    for summary in stack:
        if Path(summary.filename).parent != Path(__file__).parent:
            assert_shows_nothing(repr(summary.locals), summary)


def assert_threads_show_nothing() -> None:
    """What a debugger or a dump of all threads shows of ours."""
    for thread, top in sys._current_frames().items():
        frame: FrameType | None = top if thread != threading.get_ident() else None
        while frame is not None:
            if "pyro_events" in frame.f_code.co_filename and "tests" not in frame.f_code.co_filename:
                for text in shown(frame):
                    assert_shows_nothing(text, frame.f_code)
            frame = frame.f_back


def error_of(action: Callable[[], object]) -> BaseException:
    try:
        action()
    except BaseException as error:
        return error
    raise AssertionError("it should have failed")


class Breaking:
    """Accepts connections and does with each what is wanted, in a thread."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server((LOOPBACK, 0))
        self.uri = f"PYRO:Pyro.EventService@{LOOPBACK}:{self._listener.getsockname()[1]}"
        self._behave = behave
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                with sock, contextlib.suppress(OSError):
                    sock.settimeout(5)
                    self._behave(sock)

    def __enter__(self) -> str:
        return self.uri

    def __exit__(self, *failure: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


def answering(body: Any, kind: int = CONNECT_OK) -> Callable[[socket.socket], None]:
    def behave(sock: socket.socket) -> None:
        reader = FrameReader(FrameLimits(types=frozenset({CONNECT}), size=4096))
        with contextlib.suppress(FrameError):  # a client that looks whether this is TLS
            read_frame(sock, reader)
        data = body if isinstance(body, bytes) else write_frame(kind, 0, MSGPACK, 0, msgpack.packb(body))
        sock.sendall(data)

    return behave


BEHAVIOURS = {
    "closes at once": lambda sock: None,
    "closes in the middle": lambda sock: sock.recv(10),
    "sends what is no frame": answering(b"HTTP/1.0 400 Bad Request\r\n\r\n" * 4),
    "sends half a frame": answering(write_frame(CONNECT_OK, 0, MSGPACK, 0, msgpack.packb("x"))[:20]),
    "proves nothing": answering({"handshake": "hello", "meta": {"methods": ["publish_encoded"]}}),
    "answers nonsense": answering([1, 2, 3]),
    "answers what cannot be read": answering(write_frame(CONNECT_OK, 0, MSGPACK, 0, b"\xc1")),
    "denies": answering("denied", CONNECT_OK + 1),
}


# Pyro5's proxy leaves its socket to the collector when it cannot read an answer.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("behaviour", sorted(BEHAVIOURS))
def test_no_error_of_connecting_shows_it(behaviour: str) -> None:
    with Breaking(BEHAVIOURS[behaviour]) as uri:
        for action in (
            lambda: Publisher(SECRET, uri),
            lambda: Publisher(ident=SECRET, es_uri=uri),
            lambda: Subscriber(SECRET, uri),
            lambda: IdentProxy(uri, SECRET).publish("A", 1),
            lambda: locate_ns(SECRET, LOOPBACK, URI(uri).port),
            lambda: EventServiceStarter(
                LOOPBACK, 0, ns_host=LOOPBACK, ns_port=URI(uri).port, ident=SECRET
            ).start(),
        ):
            assert_error_shows_nothing(error_of(action))


@pytest.mark.parametrize("wrong", [b"a very uncommon secret", [SECRET], 0, ("", SECRET), {SECRET: SECRET}])
def test_something_that_is_not_a_passphrase_is_not_shown_either(wrong: Any) -> None:
    for action in (
        lambda: Publisher(wrong, "PYRO:x@y:1"),
        lambda: Subscriber(wrong, "PYRO:x@y:1"),
        lambda: IdentProxy("PYRO:x@y:1", wrong),
        lambda: IdentProxy("PYRO:x@y:z", wrong),
        lambda: locate_ns(wrong),
        lambda: EventServiceStarter(ident=wrong),
        lambda: NameServerStarter(ident=wrong),
        lambda: identity_of(wrong),
    ):
        assert_error_shows_nothing(error_of(action))


def test_no_other_argument_that_is_wrong_shows_it(free_port: Callable[[], int]) -> None:
    port = free_port()
    for action in (
        lambda: Publisher(SECRET, 5),
        lambda: Publisher(SECRET, "nonsense"),
        lambda: Publisher(SECRET, "x", esURI="y"),
        lambda: Subscriber(SECRET, f"PYRO:x@{LOOPBACK}:{port}"),
        lambda: IdentProxy("PYRONAME:x", SECRET),
        lambda: locate_ns(SECRET, LOOPBACK, port),
        lambda: EventServiceStarter("no.such.host.invalid", ident=SECRET).start(),
        lambda: NameServerStarter("no.such.host.invalid", ident=SECRET).start(),
        lambda: es.main(["-i", SECRET, "--host", "no.such.host.invalid"]),
        lambda: es.main(["-i", SECRET, "--port", "x"]),
        lambda: es.main(["--no-such-option", f"--ident={SECRET}"]),
        lambda: ns.main([f"-i{SECRET}", "--port", "x"]),
        lambda: es.parse(["--port", "x"], {"PYROEVENTS_IDENT": SECRET}),
        lambda: es.parse([], {"PYROEVENTS_IDENT": SECRET, "PYROEVENTS_PORT": "x"}),
        lambda: es.make_starter(es.parse(["--allow-stock", "%"], {"PYROEVENTS_IDENT": SECRET})),
        lambda: es.make_starter(es.parse(["--ident-file", "x"], {"PYROEVENTS_IDENT_FILE": SECRET})),
    ):
        try:
            action()
        except BaseException as error:
            assert_error_shows_nothing(error)


@pytest.mark.parametrize(
    "content", [SECRET.encode() + b"\xff\n", SECRET.encode() * 400, b"\n" + SECRET.encode()]
)
def test_a_file_that_is_refused_is_not_shown(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    for script in (es, ns):
        options = script.parse(["--ident-file", str(file)], {})
        assert_error_shows_nothing(error_of(lambda made=options, script=script: script.make_starter(made)))


def test_an_interruption_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal's handler may raise anywhere: while the key is made, or a proof with it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise InterruptedError("by a signal")

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        for moment in (0.005, 0.01, 0.02, 0.03, 0.04):
            from pyro_events.wire.handshake.passphrase import _identity

            _identity.cache_clear()
            signal.setitimer(signal.ITIMER_REAL, moment)
            try:
                Publisher(SECRET, "PYRO:x@y.invalid:1")
            except BaseException as error:
                signal.setitimer(signal.ITIMER_REAL, 0)
                assert_error_shows_nothing(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@pytest.fixture
def guarded() -> Iterator[EventServiceStarter]:
    with EventServiceStarter(LOOPBACK, 0, use_ns=False, ident=SECRET) as starter:
        yield starter


def test_what_runs_does_not_show_it(
    guarded: EventServiceStarter, caplog: pytest.LogCaptureFixture, free_port: Callable[[], int]
) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        Publisher(SECRET, guarded.uri) as publisher,
        collecting(guarded.uri, "A", ident=SECRET) as collector,
        IdentProxy(guarded.uri, SECRET) as proxy,
        NameServerStarter(LOOPBACK, free_port(), ident=SECRET) as names,
    ):
        publisher.publish("A", 1)
        collector.wait(1)
        proxy._pyroBind()
        for one in (publisher, collector, proxy, names, guarded):
            assert_shows_nothing(f"{one!r} {vars(one)!r} {pprint.pformat(vars(one))}", one)
        assert_threads_show_nothing()
        for wrong in ("another", None):
            assert_error_shows_nothing(error_of(lambda ident=wrong: Publisher(ident, guarded.uri)))
    assert_shows_nothing(caplog.text, "the log")


def test_a_connection_that_is_lost_does_not_show_it() -> None:
    with EventServiceStarter(LOOPBACK, 0, use_ns=False, ident=SECRET) as starter:
        publisher = Publisher(SECRET, starter.uri)
        subscriber = Collector(starter.uri, SECRET)
        proxy = IdentProxy(starter.uri, SECRET)
        proxy._pyroBind()
    with publisher, subscriber, proxy:
        for action in (
            lambda: [publisher.publish("A", 1) for _ in range(3)],
            lambda: [subscriber.subscribe("A") for _ in range(3)],
            lambda: [proxy.publish("A", 1) for _ in range(3)],
        ):
            assert_error_shows_nothing(error_of(action))


def test_a_service_in_the_middle_of_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the client's own code, with all its frames."""
    identity = identity_of(SECRET)
    assert identity is not None
    monkeypatch.setattr(
        "pyro_events.transport.authentication.ClientProof.accepts", lambda self, answer: 1 / 0
    )
    with fake_service() as fake:
        assert_error_shows_nothing(error_of(lambda: Publisher(SECRET, fake.uri)))
    proof = ClientProof(identity, "x", "-", 0.0, bytes(16))
    assert_shows_nothing(repr(vars(proof)) + proof.hello, proof)
    assert_shows_nothing(repr(vars(ClientHandshake(identity, "x", "y:1"))), ClientHandshake)


SECRETS: tuple[Any, ...] = (Passphrase(SECRET), sealed(SECRET), identity_of(SECRET))


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_shown_and_written_nowhere(secret: Any) -> None:
    @dataclasses.dataclass
    class Holder:
        ident: object

    for text in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>40}",
        pprint.pformat(secret),
    ):
        assert_shows_nothing(text, secret)
    assert_shows_nothing(repr(dataclasses.asdict(Holder(secret))), Holder)
    assert copy.copy(secret) is secret and copy.deepcopy([secret])[0] is secret
    assert not hasattr(secret, "__dict__")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for holder in (secret, [secret], Holder(secret)):
            with pytest.raises((TypeError, AttributeError)):
                pickle.dumps(holder, protocol)
    with pytest.raises(TypeError, match="holds a secret and cannot be pickled"):
        secret.__getstate__()


def test_a_passphrase_that_is_wrapped_already_is_good(guarded: EventServiceStarter) -> None:
    identity = identity_of(SECRET)
    assert isinstance(identity, Identity)
    for ident in (Passphrase(SECRET), sealed(Passphrase(SECRET)), identity, sealed(identity)):
        with Publisher(ident, guarded.uri) as publisher:
            assert publisher.publish("A", 1) == 0
    with pytest.raises(AccessDeniedError):
        Publisher(Passphrase("another"), guarded.uri)
    assert sealed(None) is None is identity_of(None)
    assert Passphrase(SECRET) == SECRET == Passphrase(SECRET) != Passphrase("another")
    assert len({Passphrase(SECRET), Passphrase(SECRET), Passphrase("another")}) == 2


def test_the_options_of_a_service_hold_none() -> None:
    options = es.parse(["-N"], {"PYROEVENTS_IDENT": SECRET})
    starter = es.make_starter(options)
    assert_shows_nothing(f"{options} {vars(options)} {vars(starter)} {ServiceOptions()}", starter)
    assert options.ident == SECRET


def test_the_password_of_a_tls_key_is_not_shown(tmp_path: Path) -> None:
    config.SSL, config.SSL_SERVERCERT, config.SSL_SERVERKEY = True, str(tmp_path / "none"), ""
    config.SSL_SERVERKEYPASSWD = SECRET
    error = error_of(server_context)
    assert isinstance(error, EventServiceError)
    assert_error_shows_nothing(error)
