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

A user has a passphrase of its own. Its client names it, and each code covers its name, before the rest; the
service proves that it knows this user's passphrase, also to a subscriber that this user has subscribed::

    client      PE2 client USER RUN TIME NONCE MAC(client, user, object, RUN, TIME, NONCE)
    service     PE2 server MAC(server, user, object, RUN, TIME, NONCE)
                PE2 again RUN' TIME' MAC(again, user, object, RUN, TIME, NONCE, RUN', TIME')

    service     PE2 service CALL NONCE MAC(service, user, object, CALL, NONCE)
    subscriber  PE2 subscriber MAC(subscriber, user, object, CALL, NONCE)

USER is the hexadecimal of the name in UTF-8. An unknown user gets the answer to a wrong passphrase, after the
same work with a key that nobody has. A service that knows no users answers "denied" too, an older one
included.

Times are milliseconds since the epoch. MAC is HMAC-SHA256 (RFC 2104) with a key that is made from the
passphrase, which itself is never sent; it covers the tag, PE1 or PE2, as well. This does not protect the
bytes that follow: TLS does that.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import Pyro5.errors

from .passphrase import OWN_TAG, USER_TAG, Identity, checked_user
from .proof_memory import ProofMemory

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

# More than the longest proof has: a user's name may have 400 bytes.
_LONGEST: Final = 1024
_NONCE: Final = f"[0-9a-f]{{{2 * NONCE_SIZE}}}"
_CODE: Final = "[0-9a-f]{64}"
_TIME: Final = "[0-9]{1,15}"
_PARTS: Final = {
    "client": (f"-|{_NONCE}", _TIME, _NONCE, _CODE),
    "server": (_CODE,),
    "again": (_NONCE, _TIME, _CODE),
    "service": (_NONCE, _NONCE, _CODE),
    "subscriber": (_CODE,),
}


def _shape(tag: str, role: str, *parts: str) -> re.Pattern[str]:
    return re.compile(" ".join((tag, role, *(f"({part})" for part in parts))))


_SHAPES: Final = {
    **{(tag, role): _shape(tag, role, *_PARTS[role]) for tag in (OWN_TAG, USER_TAG) for role in _PARTS},
    (USER_TAG, "client"): _shape(USER_TAG, "client", "[0-9a-f]+", *_PARTS["client"]),
}
_CALL: Final = re.compile(_NONCE)


class DeniedError(Pyro5.errors.SecurityError):
    """A proof is missing or not good. The text is what the other side may be told."""

    def __init__(self) -> None:
        super().__init__(DENIED)


class AgainError(Pyro5.errors.SecurityError):
    """A good proof for another run, or from a clock too far off. The text is what the client is told."""


class Proved(NamedTuple):
    """A client has proved who it is. answer: what proves that the service knows the passphrase too. user: the
    client's user, "" if it has none."""

    answer: str
    user: str


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
        said = run, str(_milliseconds(now)), nonce.hex()
        self._parts = _signed(identity.user, object_id, *said)
        named = (identity.user.encode().hex(),) if identity.user else ()
        self.hello = " ".join((identity.tag, "client", *named, *said, identity.mac("client", *self._parts)))

    def accepts(self, answer: Any) -> bool:
        """Whether the answer proves that the service knows the passphrase too."""
        words = _words(answer, self._identity.tag, "server")
        return words is not None and self._identity.matches(words[0], "server", *self._parts)

    def again(self, refusal: Any) -> Again | None:
        """The service's run and time, if it wants another proof and has given a good one itself."""
        words = _words(refusal, self._identity.tag, "again")
        if words is None or not self._identity.matches(words[2], "again", *self._parts, *words[:2]):
            return None
        return Again(words[0], int(words[1]) / 1000)


class ServiceProof:
    """A service's side: checks the proofs of clients, each of which is good once."""

    def __init__(
        self,
        identity_for: Callable[[str], Identity | None],
        run: bytes,
        decoy: bytes,
        memory: ProofMemory | None = None,
    ) -> None:
        """identity_for: the identity of a user, the service's own for ""; None if there is none. run:
        NONCE_SIZE fresh random bytes, drawn for this object only. decoy: the same, for a key that nobody
        has. memory: one of its own unless given."""
        self._identity_for = identity_for
        self._decoys = {tag: Identity(decoy, user) for tag, user in ((OWN_TAG, ""), (USER_TAG, "decoy"))}
        self._run = run.hex()
        self._memory = memory or ProofMemory()

    def verify(self, hello: Any, object_id: str, now: float) -> Proved:
        """Who has given a good proof, and the answer to it. Raises DeniedError, or AgainError for one that is
        good but not now."""
        tag, user, words = _client_words(hello)
        run, sent, nonce, code = words
        parts = _signed(user, object_id, run, sent, nonce)
        # The same steps for everybody, so that the time does not tell whether there is such a user.
        known, decoy = self._identity_for(user), self._decoys[tag]
        identity = decoy if known is None else known
        if not identity.matches(code, "client", *parts):
            raise DeniedError
        # Only a client that knows the passphrase gets this far, or one that replays the proof of such a
        # client.
        ours, time = _milliseconds(now), int(sent)
        if run != self._run or not self._memory.accepts(time, ours):
            said = self._run, str(ours)
            raise AgainError(" ".join((tag, "again", *said, identity.mac("again", *parts, *said))))
        if not self._memory.add(time, nonce, user, ours):
            raise DeniedError
        return Proved(" ".join((tag, "server", identity.mac("server", *parts))), user)


class CallbackProof:
    """The service's proof for a subscriber, and the check of the answer."""

    def __init__(self, identity: Identity, object_id: str, call: str, nonce: bytes) -> None:
        """call: the nonce of the subscribing call. nonce: NONCE_SIZE fresh random bytes.

        Raises ValueError if `call` is not a nonce.
        """
        if not isinstance(call, str) or _CALL.fullmatch(call) is None:
            raise ValueError(f"the option {CALL_OPTION} of a subscribing call must be a nonce")
        self._identity = identity
        said = call, nonce.hex()
        self._parts = _signed(identity.user, object_id, *said)
        self.hello = " ".join((identity.tag, "service", *said, identity.mac("service", *self._parts)))

    def accepts(self, answer: Any) -> bool:
        """Whether the answer proves that the subscriber knows the passphrase."""
        words = _words(answer, self._identity.tag, "subscriber")
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
        identity = self._identity
        words = _words(hello, identity.tag, "service")
        if words is None:
            raise DeniedError
        call, nonce, code = words
        parts = _signed(identity.user, object_id, call, nonce)
        if not identity.matches(code, "service", *parts):
            raise DeniedError
        try:
            self._calls.remove(call)
        except ValueError:
            raise DeniedError from None
        return " ".join((identity.tag, "subscriber", identity.mac("subscriber", *parts)))


def is_proof(hello: object, of_user: bool = False) -> bool:
    """Whether a client's handshake data is meant as a proof. of_user: as a user's."""
    return isinstance(hello, str) and hello.startswith(USER_TAG if of_user else "PE")


def _milliseconds(seconds: float) -> int:
    return max(0, int(seconds * 1000))


def _signed(user: str, *parts: str) -> tuple[str, ...]:
    """What a code covers, after its tag and its role."""
    return (user, *parts) if user else parts


def _client_words(hello: Any) -> tuple[str, str, tuple[str, ...]]:
    """The tag, the user and the other parts of a client's proof. Raises DeniedError if it has no such
    form."""
    words = _words(hello, OWN_TAG, "client")
    if words is not None:
        return OWN_TAG, "", words
    words = _words(hello, USER_TAG, "client")
    if words is None:
        raise DeniedError
    try:
        user = checked_user(bytes.fromhex(words[0]).decode("utf-8"))
    except ValueError:
        raise DeniedError from None
    return USER_TAG, user, words[1:]


def _words(text: Any, tag: str, role: str) -> tuple[str, ...] | None:
    """The parts of a text of that role, or None if it is not such a text."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    match = _SHAPES[tag, role].fullmatch(text)
    return match.groups() if match is not None else None
