"""Pyro5's TLS settings: what is wrong with them, when files are renewed, and what failures are called."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import Pyro5
import pytest
from certificates import needs_openssl, one_way, settings, use
from Pyro5 import socketutil

from pyro_events.errors import EventServiceError
from pyro_events.transport.tls import (
    client_context,
    client_contexts,
    failure_of,
    server_context,
    server_contexts,
    use_renewed_certificates,
)

pytestmark = needs_openssl


def test_nothing_is_secured_unless_pyro_is_told_to() -> None:
    assert server_context() is None and client_context() is None


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("SSL_SERVERCERT", "", "names no certificate"),
        ("SSL_SERVERCERT", "/nowhere", "SSL_SERVERCERT or its key cannot be used"),
        ("SSL_SERVERKEY", __file__, "SSL_SERVERCERT or its key cannot be used"),
        ("SSL_CACERTS", "", "names no authority"),
        ("SSL_CACERTS", __file__, "SSL_CACERTS cannot be used"),
    ],
)
def test_settings_that_cannot_be_used(setting: str, value: str, reason: str) -> None:
    use(settings())
    setattr(Pyro5.config, setting, value)
    with pytest.raises(EventServiceError, match=reason):
        server_context()


def test_a_directory_of_authorities_and_none_at_all(tmp_path: object) -> None:
    use(one_way(settings()))
    Pyro5.config.SSL_CACERTS = str(tmp_path)
    assert client_context() is not None
    Pyro5.config.SSL_CACERTS = ""  # the system's
    assert client_context() is not None
    assert server_context() is not None
    Pyro5.config.SSL_CLIENTCERT = "/nowhere"
    with pytest.raises(EventServiceError, match="SSL_CLIENTCERT"):
        client_context()


def test_a_renewed_certificate_is_noticed() -> None:
    use(settings())
    first = client_context()
    assert client_context() is first
    renewed = Path(Pyro5.config.SSL_CLIENTCERT)
    before = renewed.stat()
    os.utime(renewed, (1, 1))
    try:
        assert client_context() is not first
    finally:
        os.utime(renewed, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_service_goes_on_with_the_last_good_files() -> None:
    use(settings())
    contexts = server_contexts()
    assert contexts is not None
    good = contexts.get()
    key = Path(Pyro5.config.SSL_SERVERKEY)
    content, before = key.read_bytes(), key.stat()
    key.write_bytes(b"half written")
    try:
        assert contexts.get() is good
    finally:
        key.write_bytes(content)
        os.utime(key, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert contexts.get() is not None


def failure(kind: type[ssl.SSLError], text: str, reason: str) -> ssl.SSLError:
    error = kind(1, f"{text} (_ssl.c:997)")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "first", "text"),
    [
        (
            failure(ssl.SSLError, "wrong version number", "WRONG_VERSION_NUMBER"),
            b"GET / HTTP/1.1",
            "does not speak TLS",
        ),
        (None, b"", "closed the connection in the middle of the TLS handshake"),
        (ConnectionResetError("reset"), b"\x16", "of the TLS handshake (reset)"),
        (
            failure(ssl.SSLCertVerificationError, "self-signed", "CERTIFICATE_VERIFY_FAILED"),
            b"\x16",
            "certificate is not accepted (self-signed)",
        ),
        (failure(ssl.SSLError, "unknown ca", "TLSV1_ALERT_UNKNOWN_CA"), b"\x15", "may not accept our"),
        (failure(ssl.SSLError, "no shared cipher", "NO_SHARED_CIPHER"), b"\x16", "handshake with it failed"),
    ],
    ids=("no TLS", "closed", "reset", "certificate", "alert", "other"),
)
def test_what_a_failure_is_called(error: Exception | None, first: bytes, text: str) -> None:
    assert text in failure_of(error, first)


def test_without_tls_there_are_no_contexts() -> None:
    assert server_contexts() is None and client_contexts() is None
    use_renewed_certificates()
    assert getattr(socketutil, "__ssl_client_context") is None


@needs_openssl
def test_pyros_own_proxies_use_the_files_as_they_are_now() -> None:
    use(settings())
    contexts = client_contexts()
    assert contexts is not None and isinstance(contexts.get(), ssl.SSLContext)
    use_renewed_certificates()
    assert getattr(socketutil, "__ssl_client_context") is client_context()
