"""A name server: connected to and asked, within a bound.

Knows: its methods, and every reason for which asking it may come to nothing. Must not know: where a name
server may be (name_server_search.py does), or what the event service's entry is good for.

Pyro5's own proxy is not used: it has no deadline for all that connecting takes, keeps the first TLS context
for ever, and reads marshal if the other side sends that.
"""

from __future__ import annotations

import random
import reprlib
import time
from types import TracebackType
from typing import Any, Final

import Pyro5.core
import Pyro5.errors
import serpent

from ..constants import MAX_HANDSHAKE_REPLY, MIB
from ..errors import AccessDeniedError, ClocksDifferError, NameServerDeniedError, ServiceNotFoundError
from ..foreign_exceptions import is_foreign, is_signal_handlers
from ..wire.frames import (
    CONNECT,
    CONNECT_FAIL,
    CONNECT_OK,
    EXCEPTION,
    INVOKE,
    RESULT,
    SERPENT,
    Frame,
    FrameError,
    FrameLimits,
    FrameReader,
    write_frame,
)
from ..wire.passphrase import Identity
from . import connecting
from .addresses import MAX_URI, UNIX, format_address
from .authentication import ClientHandshake
from .tls import client_context

# How often a name that is not there yet is asked for, as long as NS_LOOKUP_DELAY says.
_ASK_AGAIN: Final = 0.2

_GREETING_LIMITS: Final = FrameLimits(
    types=frozenset({CONNECT_OK, CONNECT_FAIL}), size=MAX_HANDSHAKE_REPLY, serializers=frozenset({SERPENT})
)
_REPLY_LIMITS: Final = FrameLimits(types=frozenset({RESULT}), size=MIB, serializers=frozenset({SERPENT}))

# What comes of reading a URI that is none.
_NO_URI: Final = (Pyro5.errors.PyroError, TypeError, ValueError, KeyError, AttributeError)

UNGUARDED: Final = (
    "with ident the name server must be guarded by it too: start one with `python -m pyro_events.ns "
    "--ident-file FILE`, or the event service with --embed-ns, or do without: -N, and es_uri for the clients"
)


class NobodyThereError(ServiceNotFoundError):
    """Nothing that could be a name server was connected to."""


class UnusableEntryError(ServiceNotFoundError):
    """A name is known, but what is entered under it is no URI of an object."""


class _RemoteError(ServiceNotFoundError):
    """The name server has raised something else than a NamingError."""


class NameServer:
    """A connection to a name server. Use it in a `with` statement."""

    def __init__(
        self,
        host: str,
        port: int,
        identity: Identity | None,
        deadline: float,
        patience: float | None = None,
        connect_by: float | None = None,
    ) -> None:
        """Connect and shake hands. host: may be `./u:path`. identity: what it must prove, and is proved to
        it. deadline: on the monotonic clock, for everything, all calls included. patience: seconds that each
        call is given instead. connect_by: an earlier deadline, for the connection alone.

        Raises ServiceNotFoundError, AccessDeniedError, or EventServiceError for unusable TLS settings.
        """
        self.host, self.port = host, port
        self.where = format_address(host, port)
        self.deadline = deadline
        self._connect_by = deadline if connect_by is None else connect_by
        self._patience = patience
        self._seq = 0
        tried = False
        while not self._connected(ClientHandshake(identity, Pyro5.core.NAMESERVER_NAME, self.where), tried):
            tried = True

    def _connected(self, introduction: ClientHandshake, tried: bool) -> bool:
        """Connect; False if the other side wants another introduction, over another connection."""
        context = client_context() if not self.host.startswith(UNIX) else None
        try:
            self._sock = connecting.connect(self.host, self.port, self._connect_by)
        except OSError as error:
            if is_foreign(error, OSError):
                raise
            raise NobodyThereError(
                f"no name server was found at {self.where}: {connecting.reason(error)}"
            ) from None
        self._reader = FrameReader(_GREETING_LIMITS)
        try:
            if context is not None:
                self._sock = connecting.secure(self._sock, context, self.host, self.deadline)
            if self._greeted(introduction, tried):
                return True
            self.close()
            return False
        except (OSError, FrameError) as error:
            self.close()
            if is_foreign(error, OSError, FrameError):
                raise
            raise self._no_answer(error, context is not None) from None
        except AccessDeniedError as error:
            self.close()
            if is_foreign(error, AccessDeniedError):
                raise
            raise _explained(error) from None
        except BaseException:
            self.close()
            raise

    def _greeted(self, introduction: ClientHandshake, tried: bool) -> bool:
        hello = {"handshake": introduction.hello, "object": Pyro5.core.NAMESERVER_NAME}
        self._sock.sendall(write_frame(CONNECT, 0, SERPENT, 0, serpent.dumps(hello)))
        frame = self._answer()
        answer = _plain(frame)
        if frame.type == CONNECT_FAIL:
            if introduction.may_retry(answer, tried):
                return False
            raise FrameError(f"it refuses the connection: {_shown(answer)}")
        answer = answer if isinstance(answer, dict) else {}
        introduction.check(answer.get("handshake"))
        metadata = answer.get("meta")
        methods = metadata.get("methods") if isinstance(metadata, dict) else None
        if not isinstance(methods, (list, tuple, set)) or "lookup" not in methods:
            raise FrameError("it has no method `lookup`")
        self._reader.limits = _REPLY_LIMITS
        return True

    def _no_answer(self, error: Exception, secured: bool) -> ServiceNotFoundError:
        """In words, why what was connected to has not answered as a name server."""
        trouble = connecting.tls_trouble(error, secured, self.host, self.port, self.deadline)
        if trouble is not None:
            failure = ServiceNotFoundError(f"the name server at {self.where} cannot be asked: {trouble.text}")
            failure.temporary = not trouble.certain
            return failure
        if isinstance(error, TimeoutError):
            text = f"what listens at {self.where}, where the name server should be, does not answer"
        else:
            text = f"what listens at {self.where} is no name server: {connecting.reason(error)}"
        return ServiceNotFoundError(f"{text}; PYRO_NS_HOST and PYRO_NS_PORT name another")

    def _answer(self) -> Frame:
        """The next frame. Raises OSError or FrameError."""
        while (frame := self._reader.next_frame()) is None:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer in time")
            self._sock.settimeout(left)
            data = self._sock.recv(65536)
            if not data:
                raise ConnectionError("it closed the connection")
            self._reader.feed(data)
        return frame

    def _call(self, method: str, *arguments: Any) -> Any:
        """The plain data that a method returns. Raises Pyro5's NamingError, of which ours is one."""
        self._seq += 1
        if self._patience is not None:
            self.deadline = time.monotonic() + self._patience
        body = serpent.dumps((Pyro5.core.NAMESERVER_NAME, method, arguments, {}))
        try:
            self._sock.settimeout(max(0.001, self.deadline - time.monotonic()))
            self._sock.sendall(write_frame(INVOKE, 0, SERPENT, self._seq, body))
            frame = self._answer()
            value = _plain(frame)
        except (OSError, FrameError) as error:
            if is_foreign(error, OSError, FrameError):
                raise
            raise ServiceNotFoundError(
                f"the name server at {self.where} does not answer: {connecting.reason(error)}"
            ) from None
        if frame.flags & EXCEPTION:
            described = value if isinstance(value, dict) else {}
            given = described.get("args")
            text = ", ".join(map(_shown, given if isinstance(given, (list, tuple)) else ()))[:300]
            kind = described.get("__class__")
            if kind == "Pyro5.errors.NamingError":
                raise Pyro5.errors.NamingError(text)
            raise _RemoteError(f"the name server at {self.where} fails: {_shown(kind)}: {text}")
        return value

    def lookup(self, name: str) -> Pyro5.core.URI:
        """The URI of a name.

        Raises Pyro5's NamingError for one that is not there, UnusableEntryError, ServiceNotFoundError.
        """
        try:
            return self._uri(name, self._call("lookup", name))
        except _RemoteError as error:  # Pyro5's own fails where it was given something else than a URI
            raise UnusableEntryError(str(error)) from None

    def find(self, wanted: Pyro5.core.URI, patience: float) -> Pyro5.core.URI:
        """What is known under the name of a PYRONAME URI, or under the metadata of a PYROMETA one.

        patience: seconds for which what is not there is asked for again. Raises ServiceNotFoundError.
        """
        until = time.monotonic() + patience
        self.deadline += patience
        while True:
            try:
                if wanted.protocol == "PYRONAME":
                    return self.lookup(wanted.object)
                found = self._call("yplookup", set(wanted.object), None, False)
                if isinstance(found, dict) and found:
                    return self._uri("metadata", random.choice(list(found.values())))
                raise Pyro5.errors.NamingError
            except ServiceNotFoundError:
                raise
            except Pyro5.errors.NamingError:
                if time.monotonic() >= until:
                    raise self._unknown(wanted) from None
            time.sleep(_ASK_AGAIN)

    def _unknown(self, wanted: Pyro5.core.URI) -> ServiceNotFoundError:
        named = wanted.protocol == "PYRONAME"
        what = wanted.object if named else f"service with the metadata {', '.join(sorted(wanted.object))}"
        return ServiceNotFoundError(
            f"no event service found: the name server at {self.where} knows no {what}; start the service "
            "with this name server (python -m pyro_events.es --ns-host … --ns-port …) or with one of its own "
            "(--embed-ns), name another by ns_host= or PYRO_NS_HOST, or pass the service's address as es_uri"
        )

    def _uri(self, name: str, value: Any) -> Pyro5.core.URI:
        """The PYRO URI in an answer."""
        try:
            if isinstance(value, dict) and value.get("__class__") == "Pyro5.core.URI":
                protocol, object_id, sockname, host, port = value["state"]
                where = f"{UNIX}{sockname}" if sockname else format_address(host, port)
                value = f"{protocol}:{object_id}@{where}"
            # Pyro5's regular expression takes quadratic time for some texts.
            if not isinstance(value, str) or len(value) <= MAX_URI:
                uri = Pyro5.core.URI(value)
                if uri.protocol == "PYRO":
                    return uri
        except _NO_URI as error:
            if is_foreign(error, *_NO_URI):
                raise
        raise UnusableEntryError(
            f"the name server at {self.where} has something else than a URI under {name}: {_shown(value)!r}"
        )

    def register(self, name: str, uri: str) -> None:
        """Enter a name, whatever it was before. Raises Pyro5's NamingError."""
        self._call("register", name, uri)

    def remove(self, name: str) -> None:
        """Take a name out; one that is not there is no error. Raises Pyro5's NamingError."""
        self._call("remove", name)

    @property
    def peer_host(self) -> str:
        """The name server's address; "" for a Unix domain socket."""
        return "" if self.host.startswith(UNIX) else str(self._sock.getpeername()[0])

    @property
    def local_host(self) -> str:
        """This machine's address towards the name server; "" for a Unix domain socket."""
        return "" if self.host.startswith(UNIX) else str(self._sock.getsockname()[0])

    def close(self) -> None:
        """End the connection; harmless when done already."""
        self._sock.close()

    def __enter__(self) -> NameServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _shown(value: object) -> str:
    """What a stranger sent, as a short text, however deep its nesting is and however long its numbers."""
    try:
        return value[:200] if isinstance(value, str) else reprlib.repr(value)[:200]
    except ValueError:  # an integer of thousands of digits
        return f"<{type(value).__name__}>"


def _plain(frame: Frame) -> Any:
    try:
        return serpent.loads(frame.payload)
    except Exception as error:  # it raises a dozen kinds, and a signal's handler any other
        if is_signal_handlers(error):
            raise
        raise FrameError(f"it sends what cannot be read ({type(error).__name__}: {error})"[:200]) from None


def _explained(error: AccessDeniedError) -> AccessDeniedError:
    """The same as an error of the name server; with what to do, if that does not prove the passphrase."""
    if isinstance(error, ClocksDifferError):
        return error
    text = str(error)
    return NameServerDeniedError(f"{text} ({UNGUARDED})" if "does not prove" in text else text)
