"""TLS, by Pyro5's own settings SSL, SSL_SERVERCERT and so on.

Knows: those settings, read when a context is made and never on import, and what failures mean. Must not know:
sockets (tls_socket.py does), frames, which peers are connected, or the event loop, which gets its contexts
here.

Contexts are made as Pyro5 makes them. But Pyro5 keeps one of each for the life of the process; here a context
is made again when a setting or a file has changed, so that every new connection has a renewed certificate.
Otherwise it is kept, because reading the system's authorities takes 20 ms.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple

from Pyro5 import config, socketutil

from ..errors import EventServiceError
from ..log.background import get_logger
from ..secret import Passphrase

log = get_logger("pyro_events.transport.tls")

# Where Pyro5 keeps the context of its clients; a test fails if that changes.
_PYRO5S_CONTEXT: Final = "__ssl_client_context"
# The first byte that a peer sends if it speaks TLS.
_HANDSHAKE: Final = b"\x16"
_ALERT: Final = b"\x15"
# The part of an OpenSSL error's text that says where in the source it was found.
_PLACE: Final = re.compile(r" \(_ssl\.c:\d+\)$")


class _Identity(NamedTuple):
    """The settings and files of a context. files: when they changed last, so that new ones are noticed."""

    certificate: str
    key: str
    password: Passphrase
    authorities: str
    files: tuple[int, ...]


def server_context() -> ssl.SSLContext | None:
    """The context for incoming connections; None if Pyro5's setting SSL is off.

    Raises EventServiceError for settings that cannot be used.
    """
    if not config.SSL:
        return None
    if not config.SSL_SERVERCERT:
        raise EventServiceError(
            "Pyro5's setting SSL is on, but SSL_SERVERCERT names no certificate; an event service needs "
            "one, and so does the daemon of a subscriber"
        )
    if config.SSL_REQUIRECLIENTCERT and not config.SSL_CACERTS:
        raise EventServiceError(
            "Pyro5's setting SSL_REQUIRECLIENTCERT is on, but SSL_CACERTS names no authority whose "
            "certificates to accept"
        )
    return _server_context(_identity("SERVER"), bool(config.SSL_REQUIRECLIENTCERT))


def client_context() -> ssl.SSLContext | None:
    """The context for outgoing connections; None if Pyro5's setting SSL is off.

    The name of the other side is checked, as in Pyro5. Files that are just being renewed, and do not fit
    together yet, are used as soon as they do. Raises EventServiceError for settings that cannot be used.
    """
    return _latest_client(_settings("CLIENT")).get() if config.SSL else None


def use_renewed_certificates() -> None:
    """Make Pyro5's own proxies use the files as they are now; Pyro5 itself keeps its first context for ever.

    Raises EventServiceError for settings that cannot be used.
    """
    if config.SSL:
        setattr(socketutil, _PYRO5S_CONTEXT, client_context())


class LatestContext:
    """The contexts of a long-running object: its settings stay the same, and its files may be renewed."""

    def __init__(self, identity: _Identity, make: Callable[[_Identity], ssl.SSLContext]) -> None:
        """Raises EventServiceError for settings that cannot be used."""
        self._identity = identity
        self._make = make
        self._last = make(identity)

    def get(self) -> ssl.SSLContext:
        """The context for a new connection; the last good one while the files cannot be used."""
        identity = self._identity._replace(files=_changed(self._identity))
        try:
            self._last = self._make(identity)
        except EventServiceError as error:
            log.error("TLS keeps using the certificates that it had: %s", error, about=str(error))
        return self._last


def server_contexts() -> LatestContext | None:
    """The contexts of all incoming connections from now on; None if Pyro5's setting SSL is off.

    Raises EventServiceError for settings that cannot be used.
    """
    if server_context() is None:
        return None
    demanding = bool(config.SSL_REQUIRECLIENTCERT)
    return LatestContext(_identity("SERVER"), lambda identity: _server_context(identity, demanding))


@functools.lru_cache(maxsize=4)
def _latest_client(settings: _Identity) -> LatestContext:
    return LatestContext(settings, _client_context)


def client_contexts() -> LatestContext | None:
    """The same for outgoing connections."""
    return LatestContext(_identity("CLIENT"), _client_context) if config.SSL else None


def _identity(side: str) -> _Identity:
    """The same with the files as they are now."""
    settings = _settings(side)
    return settings._replace(files=_changed(settings))


def _settings(side: str) -> _Identity:
    """The settings of one side: SERVER or CLIENT, as in the names of Pyro5's settings."""
    certificate, key = (getattr(config, f"SSL_{side}{name}") for name in ("CERT", "KEY"))
    password = Passphrase(getattr(config, f"SSL_{side}KEYPASSWD"))
    return _Identity(certificate, key, password, config.SSL_CACERTS, ())


def _changed(identity: _Identity) -> tuple[int, ...]:
    """When the files of an identity changed last."""
    files: list[int] = []
    for name in (identity.certificate, identity.key, identity.authorities):
        with contextlib.suppress(OSError):
            found = os.stat(name)
            files += found.st_mtime_ns, found.st_ino, found.st_size
    return tuple(files)


@functools.lru_cache(maxsize=4)
def _server_context(identity: _Identity, demanding: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _load(context, "SSL_SERVERCERT", identity)
    context.verify_mode = ssl.CERT_REQUIRED if demanding else ssl.CERT_NONE
    # Tickets to resume a session, which no client here does, would only look like an answer.
    context.num_tickets = 0
    return context


@functools.lru_cache(maxsize=4)
def _client_context(identity: _Identity) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    _load(context, "SSL_CLIENTCERT", identity)
    return context


def _load(context: ssl.SSLContext, setting: str, identity: _Identity) -> None:
    """Load a certificate with its key, if there is one, and the authorities to trust."""
    certificate, key, password, authorities, _ = identity
    try:
        if certificate:
            context.load_cert_chain(certificate, key or None, password.reveal() or None)
    except (OSError, ValueError) as error:
        raise EventServiceError(
            f"Pyro5's setting {setting} or its key cannot be used ({certificate}, {key}): {error}"
        ) from error
    try:
        if authorities:
            directory = os.path.isdir(authorities)
            context.load_verify_locations(**{"capath" if directory else "cafile": authorities})
    except (OSError, ValueError) as error:
        raise EventServiceError(
            f"Pyro5's setting SSL_CACERTS cannot be used ({authorities}): {error}"
        ) from error


def failure_of(error: BaseException | None, first: bytes) -> str:
    """Why a TLS handshake failed, in words; the same words for the same reason.

    Args:
        error: the exception; None for a connection that the other side has closed.
        first: the first bytes that the other side has sent.
    """
    if first[:1] not in (b"", _HANDSHAKE, _ALERT):
        return "it does not speak TLS, as this program does; it needs Pyro5's SSL settings too"
    if not isinstance(error, ssl.SSLError):
        return f"it closed the connection in the middle of the TLS handshake{f' ({error})' if error else ''}"
    text = _PLACE.sub("", str(error))
    if "ALERT" in (error.reason or "").upper():
        return f"it refuses TLS with us ({text}): it may not accept our certificate"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({text})"
    return f"the TLS handshake with it failed ({text})"
