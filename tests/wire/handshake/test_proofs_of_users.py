"""The proofs of users: each names its user, and is good for no other."""

from __future__ import annotations

import hashlib
import hmac
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from identities import service_proof

from pyro_events.wire.handshake.passphrase import MAX_USER, Identity, checked_user
from pyro_events.wire.handshake.proof_memory import MAX_SKEW, ProofMemory
from pyro_events.wire.handshake.proofs import (
    DENIED,
    NONCE_SIZE,
    UNKNOWN_RUN,
    Again,
    AgainError,
    CallbackCheck,
    CallbackProof,
    ClientProof,
    DeniedError,
    Proved,
    ServiceProof,
    is_proof,
)

NOW = 1_700_000_000.0
RUN = b"r" * NONCE_SIZE
OURS = Identity(b"ours")
ALICE = Identity(b"alice's", "alice")
BOB = Identity(b"bob's", "bob")
EVERYBODY = pytest.mark.parametrize("who", [OURS, ALICE, BOB], ids=["nobody", "alice", "bob"])

_numbers = itertools.count()


def fresh() -> bytes:
    return next(_numbers).to_bytes(NONCE_SIZE, "big")


def proof(who: Identity, run: str = RUN.hex(), now: float = NOW, object_id: str = "es") -> ClientProof:
    return ClientProof(who, object_id, run, now, fresh())


def gate(*known: Identity) -> ServiceProof:
    return service_proof(*(known or (OURS, ALICE, BOB)), run=RUN)


def code(key: bytes, *parts: str) -> str:
    """What the module's docstring calls a MAC."""
    text = "".join(f"{len(part)}:{part}," for part in parts)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def names() -> st.SearchStrategy[str]:
    allowed = st.characters(codec="utf-8").filter(str.isprintable)
    return st.text(allowed, min_size=1, max_size=MAX_USER)


@EVERYBODY
def test_both_sides_prove_it_and_the_service_learns_who_it_is(who: Identity) -> None:
    client = proof(who)
    proved = gate().verify(client.hello, "es", NOW)
    assert proved.user == who.user and client.accepts(proved.answer)
    for other in (OURS, ALICE, BOB):
        assert not proof(other).accepts(proved.answer)


@given(names())
def test_any_allowed_name_fits(name: str) -> None:
    who = Identity(b"key", checked_user(name))
    client = proof(who)
    proved = gate(OURS, who).verify(client.hello, "es", NOW)
    assert proved.user == name and client.accepts(proved.answer)


def test_what_is_sent_without_a_user_has_not_changed() -> None:
    nonce = bytes(range(NONCE_SIZE))
    said = RUN.hex(), "1700000000000", nonce.hex()
    client = ClientProof(OURS, "es", RUN.hex(), NOW, nonce)
    assert client.hello == " ".join(("PE1", "client", *said, code(b"ours", "PE1", "client", "es", *said)))
    answer = " ".join(("PE1", "server", code(b"ours", "PE1", "server", "es", *said)))
    assert gate().verify(client.hello, "es", NOW) == Proved(answer, "")
    callback = CallbackProof(OURS, "es", RUN.hex(), nonce)
    covered = RUN.hex(), nonce.hex()
    mac = code(b"ours", "PE1", "service", "es", *covered)
    assert callback.hello == " ".join(("PE1", "service", *covered, mac))


def test_what_is_sent_with_a_user() -> None:
    nonce = bytes(range(NONCE_SIZE))
    said = RUN.hex(), "1700000000000", nonce.hex()
    client = ClientProof(ALICE, "es", RUN.hex(), NOW, nonce)
    covered = "alice", "es", *said
    mac = code(b"alice's", "PE2", "client", *covered)
    assert client.hello == " ".join(("PE2", "client", b"alice".hex(), *said, mac))
    answer = " ".join(("PE2", "server", code(b"alice's", "PE2", "server", *covered)))
    assert gate().verify(client.hello, "es", NOW) == Proved(answer, "alice")


def test_an_unknown_user_and_a_wrong_passphrase_get_one_answer() -> None:
    for stranger in (Identity(b"x", "alice"), Identity(b"x", "carol"), Identity(b"x"), Identity(b"x", "A")):
        with pytest.raises(DeniedError, match=f"^{DENIED}$"):
            gate().verify(proof(stranger).hello, "es", NOW)
    with pytest.raises(DeniedError):
        gate(ALICE).verify(proof(OURS).hello, "es", NOW)


def test_an_unknown_user_costs_the_work_of_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, ...]] = []
    mac = Identity.mac

    def counted(self: Identity, role: str, *parts: str) -> str:
        made.append((len(role), *map(len, parts)))
        return mac(self, role, *parts)

    strangers = [proof(Identity(b"x", name)).hello for name in ("alice", "carol")]
    service = gate()
    monkeypatch.setattr(Identity, "mac", counted)
    for hello in strangers:
        with pytest.raises(DeniedError):
            service.verify(hello, "es", NOW)
    assert len(made) == 2 and made[0] == made[1]


def test_nobody_knows_the_key_that_stands_for_an_unknown_user() -> None:
    service = ServiceProof({}.get, RUN, b"decoy")
    for tag, who in (("PE1", Identity(b"decoy")), ("PE2", Identity(b"decoy", "carol"))):
        assert who.tag == tag  # whoever did know it would be let in
        assert service.verify(proof(who).hello, "es", NOW).user == who.user
    with pytest.raises(DeniedError):
        service_proof(run=RUN).verify(proof(Identity(b"decoy", "carol")).hello, "es", NOW)


def test_a_user_with_the_passphrase_of_another_is_denied() -> None:
    client = ClientProof(Identity(b"alice's", "bob"), "es", RUN.hex(), NOW, fresh())
    with pytest.raises(DeniedError):
        gate().verify(client.hello, "es", NOW)
    renamed = proof(ALICE).hello.replace(b"alice".hex(), b"bob".hex())
    with pytest.raises(DeniedError):
        gate().verify(renamed, "es", NOW)
    # Even where two users have the same key, the code covers the name.
    twins = gate(Identity(b"same", "alice"), Identity(b"same", "bob"))
    mine = proof(Identity(b"same", "alice")).hello.replace(b"alice".hex(), b"bob".hex())
    with pytest.raises(DeniedError):
        twins.verify(mine, "es", NOW)


def test_a_proof_of_a_user_is_good_for_one_object_and_once() -> None:
    service, client = gate(), proof(ALICE)
    with pytest.raises(DeniedError):
        service.verify(client.hello, "other", NOW)
    service.verify(client.hello, "es", NOW)
    with pytest.raises(DeniedError):
        service.verify(client.hello, "es", NOW + 1)


@pytest.mark.parametrize("skew", [0.0, MAX_SKEW + 1, -MAX_SKEW - 1])
def test_only_a_good_proof_learns_the_run_and_the_time(skew: float) -> None:
    client = proof(ALICE, UNKNOWN_RUN, NOW + skew)
    with pytest.raises(AgainError) as caught:
        gate().verify(client.hello, "es", NOW)
    assert client.again(str(caught.value)) == Again(RUN.hex(), NOW)
    for other in (OURS, BOB, ALICE):
        assert proof(other, UNKNOWN_RUN, NOW + skew).again(str(caught.value)) is None
    with pytest.raises(DeniedError):
        gate().verify(proof(Identity(b"x", "alice"), UNKNOWN_RUN, NOW + skew).hello, "es", NOW)


def test_a_user_who_connects_too_often_keeps_nobody_else_out() -> None:
    service = service_proof(OURS, ALICE, BOB, run=RUN, memory=ProofMemory(most_of_one=2))
    for _ in range(2):
        service.verify(proof(ALICE).hello, "es", NOW)
    with pytest.raises(DeniedError):
        service.verify(proof(ALICE).hello, "es", NOW)
    for who in (BOB, OURS, OURS, OURS):
        assert service.verify(proof(who).hello, "es", NOW).user == who.user
    later = NOW + MAX_SKEW + 1
    assert service.verify(proof(ALICE, now=later).hello, "es", later).user == "alice"


def test_users_that_are_replaced_count_at_once() -> None:
    known = {"alice": ALICE}
    service = ServiceProof(lambda user: known.get(user), RUN, b"decoy")
    service.verify(proof(ALICE).hello, "es", NOW)
    known.clear()
    with pytest.raises(DeniedError):
        service.verify(proof(ALICE).hello, "es", NOW)
    known["alice"] = Identity(b"new", "alice")
    assert service.verify(proof(known["alice"]).hello, "es", NOW).user == "alice"


@pytest.mark.parametrize(
    "name", ["", "+", "0x", "a" * (2 * MAX_USER * 4 + 2), "ff", "0a", "61" * 101, "6", "ED", "c3", "eda080"]
)
def test_a_name_that_is_not_allowed_is_denied(name: str) -> None:
    words = proof(ALICE).hello.split(" ")
    words[2] = name
    with pytest.raises(DeniedError):
        gate().verify(" ".join(words), "es", NOW)


@given(st.integers(0, 165), st.characters(codec="utf-8"))
def test_no_changed_proof_is_good(position: int, character: str) -> None:
    client, service = proof(ALICE), gate()
    changed = client.hello[:position] + character + client.hello[position + 1 :]
    if changed == client.hello:
        assert client.accepts(service.verify(changed, "es", NOW).answer)
        return
    with pytest.raises(DeniedError):
        service.verify(changed, "es", NOW)


@given(st.text() | st.binary() | st.none() | st.integers() | st.lists(st.text()))
def test_anything_else_is_denied(said: Any) -> None:
    for text in (said, f"PE2 client {said}"):
        with pytest.raises(DeniedError):
            gate().verify(text, "es", NOW)
        with pytest.raises(DeniedError):
            CallbackCheck(ALICE).verify(text, "es")
        client, service = proof(ALICE), CallbackProof(ALICE, "s", RUN.hex(), RUN)
        assert not client.accepts(text) and not service.accepts(text) and client.again(text) is None


@EVERYBODY
def test_a_subscriber_gets_a_proof_of_the_user_who_subscribed_it(who: Identity) -> None:
    check = CallbackCheck(who)
    call = check.call(fresh())
    for other in {OURS, ALICE, BOB} - {who}:
        with pytest.raises(DeniedError):
            check.verify(CallbackProof(other, "s", call, fresh()).hello, "s")
    service = CallbackProof(who, "s", call, fresh())
    answer = check.verify(service.hello, "s")
    assert service.accepts(answer)
    assert not CallbackProof(who, "s", call, fresh()).accepts(answer)


def test_what_is_meant_as_a_proof() -> None:
    assert is_proof(proof(OURS).hello) and is_proof(proof(ALICE).hello) and is_proof("PE3")
    assert is_proof(proof(ALICE).hello, of_user=True) and not is_proof(proof(OURS).hello, of_user=True)
    for said in ("hello", None, 1, {"PE": 2}, b"PE2", ""):
        assert not is_proof(said) and not is_proof(said, of_user=True)
