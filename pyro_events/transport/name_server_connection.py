"""A connection to a name server: connecting, handshake and calls, within a deadline.

Knows: every reason for which connecting and calling may fail. Must not know: which methods a name server has,
or where one may be.

Pyro5's own proxy is not used: it has no deadline for all of connecting, keeps the first TLS context for ever,
and reads marshal if the other side sends it.
"""

from __future__ import annotations

import reprlib
import time
from types import TracebackType
from typing import Any, Final, TypeVar

import Pyro5.core
import Pyro5.errors
import serpent

from ..constants import MIB
from ..errors import AccessDeniedError, ClocksDifferError, NameServerDeniedError, ServiceNotFoundError
from ..foreign_exceptions import is_foreign, is_signal_handlers
from ..wire.frames import (
    CONNECT_FAIL,
    EXCEPTION,
    RESULT,
    SERPENT,
    Frame,
    FrameError,
    FrameLimits,
    FrameReader,
)
from ..wire.handshake.messages import answer_limits, write_connect
from ..wire.handshake.passphrase import Identity
from ..wire.requests import write_plain_call
from . import connecting
from .addresses import UNIX, format_address
from .authentication import ClientHandshake
from .failures import reason
from .tls import client_context

Self = TypeVar("Self", bound="NameServerConnection")

_GREETING_LIMITS: Final = answer_limits(frozenset({SERPENT}))
_REPLY_LIMITS: Final = FrameLimits(types=frozenset({RESULT}), size=MIB, serializers=frozenset({SERPENT}))

UNGUARDED: Final = (
    "with ident the name server must be protected by it too: start one with `python -m pyro_events.ns "
    "--ident-file FILE` (with --permissions FILE for users), start the event service with --embed-ns, or use "
    "no name server (-N, and es_uri for the clients)"
)


class NobodyThereError(ServiceNotFoundError):
    """There is nothing to connect to that could be a name server."""


class NameServerFailedError(ServiceNotFoundError):
    """The name server has raised something other than a NamingError."""


class NameServerConnection:
    """Base of a name server's methods. Use it in a `with` statement."""

    def __init__(
        self,
        host: str,
        port: int,
        identity: Identity | None,
        deadline: float,
        patience: float | None = None,
        connect_by: float | None = None,
    ) -> None:
        """Connect and do the handshake.

        host: may be `./u:path`. identity: proves the passphrase to the name server, which must prove it too.
        deadline: on the monotonic clock, for everything, all calls included. patience: seconds that each call
        is given instead. connect_by: an earlier deadline, only for connecting.

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
        """Connect; False if the other side wants a second attempt, on another connection."""
        context = client_context() if not self.host.startswith(UNIX) else None
        try:
            self._sock = connecting.connect(self.host, self.port, self._connect_by)
        except OSError as error:
            if is_foreign(error, OSError):
                raise
            raise NobodyThereError(f"no name server was found at {self.where}: {reason(error)}") from None
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
        name = Pyro5.core.NAMESERVER_NAME
        self._sock.sendall(write_connect(name, introduction.hello, serializer_id=SERPENT))
        frame = self._answer()
        answer = _plain(frame)
        if frame.type == CONNECT_FAIL:
            if introduction.may_retry(answer, tried):
                return False
            raise FrameError(f"it refuses the connection: {shown(answer)}")
        answer = answer if isinstance(answer, dict) else {}
        try:
            introduction.check(answer.get("handshake"))
        except AccessDeniedError as error:
            if is_foreign(error, AccessDeniedError):
                raise
            raise NameServerDeniedError(f"{error} ({UNGUARDED})") from None
        metadata = answer.get("meta")
        methods = metadata.get("methods") if isinstance(metadata, dict) else None
        if not isinstance(methods, (list, tuple, set)) or "lookup" not in methods:
            raise FrameError("it has no method `lookup`")
        self._reader.limits = _REPLY_LIMITS
        return True

    def _no_answer(self, error: Exception, secured: bool) -> ServiceNotFoundError:
        """Why the peer has not answered as a name server, in words."""
        trouble = connecting.tls_trouble(error, secured, self.host, self.port, self.deadline)
        if trouble is not None:
            failure = ServiceNotFoundError(f"asking the name server at {self.where} failed: {trouble.text}")
            failure.temporary = not trouble.certain
            return failure
        if isinstance(error, TimeoutError):
            text = f"what listens at {self.where}, where the name server should be, does not answer"
        else:
            text = f"what listens at {self.where} is not a name server: {reason(error)}"
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

    def call(self, method: str, *arguments: Any) -> Any:
        """The plain data that a method returns. Raises Pyro5's NamingError, also for its subclasses here."""
        self._seq += 1
        if self._patience is not None:
            self.deadline = time.monotonic() + self._patience
        call = write_plain_call(SERPENT, self._seq, Pyro5.core.NAMESERVER_NAME, method, arguments)
        try:
            self._sock.settimeout(max(0.001, self.deadline - time.monotonic()))
            self._sock.sendall(call)
            frame = self._answer()
            value = _plain(frame)
        except (OSError, FrameError) as error:
            if is_foreign(error, OSError, FrameError):
                raise
            raise ServiceNotFoundError(
                f"the name server at {self.where} does not answer: {reason(error)}"
            ) from None
        if frame.flags & EXCEPTION:
            described = value if isinstance(value, dict) else {}
            given = described.get("args")
            text = ", ".join(map(shown, given if isinstance(given, (list, tuple)) else ()))[:300]
            kind = described.get("__class__")
            if kind == "Pyro5.errors.NamingError":
                raise Pyro5.errors.NamingError(text)
            raise NameServerFailedError(f"the name server at {self.where} fails: {shown(kind)}: {text}")
        return value

    @property
    def peer_host(self) -> str:
        """The name server's address; "" for a Unix domain socket."""
        return "" if self.host.startswith(UNIX) else str(self._sock.getpeername()[0])

    @property
    def local_host(self) -> str:
        """This machine's address towards the name server; "" for a Unix domain socket."""
        return "" if self.host.startswith(UNIX) else str(self._sock.getsockname()[0])

    def close(self) -> None:
        """End the connection; it may be ended already."""
        self._sock.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def shown(value: object) -> str:
    """Something that a stranger sent, as a short text, however deeply it nests and however long its numbers
    are."""
    try:
        return value[:200] if isinstance(value, str) else reprlib.repr(value)[:200]
    except ValueError:  # an integer of thousands of digits
        return f"<{type(value).__name__}>"


def _plain(frame: Frame) -> Any:
    try:
        return serpent.loads(frame.payload)
    # It raises a dozen kinds of exceptions, and a signal handler may raise any other.
    except Exception as error:
        if is_signal_handlers(error):
            raise
        raise FrameError(
            f"it sent an answer that cannot be read ({type(error).__name__}: {error})"[:200]
        ) from None


def _explained(error: AccessDeniedError) -> AccessDeniedError:
    """The same error, as an error of the name server."""
    known = isinstance(error, (ClocksDifferError, NameServerDeniedError))
    return error if known else NameServerDeniedError(str(error))
