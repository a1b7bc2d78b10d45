"""Failures: why a connection could not be made, or its other side did not answer, in words.

Knows: exceptions of sockets and of TLS, and how to tell whether only one side speaks TLS. Must not know:
sockets; the program that connects asks the other side the question that is made here.
"""

from __future__ import annotations

import contextlib
import errno
import ssl
from typing import Final, NamedTuple

from Pyro5 import config

from ..wire.handshake.messages import write_connect
from .addresses import UNIX
from .authentication import STOCK_HELLO

# How long a peer that has just failed to answer is given to show whether it speaks TLS, in seconds.
EXAMINATION: Final = 0.5
# How many bytes of its answer to a question are needed.
ANSWER_SIZE: Final = 2

SWITCH_ON: Final = (
    "it speaks TLS, and this program does not: set Pyro5's SSL here (PYRO_SSL=1) and SSL_CACERTS, the "
    "authority of its certificate"
)
SWITCH_OFF: Final = (
    "it does not speak TLS, and this program does, because Pyro5's setting SSL is on here: switch it off "
    "(PYRO_SSL=0), or on there, where it needs SSL_SERVERCERT"
)


class Trouble(NamedTuple):
    """Why TLS is the cause. certain: whether that was observed, so that trying again will not help."""

    text: str
    certain: bool


def reason(error: BaseException) -> str:
    """What an exception of a connection says, without numbers and class names."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, ssl.SSLError):
        return error.strerror
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def not_connected(error: OSError) -> OSError:
    """The error of a failed attempt to connect, in words where it has none of its own."""
    if isinstance(error, TimeoutError):
        return TimeoutError("no connection in time: its machine is off, or a firewall is in the way")
    if error.errno == errno.ECONNREFUSED:
        return ConnectionRefusedError(error.errno, "nothing listens there (connection refused)")
    return error


def not_looked_up(host: str, error: Exception) -> OSError:
    """The error of a failed look-up of a host's name."""
    why = getattr(error, "strerror", None) or str(error)
    return OSError(f"the host {host!r} cannot be looked up ({why})")


def looked_up_too_long(host: str) -> TimeoutError:
    """The error of a look-up that has not ended in time."""
    return TimeoutError(f"looking up the host {host!r} takes too long")


# ---- whether only one side speaks TLS -----------------------------------------------------------


def question(error: BaseException, secured: bool, host: str) -> bytes:
    """What to send on a new connection to find out whether TLS is why a peer did not answer the handshake.

    Its first ANSWER_SIZE bytes are the answer, for `trouble`. secured: whether this side used TLS. b"" where
    nothing needs to be asked.
    """
    if host.startswith(UNIX) or isinstance(error, TimeoutError):
        return b""
    if not secured:
        return tls_question()
    return b"" if isinstance(error, ssl.SSLCertVerificationError) or _is_alert(error) else plain_question()


def trouble(error: BaseException, secured: bool, host: str, answer: bytes) -> Trouble | None:
    """Whether TLS is why a peer did not answer the handshake; None if not.

    secured: whether this side used TLS. answer: to the `question`, b"" if there is none.
    """
    if host.startswith(UNIX) or isinstance(error, TimeoutError):
        return None
    if not secured:
        return Trouble(SWITCH_ON, True) if is_tls(answer) else None
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble(
            f"its certificate is not accepted here: {error.verify_message}; Pyro5's SSL_CACERTS names the "
            "authority to trust, and the certificate must name the host that is connected to",
            True,
        )
    if not _is_alert(error) and is_plain(answer):
        return Trouble(SWITCH_OFF, True)
    if isinstance(error, (ssl.SSLError, ConnectionError)):
        ours = (
            "it may not accept the certificate that Pyro5's SSL_CLIENTCERT names"
            if config.SSL_CLIENTCERT
            else "it may require a certificate of its clients, and Pyro5's SSL_CLIENTCERT names none here"
        )
        return Trouble(f"{reason(error)}; {ours}", False)
    return None


def _is_alert(error: BaseException) -> bool:
    """Whether the peer has ended the TLS handshake with a message of TLS."""
    return "ALERT" in (getattr(error, "reason", None) or "")


def tls_question() -> bytes:
    """The first message of TLS, which a peer that speaks TLS answers with a message of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def is_tls(answer: bytes) -> bool:
    """Whether the answer to `tls_question` is one of TLS: a handshake or an alert, then half a version."""
    return answer in (b"\x16\x03", b"\x15\x03")


def plain_question() -> bytes:
    """Pyro's first message, which a peer that does not speak TLS answers with a message of Pyro.

    It is for an object that does not exist, and contains nothing of this program.
    """
    return write_connect("?", STOCK_HELLO)


def is_plain(answer: bytes) -> bool:
    """Whether the answer to `plain_question` is one of Pyro."""
    return answer == b"PY"
