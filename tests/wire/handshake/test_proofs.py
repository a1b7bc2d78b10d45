"""The proofs of a passphrase: what they admit, and everything that they do not."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from identities import service_proof

from pyro_events.wire.handshake.passphrase import Identity
from pyro_events.wire.handshake.proof_memory import MAX_SKEW, ProofMemory
from pyro_events.wire.handshake.proofs import (
    DENIED,
    MAX_CALLS,
    NONCE_SIZE,
    UNKNOWN_RUN,
    Again,
    AgainError,
    CallbackCheck,
    CallbackProof,
    ClientProof,
    DeniedError,
    ServiceProof,
)

NOW = 1_700_000_000.0
OURS = Identity(b"ours")
THEIRS = Identity(b"theirs")
RUN = b"r" * NONCE_SIZE

_numbers = itertools.count()


def fresh() -> bytes:
    return next(_numbers).to_bytes(NONCE_SIZE, "big")


def proof(now: float = NOW, run: str = RUN.hex(), who: Identity = OURS, object_id: str = "es") -> ClientProof:
    return ClientProof(who, object_id, run, now, fresh())


def told(gate: ServiceProof, client: ClientProof, now: float = NOW) -> Again:
    """What a gate says of itself to a client that it sends back."""
    with pytest.raises(AgainError) as caught:
        gate.verify(client.hello, "es", now)
    again = client.again(str(caught.value))
    assert again is not None
    return again


def test_both_sides_prove_the_passphrase() -> None:
    client = proof()
    answer, _ = service_proof(OURS, run=RUN).verify(client.hello, "es", NOW)
    assert client.accepts(answer)
    assert not proof().accepts(answer)  # another's


def test_a_stranger_learns_the_run_only_by_a_good_proof() -> None:
    gate = service_proof(OURS, run=RUN)
    assert told(gate, proof(run=UNKNOWN_RUN)) == Again(RUN.hex(), NOW)
    with pytest.raises(DeniedError):
        gate.verify(proof(run=UNKNOWN_RUN, who=THEIRS).hello, "es", NOW)


def test_a_proof_is_good_once() -> None:
    gate, client = service_proof(OURS, run=RUN), proof()
    gate.verify(client.hello, "es", NOW)
    with pytest.raises(DeniedError, match=f"^{DENIED}$"):
        gate.verify(client.hello, "es", NOW + 1)


def test_a_proof_is_good_for_one_object_one_run_and_one_passphrase() -> None:
    client = proof()
    with pytest.raises(DeniedError):
        service_proof(OURS, run=RUN).verify(client.hello, "other", NOW)
    with pytest.raises(DeniedError):
        service_proof(THEIRS, run=RUN).verify(client.hello, "es", NOW)
    # Another service with the same passphrase, or this one after a restart.
    assert told(service_proof(OURS, run=b"s" * NONCE_SIZE), client).run == (b"s" * NONCE_SIZE).hex()


@pytest.mark.parametrize("skew", [MAX_SKEW - 0.01, -MAX_SKEW + 0.01])
def test_clocks_may_differ_a_little(skew: float) -> None:
    client = proof(NOW + skew)
    assert client.accepts(service_proof(OURS, run=RUN).verify(client.hello, "es", NOW).answer)


@pytest.mark.parametrize("skew", [MAX_SKEW + 0.01, -MAX_SKEW - 0.01, 1e9])
def test_clocks_that_differ_too_much_are_told_so(skew: float) -> None:
    assert told(service_proof(OURS, run=RUN), proof(NOW + skew)).time == pytest.approx(NOW, abs=0.002)


@pytest.mark.parametrize("step", [-3600.0, -MAX_SKEW - 1, 0.5, MAX_SKEW + 1, 3600.0])
def test_no_clock_that_is_set_makes_a_replay_good(step: float) -> None:
    gate, client = service_proof(OURS, run=RUN), proof()
    gate.verify(client.hello, "es", NOW)
    # Time passes and others come, so that the first is forgotten; then the clock is set, and set back.
    for now in (NOW + 2 * MAX_SKEW + 1, NOW + step, NOW, NOW + 1):
        later = proof(now)
        try:
            gate.verify(later.hello, "es", now)
        except AgainError:
            assert step < 0 or now < NOW + 2 * MAX_SKEW
        with pytest.raises((DeniedError, AgainError)):
            gate.verify(client.hello, "es", NOW)


def test_a_clock_that_is_set_back_a_little_keeps_nobody_out() -> None:
    gate = service_proof(OURS, run=RUN)
    for second in range(120):
        now = NOW + second
        gate.verify(proof(now).hello, "es", now)
    now -= MAX_SKEW - 1
    client = proof(now)
    assert client.accepts(gate.verify(client.hello, "es", now).answer)


def test_what_is_remembered_is_bounded_and_forgotten() -> None:
    gate = service_proof(OURS, run=RUN, memory=ProofMemory(most=2))
    for _ in range(2):
        gate.verify(proof().hello, "es", NOW)
    with pytest.raises(DeniedError):
        gate.verify(proof(NOW + 1).hello, "es", NOW + 1)
    later = NOW + MAX_SKEW + 1
    gate.verify(proof(later).hello, "es", later)


@pytest.mark.parametrize(
    "hello",
    [None, "hello", b"PE1", ["PE1"], {"a": 1}, "", "PE1", "PE1 client - 1 2 3", "PE2" + proof().hello[3:]],
)
def test_anything_else_is_denied(hello: Any) -> None:
    with pytest.raises(DeniedError):
        service_proof(OURS, run=RUN).verify(hello, "es", NOW)
    with pytest.raises(DeniedError):
        CallbackCheck(OURS).verify(hello, "es")
    client, service = proof(), CallbackProof(OURS, "s", RUN.hex(), RUN)
    assert not client.accepts(hello) and not service.accepts(hello) and client.again(hello) is None


@given(st.integers(0, 154), st.characters(codec="utf-8"))
def test_no_changed_proof_is_good(position: int, character: str) -> None:
    client = proof()
    changed = client.hello[:position] + character + client.hello[position + 1 :]
    gate = service_proof(OURS, run=RUN)
    if changed == client.hello:
        assert client.accepts(gate.verify(changed, "es", NOW).answer)
        return
    with pytest.raises(DeniedError):
        gate.verify(changed, "es", NOW)


@given(st.text())
def test_any_text_is_denied(text: str) -> None:
    with pytest.raises(DeniedError):
        service_proof(OURS, run=RUN).verify(text, "es", NOW)


def test_roles_cannot_be_exchanged() -> None:
    client = proof()
    answer, _ = service_proof(OURS, run=RUN).verify(client.hello, "es", NOW)
    assert not client.accepts(client.hello) and not client.accepts(answer.replace("server", "subscriber"))
    callback = CallbackProof(OURS, "es", RUN.hex(), RUN)
    with pytest.raises(DeniedError):
        service_proof(OURS, run=RUN).verify(callback.hello, "es", NOW)
    assert not callback.accepts(callback.hello)
    assert not callback.accepts(answer)


def test_no_refusal_by_a_stranger_is_believed() -> None:
    client = proof(run=UNKNOWN_RUN)
    with pytest.raises(AgainError) as caught:
        service_proof(OURS, run=RUN).verify(client.hello, "es", NOW)
    refusal = str(caught.value)
    assert proof(run=UNKNOWN_RUN).again(refusal) is None  # it was said to another
    assert client.again(re.sub(RUN.hex(), "0" * 32, refusal)) is None
    assert client.again(refusal.replace(str(int(NOW * 1000)), str(int(NOW * 1000) + 1))) is None


def test_a_service_proves_itself_to_a_subscriber() -> None:
    gate = CallbackCheck(OURS)
    service = CallbackProof(OURS, "s", gate.call(fresh()), fresh())
    answer = gate.verify(service.hello, "s")
    assert service.accepts(answer)
    assert not CallbackProof(OURS, "s", RUN.hex(), fresh()).accepts(answer)
    with pytest.raises(DeniedError):  # again
        gate.verify(service.hello, "s")


def test_a_service_must_have_been_called() -> None:
    gate = CallbackCheck(OURS)
    call = gate.call(fresh())
    for service, object_id in (
        (CallbackProof(THEIRS, "s", call, fresh()), "s"),
        (CallbackProof(OURS, "s", call, fresh()), "other"),
        (CallbackProof(OURS, "s", RUN.hex(), fresh()), "s"),
    ):
        with pytest.raises(DeniedError):
            gate.verify(service.hello, object_id)
    gate.verify(CallbackProof(OURS, "s", call, fresh()).hello, "s")


def test_a_call_is_used_until_a_connection_has_used_it_up() -> None:
    gate = CallbackCheck(OURS)
    first = gate.call(fresh())
    assert gate.call(fresh()) == first
    again = gate.call(fresh(), anew=True)
    assert again != first == CallbackProof(OURS, "s", first, fresh()).hello.split()[2]
    gate.verify(CallbackProof(OURS, "s", first, fresh()).hello, "s")
    assert gate.call(fresh()) == again
    for _ in range(MAX_CALLS):
        gate.call(fresh(), anew=True)
    with pytest.raises(DeniedError):
        gate.verify(CallbackProof(OURS, "s", again, fresh()).hello, "s")


@pytest.mark.parametrize("call", ["", "x" * 32, "a" * 31, "A" * 32, None, 1])
def test_a_call_that_is_not_a_nonce(call: Any) -> None:
    with pytest.raises(ValueError, match="must be a nonce"):
        CallbackProof(OURS, "s", call, fresh())


def test_times_before_the_epoch() -> None:
    client = proof(-5.0)
    assert client.accepts(service_proof(OURS, run=RUN).verify(client.hello, "es", -7.0).answer)


def test_the_key_is_kept_by_nothing_that_is_shown() -> None:
    client = proof()
    assert "ours" not in repr(OURS) + repr(client) + client.hello
