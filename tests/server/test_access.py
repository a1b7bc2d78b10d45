"""Which clients are accepted, and what is proved to which peer."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from Pyro5.errors import SecurityError

from pyro_events.broker.matching.rights import Rights
from pyro_events.server.access import Accepted, AccessControl
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
ALICE = Identity(b"alice's", "alice")
USERS = {"alice": ALICE}.get
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
    answer, *result = access.authenticate(HOST, Hello(client.hello, "es"))
    assert client.accepts(answer)
    return tuple(result)


def test_without_a_passphrase_everybody_is_let_in() -> None:
    access = AccessControl()
    assert access.authenticate(HOST, Hello("hello", "es")) == Accepted("hello")
    assert access.authenticate(HOST, Hello({"any": "thing"}, "es")) == Accepted("hello")
    assert access.proof_for(PROVED, HOST, "o", None) is access.proof_for(PROVED, HOST, "o", CALL) is None


def test_with_one_it_must_be_proved() -> None:
    access = AccessControl(OURS)
    assert proved(access) == (True, "")
    for handshake in ("hello", None, {"a": 1}):
        with pytest.raises(DeniedError):
            access.authenticate(HOST, Hello(handshake, "es"))


@pytest.mark.parametrize("host", [HOST, "::ffff:" + HOST])
def test_some_hosts_need_not_prove_it(host: str) -> None:
    access = AccessControl(OURS, frozenset({HOST}))
    assert access.authenticate(host, Hello("hello", "es")) == Accepted("hello")
    assert proved(access) == (True, "")
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


@pytest.mark.parametrize("own", [OURS, None])
@pytest.mark.parametrize("stock", [frozenset(), frozenset({HOST})])
def test_a_user_proves_its_own_passphrase(own: Identity | None, stock: frozenset[str]) -> None:
    access = AccessControl(own, stock, users=USERS)
    assert proved(access, ALICE) == (True, "alice")
    for stranger in (Identity(b"x", "alice"), Identity(b"alice's", "bob"), Identity(b"x", "bob")):
        with pytest.raises(DeniedError):
            proved(access, stranger)
    for said in ("PE2", "PE2 client"):
        with pytest.raises(DeniedError):
            access.authenticate(HOST, Hello(said, "es"))


def test_who_names_no_user_proves_the_services_own() -> None:
    access = AccessControl(OURS, users=USERS)
    assert proved(access) == (True, "")
    with pytest.raises(DeniedError):
        access.authenticate(HOST, Hello("hello", "es"))
    assert AccessControl(OURS, frozenset({HOST}), users=USERS).authenticate(
        HOST, Hello("hello", "es")
    ) == Accepted("hello")


@pytest.mark.parametrize("said", ["hello", None, {"a": 1}, "PE1 client"])
def test_who_names_no_user_is_nobody_where_the_service_has_no_passphrase(said: Any) -> None:
    assert AccessControl(users=USERS).authenticate(HOST, Hello(said, "es")) == Accepted("hello", False, "")


def test_a_service_that_has_no_users() -> None:
    client = ClientProof(ALICE, "es", "-", time.time(), os.urandom(NONCE_SIZE))
    with pytest.raises(DeniedError):
        AccessControl(OURS).authenticate(HOST, Hello(client.hello, "es"))
    # The client gets an answer that proves nothing, and refuses it.
    assert AccessControl().authenticate(HOST, Hello(client.hello, "es")) == Accepted("hello")


def test_users_are_replaced_while_it_runs() -> None:
    access = AccessControl(OURS, users=USERS)
    proved(access, ALICE)
    access.replace_users({}.get)
    with pytest.raises(DeniedError):
        proved(access, ALICE)
    access.replace_users({"alice": Identity(b"new", "alice")}.get)
    with pytest.raises(DeniedError):
        proved(access, ALICE)
    assert proved(access, Identity(b"new", "alice")) == (True, "alice")


@pytest.mark.parametrize("own", [OURS, None])
def test_a_subscriber_is_given_a_proof_of_the_user_who_subscribed_it(own: Identity | None) -> None:
    access, gate = AccessControl(own, users=USERS), CallbackCheck(ALICE)
    alice = Caller(HOST, 4, proved=True, user="alice")
    proof = access.proof_for(alice, HOST, "o", gate.call(os.urandom(NONCE_SIZE)))
    assert proof is not None and proof.accepts(gate.verify(proof.hello, "o"))
    with pytest.raises(SecurityError, match="cannot prove the passphrase.*--allow-stock"):
        access.proof_for(alice, HOST, "o", None)
    assert AccessControl(own, frozenset({HOST}), users=USERS).proof_for(alice, HOST, "o", None) is None
    access.replace_users(None)
    with pytest.raises(SecurityError, match="the user 'alice' is not known here any more"):
        access.proof_for(alice, HOST, "o", CALL)


def test_a_subscriber_of_nobody_is_given_none() -> None:
    access = AccessControl(users=USERS)
    assert access.proof_for(UNPROVED, HOST, "o", None) is access.proof_for(UNPROVED, HOST, "o", CALL) is None


def test_a_user_owns_what_it_has_subscribed() -> None:
    alice, bob = (Caller(HOST, 4, proved=True, user=name) for name in ("alice", "bob"))
    assert AccessControl.owns(alice, "alice") and AccessControl.owns(UNPROVED, "")
    for caller, user in ((alice, "bob"), (bob, "alice"), (alice, ""), (UNPROVED, "alice"), (PROVED, "alice")):
        assert not AccessControl.owns(caller, user)


@pytest.mark.parametrize(
    ("own", "users", "caller", "may"),
    [
        (None, None, UNPROVED, True),
        (OURS, None, UNPROVED, True),  # at a host of --allow-stock
        (OURS, USERS, UNPROVED, True),
        (None, USERS, UNPROVED, False),
        (None, USERS, Caller(HOST, 4, proved=True, user="alice"), True),
        (OURS, USERS, PROVED, True),
    ],
)
def test_who_may_change_names(own: Identity | None, users: Any, caller: Caller, may: bool) -> None:
    assert AccessControl(own, users=users).may_change_names(caller) is may


def test_an_admin_owns_what_every_user_has_subscribed() -> None:
    admin = Caller(HOST, 4, user="root", rights=Rights(admin=True))
    alice = Caller(HOST, 4, user="alice", rights=Rights())
    assert AccessControl.owns(admin, "alice") and AccessControl.owns(admin, "")
    assert AccessControl.owns(alice, "alice") and not AccessControl.owns(alice, "")


def test_the_rights_of_users_are_replaced_with_them() -> None:
    access = AccessControl()
    assert access.rights_of("alice") is None
    access.replace_users({}.get, lambda user: Rights(publish=(user or "nobody",)))
    assert access.rights_of("alice") == Rights(publish=("alice",))
    assert access.rights_of("") == Rights(publish=("nobody",))
