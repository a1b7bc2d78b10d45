"""How a client introduces itself, and what it makes of the answer."""

from __future__ import annotations

import time

import pytest
from identities import service_proof

from pyro_events.errors import AccessDeniedError, ClocksDifferError
from pyro_events.transport import authentication as module
from pyro_events.transport.authentication import ClientHandshake
from pyro_events.wire.handshake.passphrase import Identity
from pyro_events.wire.handshake.proofs import DENIED, AgainError, DeniedError, ServiceProof

OURS = Identity(b"ours")
ALICE = Identity(b"alice's", "alice")
WHERE = "somewhere:1"


def gate(who: Identity = OURS) -> ServiceProof:
    return service_proof(who)


def refused(by: ServiceProof, introduction: ClientHandshake, now: float | None = None) -> str:
    with pytest.raises((DeniedError, AgainError)) as caught:
        by.verify(introduction.hello, "es", time.time() if now is None else now)
    return str(caught.value)


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    module._runs.clear()


def test_the_second_attempt_succeeds_and_later_ones_need_no_first() -> None:
    service = gate()
    first = ClientHandshake(OURS, "es", WHERE)
    assert first.may_retry(refused(service, first), tried=False)
    for _ in range(2):
        introduction = ClientHandshake(OURS, "es", WHERE)
        introduction.check(service.verify(introduction.hello, "es", time.time()).answer)
    # The service was restarted.
    service = gate()
    assert introduction.may_retry(refused(service, ClientHandshake(OURS, "es", WHERE)), False) is False
    later = ClientHandshake(OURS, "es", WHERE)
    assert later.may_retry(refused(service, later), tried=False)


def test_without_a_passphrase_we_say_hello() -> None:
    stock = ClientHandshake(None, "es", WHERE)
    assert stock.hello == "hello"
    stock.check("anything")
    assert not stock.may_retry("there is no object 'es' here", tried=False)
    with pytest.raises(AccessDeniedError, match="es at somewhere:1 requires a passphrase: give it as ident"):
        stock.may_retry(DENIED, tried=False)


def test_a_passphrase_that_is_not_accepted() -> None:
    introduction = ClientHandshake(OURS, "es", WHERE)
    with pytest.raises(AccessDeniedError, match="does not accept the passphrase"):
        introduction.may_retry(refused(gate(Identity(b"theirs")), introduction), tried=False)
    assert not introduction.may_retry("all connections are taken", tried=True)


@pytest.mark.parametrize("answer", ["hello", None, "PE1 server " + 64 * "0"])
def test_a_service_that_proves_nothing(answer: object) -> None:
    with pytest.raises(AccessDeniedError, match="does not prove that it knows the passphrase"):
        ClientHandshake(OURS, "es", WHERE).check(answer)
    with pytest.raises(
        AccessDeniedError, match="if the passphrase is a user's, give that user's name as user"
    ):
        ClientHandshake(OURS, "es", WHERE).check(answer)


def test_a_user_is_accepted_at_the_second_attempt_too() -> None:
    service = gate(ALICE)
    first = ClientHandshake(ALICE, "es", WHERE)
    assert first.may_retry(refused(service, first), tried=False)
    second = ClientHandshake(ALICE, "es", WHERE)
    second.check(service.verify(second.hello, "es", time.time()).answer)


@pytest.mark.parametrize("known", [Identity(b"theirs", "alice"), Identity(b"alice's", "bob"), OURS])
def test_a_wrong_user_and_a_wrong_passphrase_get_one_error(known: Identity) -> None:
    introduction = ClientHandshake(ALICE, "es", WHERE)
    with pytest.raises(AccessDeniedError) as caught:
        introduction.may_retry(refused(gate(known), introduction), tried=False)
    assert str(caught.value) == (
        "es at somewhere:1 does not accept the user 'alice' with the passphrase that was given as ident: one "
        "of the two is wrong, or it has no users: it was started without --permissions, or is too old for it"
    )


def test_the_passphrase_of_a_user_without_its_name() -> None:
    introduction = ClientHandshake(OURS, "es", WHERE)
    with pytest.raises(AccessDeniedError, match="or a user's, whose name has to be given as user"):
        introduction.may_retry(refused(gate(ALICE), introduction), tried=False)


def test_a_service_that_proves_nothing_to_a_user() -> None:
    with pytest.raises(AccessDeniedError, match="for the user 'alice': it was started without this user"):
        ClientHandshake(ALICE, "es", WHERE).check("hello")


@pytest.mark.parametrize(
    ("ahead", "way"), [(100.0, "100.[0-9] s ahead of"), (-100.0, "(99|100).[0-9] s behind")]
)
def test_clocks_that_differ(ahead: float, way: str) -> None:
    introduction = ClientHandshake(OURS, "es", WHERE)
    refusal = refused(gate(), introduction, time.time() + ahead)
    with pytest.raises(ClocksDifferError, match=f"{way} ours.*at most 30 s") as caught:
        introduction.may_retry(refusal, tried=False)
    assert caught.value.seconds == pytest.approx(ahead, abs=1)
    assert isinstance(caught.value, AccessDeniedError)


def test_a_service_that_sends_us_back_twice() -> None:
    introduction = ClientHandshake(OURS, "es", WHERE)
    with pytest.raises(ClocksDifferError, match="set back"):
        introduction.may_retry(refused(gate(), introduction), tried=True)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_RUNS", 2)
    for port in range(4):
        introduction = ClientHandshake(OURS, "es", f"somewhere:{port}")
        introduction.may_retry(refused(gate(), introduction), tried=False)
    assert list(module._runs) == [("somewhere:2", "es"), ("somewhere:3", "es")]
