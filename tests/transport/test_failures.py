"""Why a connection failed, in words, and what is asked to find out whether only one side speaks TLS."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from pyro_events.transport import failures
from pyro_events.wire.frames import CONNECT, FrameReader
from pyro_events.wire.handshake.messages import HELLO_LIMITS

HOST = "lab"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(5, "Input/output error"), "Input/output error"),
        (ValueError("bad answer"), "bad answer"),
        (TimeoutError(), "no answer in time"),
        (EOFError(), "EOFError"),
    ],
    ids=("number", "text", "timeout", "nothing"),
)
def test_a_reason_has_no_numbers_and_no_class(error: Exception, text: str) -> None:
    assert failures.reason(error) == text


def test_an_attempt_to_connect_says_what_usually_is_wrong() -> None:
    assert "a firewall is in the way" in str(failures.not_connected(TimeoutError()))
    refused = failures.not_connected(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))
    assert isinstance(refused, ConnectionRefusedError)
    assert failures.reason(refused) == "nothing listens there (connection refused)"
    other = OSError(errno.ENETUNREACH, "Network is unreachable")
    assert failures.not_connected(other) is other


def test_a_look_up_that_failed_names_the_host() -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert str(failures.not_looked_up(HOST, unknown)) == (
        "the host 'lab' cannot be looked up (Name or service not known)"
    )
    assert "(too long)" in str(failures.not_looked_up(HOST, UnicodeError("too long")))
    assert "'lab' takes too long" in str(failures.looked_up_too_long(HOST))


@pytest.mark.parametrize(
    ("answer", "tls", "plain"),
    [
        (b"\x15\x03", True, False),
        (b"\x16\x03", True, False),
        (b"PY", False, True),
        (b"SS", False, False),
        (b"", False, False),
    ],
    ids=("alert", "handshake", "Pyro", "other", "nothing"),
)
def test_what_a_peer_speaks_shows_in_its_first_bytes(answer: bytes, tls: bool, plain: bool) -> None:
    assert failures.is_tls(answer) == tls and failures.is_plain(answer) == plain
    assert len(answer) in (0, failures.ANSWER_SIZE)


def test_the_questions_are_first_messages() -> None:
    assert failures.tls_question()[:2] == b"\x16\x03"
    reader = FrameReader(HELLO_LIMITS)
    reader.feed(failures.plain_question())
    frame = reader.next_frame()
    assert frame is not None and frame.type == CONNECT


def alert() -> ssl.SSLError:
    error = ssl.SSLError(1, "alert")
    error.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    return error


@pytest.mark.parametrize(
    ("error", "secured", "host", "asked"),
    [
        (ConnectionError("gone"), False, HOST, "tls"),
        (ConnectionError("gone"), True, HOST, "plain"),
        (ssl.SSLError(1, "wrong version"), True, HOST, "plain"),
        (ConnectionError("gone"), True, "./u:/nowhere", ""),
        (TimeoutError(), False, HOST, ""),
        (ssl.SSLCertVerificationError(), True, HOST, ""),
        (alert(), True, HOST, ""),
    ],
)
def test_only_what_helps_is_asked(error: Exception, secured: bool, host: str, asked: str) -> None:
    question = failures.question(error, secured, host)
    assert {"tls": question[:1] == b"\x16", "plain": question[:2] == b"PY", "": question == b""}[asked]


def test_the_answer_decides() -> None:
    gone = ConnectionError("it closed the connection")
    assert failures.trouble(gone, True, HOST, b"PY") == (failures.SWITCH_OFF, True)
    assert failures.trouble(gone, False, HOST, b"\x16\x03") == (failures.SWITCH_ON, True)
    assert failures.trouble(gone, False, HOST, b"PY") is None
    found = failures.trouble(gone, True, HOST, b"")
    assert found is not None and not found.certain and found.text.startswith("it closed the connection; it")
    # An alert of TLS is the answer of a peer that speaks it.
    found = failures.trouble(alert(), True, HOST, b"PY")
    assert found is not None and not found.certain
