"""Proofs: how two programs prove to each other that they know the same passphrase.

Knows: the proofs and their texts. Must not know: sockets, the clock and random numbers: the time and fresh
nonces come in as arguments.

Pyro5's handshake carries one object each way, so the server cannot send a challenge first. A client's proof
covers the time, a nonce of its own, and the *run* of the service that it wants, which is a nonce that the
service drew when it started. The answer covers the same::

    client   PE1 client RUN TIME NONCE MAC(client, object, RUN, TIME, NONCE)
    service  PE1 server MAC(server, object, RUN, TIME, NONCE)

A client that does not know the run yet sends `-`, and the service answers with it and with its time; it does
the same if a client's clock is too far off. Then the client connects once more. A proof is good for one run
of one service, once: it cannot be replayed there, or after a restart, or at another service with the same
passphrase. A client that does not know the passphrase learns nothing but "denied"::

    service  PE1 again RUN' TIME' MAC(again, object, RUN, TIME, NONCE, RUN', TIME')

Towards a subscriber the service is the client. In place of run and time its proof covers a nonce from the
subscribing call, so it does not expire before `listen` begins::

    service     PE1 service CALL NONCE MAC(service, object, CALL, NONCE)
    subscriber  PE1 subscriber MAC(subscriber, object, CALL, NONCE)

Times are milliseconds since the epoch. MAC is HMAC-SHA256 (RFC 2104) with a key that scrypt (RFC 7914) makes
from the passphrase, which itself is never sent. This does not protect the bytes that follow: TLS does that.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from typing import Any, Final, NamedTuple

import Pyro5.errors

from .passphrase import Identity

# The clocks of the two sides may differ by this many seconds; a proof is remembered that long.
MAX_SKEW: Final = 30.0
# The most proofs that are remembered, 20 MiB. If there are more in a minute, further clients are denied until
# it is over.
MAX_REMEMBERED: Final = 100_000
# The most calls of one subscriber that no connection has answered yet. There is more than one only if a
# connection broke before the handshake.
MAX_CALLS: Final = 8
# How many bytes a nonce has.
NONCE_SIZE: Final = 16
# The only answer to a proof that is not good.
DENIED: Final = "denied"
# The run that a client sends if it does not know the run.
UNKNOWN_RUN: Final = "-"
# The option of a subscribing call that contains the call's nonce.
CALL_OPTION: Final = "ident_call"

_TAG: Final = "PE1"
_NONCE: Final = f"[0-9a-f]{{{2 * NONCE_SIZE}}}"
_SHAPES: Final = {
    role: re.compile(" ".join((_TAG, role, *(f"({part})" for part in parts))))
    for role, parts in {
        "client": (f"-|{_NONCE}", "[0-9]{1,15}", _NONCE, "[0-9a-f]{64}"),
        "server": ("[0-9a-f]{64}",),
        "again": (_NONCE, "[0-9]{1,15}", "[0-9a-f]{64}"),
        "service": (_NONCE, _NONCE, "[0-9a-f]{64}"),
        "subscriber": ("[0-9a-f]{64}",),
    }.items()
}
_CALL: Final = re.compile(_NONCE)


class DeniedError(Pyro5.errors.SecurityError):
    """A proof is missing or not good. The text is what the other side may be told."""

    def __init__(self) -> None:
        super().__init__(DENIED)


class AgainError(Pyro5.errors.SecurityError):
    """A good proof for another run, or from a clock too far off. The text is what the client is told."""


class Again(NamedTuple):
    """The answer of a service that wants another proof. time: its time, in seconds since the epoch."""

    run: str
    time: float


class ClientProof:
    """A client's proof for an object of a service, and the check of the answer."""

    def __init__(self, identity: Identity, object_id: str, run: str, now: float, nonce: bytes) -> None:
        """run: UNKNOWN_RUN, or the run from `again`. now: seconds since the epoch. nonce: NONCE_SIZE fresh
        random bytes."""
        self._identity = identity
        self._parts = object_id, run, str(_milliseconds(now)), nonce.hex()
        self.hello = " ".join((_TAG, "client", *self._parts[1:], identity.mac("client", *self._parts)))

    def accepts(self, answer: Any) -> bool:
        """Whether the answer proves that the service knows the passphrase too."""
        words = _words(answer, "server")
        return words is not None and self._identity.matches(words[0], "server", *self._parts)

    def again(self, refusal: Any) -> Again | None:
        """The service's run and time, if it wants another proof and has given a good one itself."""
        words = _words(refusal, "again")
        if words is None or not self._identity.matches(words[2], "again", *self._parts, *words[:2]):
            return None
        return Again(words[0], int(words[1]) / 1000)


class ServiceProof:
    """A service's side: checks the proofs of clients, each of which is good once."""

    def __init__(self, identity: Identity, run: bytes) -> None:
        """run: NONCE_SIZE fresh random bytes, drawn for this object only."""
        self._identity = identity
        self._run = run.hex()
        self._seen: set[tuple[int, str]] = set()
        self._by_time: list[tuple[int, str]] = []
        # Proofs from before this time are not good: they may have been seen and forgotten.
        self._floor = 0

    def verify(self, hello: Any, object_id: str, now: float) -> str:
        """The answer to a good proof. Raises DeniedError, or AgainError for one that is good but not now."""
        words = _words(hello, "client")
        if words is None:
            raise DeniedError
        run, sent, nonce, code = words
        parts = object_id, run, sent, nonce
        if not self._identity.matches(code, "client", *parts):
            raise DeniedError
        # Only a client that knows the passphrase gets this far, or one that replays the proof of such a
        # client.
        ours, time = _milliseconds(now), int(sent)
        if run != self._run or abs(ours - time) > MAX_SKEW * 1000 or time < self._floor:
            said = self._run, str(ours)
            raise AgainError(" ".join((_TAG, "again", *said, self._identity.mac("again", *parts, *said))))
        self._forget(ours)
        if (time, nonce) in self._seen or len(self._seen) >= MAX_REMEMBERED:
            raise DeniedError
        self._seen.add((time, nonce))
        heapq.heappush(self._by_time, (time, nonce))
        return " ".join((_TAG, "server", self._identity.mac("server", *parts)))

    def _forget(self, now: int) -> None:
        """Forget proofs whose time would be refused, and make sure that it always will be, even if the clock
        is set back."""
        while self._by_time and self._by_time[0][0] < now - MAX_SKEW * 1000:
            oldest = heapq.heappop(self._by_time)
            self._seen.discard(oldest)
            self._floor = max(self._floor, oldest[0] + 1)


class CallbackProof:
    """The service's proof for a subscriber, and the check of the answer."""

    def __init__(self, identity: Identity, object_id: str, call: str, nonce: bytes) -> None:
        """call: the nonce of the subscribing call. nonce: NONCE_SIZE fresh random bytes.

        Raises ValueError if `call` is not a nonce.
        """
        if not isinstance(call, str) or _CALL.fullmatch(call) is None:
            raise ValueError(f"the option {CALL_OPTION} of a subscribing call must be a nonce")
        self._identity = identity
        self._parts = object_id, call, nonce.hex()
        self.hello = " ".join((_TAG, "service", *self._parts[1:], identity.mac("service", *self._parts)))

    def accepts(self, answer: Any) -> bool:
        """Whether the answer proves that the subscriber knows the passphrase."""
        words = _words(answer, "subscriber")
        return words is not None and self._identity.matches(words[0], "subscriber", *self._parts)


class CallbackCheck:
    """A subscriber's side: checks the proofs of services, each made for one of its subscribing calls.

    The nonce of a call is good for one connection. Any thread may use it: each step is one operation on a
    deque.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._calls: deque[str] = deque(maxlen=MAX_CALLS)

    def call(self, fresh: bytes, anew: bool = False) -> str:
        """The nonce for a subscribing call: the newest that no connection has used yet, or `fresh`.

        anew: always `fresh`, because a lost connection may have used up the other.
        """
        try:
            newest = self._calls[-1]
        except IndexError:
            anew, newest = True, ""
        if anew:
            newest = fresh.hex()
            self._calls.append(newest)
        return newest

    def verify(self, hello: Any, object_id: str) -> str:
        """The answer to a good proof. Raises DeniedError."""
        words = _words(hello, "service")
        if words is None:
            raise DeniedError
        call, nonce, code = words
        if not self._identity.matches(code, "service", object_id, call, nonce):
            raise DeniedError
        try:
            self._calls.remove(call)
        except ValueError:
            raise DeniedError from None
        return " ".join((_TAG, "subscriber", self._identity.mac("subscriber", object_id, call, nonce)))


def _milliseconds(seconds: float) -> int:
    return max(0, int(seconds * 1000))


def _words(text: Any, role: str) -> tuple[str, ...] | None:
    """The parts of a text of that role, or None if it is not such a text."""
    match = _SHAPES[role].fullmatch(text) if isinstance(text, str) and len(text) < 300 else None
    return match.groups() if match is not None else None
