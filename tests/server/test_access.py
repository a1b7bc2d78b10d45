"""Which clients are accepted, and what is proved to which peer."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from Pyro5.errors import SecurityError

from pyro_events.server.access import AccessControl
from pyro_events.server.objects import Caller
from pyro_events.wire.handshake.messages import Hello
from pyro_events.wire.handshake.passphrase import Identity
from pyro_events.wire.handshake.proofs import (
    NONCE_SIZE,
    AgainError,
    CallbackCheck,
    ClientProof,
    DeniedError,
)

OURS = Identity(b"ours")
HOST = "192.0.2.1"
CALL = "0" * 32
PROVED = Caller(HOST, 4, proved=True)
UNPROVED = Caller(HOST, 4)


def proved(access: AccessControl, who: Identity = OURS) -> Any:
    """What the access makes of a client that knows its run by now."""
    client = ClientProof(who, "es", "-", time.time(), os.urandom(NONCE_SIZE))
    with pytest.raises(AgainError) as caught:
        access.authenticate(HOST, Hello(client.hello, "es"))
    again = client.again(str(caught.value))
    assert again is not None
    client = ClientProof(who, "es", again.run, time.time(), os.urandom(NONCE_SIZE))
    answer, result = access.authenticate(HOST, Hello(client.hello, "es"))
    assert client.accepts(answer)
    return result


def test_without_a_passphrase_everybody_is_let_in() -> None:
    access = AccessControl()
    assert access.authenticate(HOST, Hello("hello", "es")) == ("hello", False)
    assert access.authenticate(HOST, Hello({"any": "thing"}, "es")) == ("hello", False)
    assert access.proof_for(PROVED, HOST, "o", None) is access.proof_for(PROVED, HOST, "o", CALL) is None


def test_with_one_it_must_be_proved() -> None:
    access = AccessControl(OURS)
    assert proved(access) is True
    for handshake in ("hello", None, {"a": 1}):
        with pytest.raises(DeniedError):
            access.authenticate(HOST, Hello(handshake, "es"))


@pytest.mark.parametrize("host", [HOST, "::ffff:" + HOST])
def test_some_hosts_need_not_prove_it(host: str) -> None:
    access = AccessControl(OURS, frozenset({HOST}))
    assert access.authenticate(host, Hello("hello", "es")) == ("hello", False)
    assert proved(access) is True
    with pytest.raises(DeniedError):  # but a proof that is offered must be right
        access.authenticate(host, Hello("PE1 client", "es"))
    for other in ("192.0.2.2", "", "localhost"):
        with pytest.raises(DeniedError):
            access.authenticate(other, Hello("hello", "es"))


def test_a_subscriber_is_given_a_proof_and_must_give_one() -> None:
    access, gate = AccessControl(OURS), CallbackCheck(OURS)
    proof = access.proof_for(PROVED, HOST, "o", gate.call(os.urandom(NONCE_SIZE)))
    assert proof is not None and proof.accepts(gate.verify(proof.hello, "o"))
    with pytest.raises(SecurityError, match="cannot prove the passphrase.*--allow-stock"):
        access.proof_for(PROVED, HOST, "o", None)
    with pytest.raises(ValueError, match="must be a nonce"):
        access.proof_for(PROVED, HOST, "o", 1)


def test_a_plain_subscriber_on_a_host_that_is_named() -> None:
    access = AccessControl(OURS, frozenset({HOST}))
    for caller in (PROVED, UNPROVED):
        assert access.proof_for(caller, HOST, "o", None) is None
    assert access.proof_for(PROVED, HOST, "o", CALL) is not None


@pytest.mark.parametrize("stock", [frozenset(), frozenset({HOST})])
@pytest.mark.parametrize("call", [CALL, "", 0, False, b"", [CALL]])
def test_who_has_proved_nothing_gets_no_proof(stock: frozenset[str], call: Any) -> None:
    with pytest.raises(SecurityError, match="only from a caller that has proved the passphrase"):
        AccessControl(OURS, stock).proof_for(UNPROVED, HOST, "o", call)


@pytest.mark.parametrize(
    ("caller", "may"),
    [
        (Caller(HOST, 4), True),
        (Caller("192.0.2.7", 4), True),  # it had subscribed it
        (Caller("192.0.2.8", 4), False),
        (Caller("192.0.2.8", 4, proved=True), True),
    ],
)
def test_who_may_change_a_subscription(caller: Caller, may: bool) -> None:
    if may:
        AccessControl.check_rights(caller, HOST, "192.0.2.7")
        return
    with pytest.raises(SecurityError, match=f"a subscriber at {HOST} can be changed only from there"):
        AccessControl.check_rights(caller, HOST, "192.0.2.7")
