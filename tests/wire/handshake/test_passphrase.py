"""What can be a passphrase, and the key that is made from it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from pyro_events.wire.handshake.passphrase import (
    MAX_USER,
    OWN_TAG,
    USER_TAG,
    Identity,
    checked_user,
    identity_of,
)

OURS = Identity(b"ours")


def test_parts_of_a_proof_cannot_be_shifted() -> None:
    assert OURS.mac("a", "b", "c") != OURS.mac("a", "bc")
    assert OURS.mac("a", "1:b,", "c") != OURS.mac("a", "b", "1:c,")


def test_passphrases() -> None:
    assert identity_of(None) is None
    mine = identity_of("a secret")
    assert mine is identity_of("a secret") and identity_of(mine) is mine
    assert mine is not None and mine.mac("x") != OURS.mac("x")
    other, odd = identity_of("a secret "), identity_of("\ud800")
    assert other is not None and other.mac("x") != mine.mac("x") and odd is not None


@pytest.mark.parametrize("bad", [1, b"secret", True, ["secret"]])
def test_a_passphrase_of_another_type(bad: Any) -> None:
    with pytest.raises(TypeError, match=f"a str, not {type(bad).__name__}"):
        identity_of(bad)


@pytest.mark.parametrize("bad", ["", " ", "\n"])
def test_an_empty_passphrase(bad: str) -> None:
    with pytest.raises(ValueError, match="empty passphrase"):
        identity_of(bad)


@pytest.mark.parametrize("kind", [MemoryError, KeyboardInterrupt])
def test_an_interruption_keeps_nothing_of_the_passphrase(
    monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    def interrupted(passphrase: bytes, **parameters: Any) -> bytes:
        raise kind

    monkeypatch.setattr(hashlib, "scrypt", interrupted)
    with pytest.raises(kind) as caught:
        identity_of(f"an uncommon secret that only {kind.__name__} has")  # no test before has had it made
    variables = [entry.frame.f_locals for entry in caught.traceback[1:]]
    assert variables and "uncommon" not in repr(variables)
    assert "interrupted" not in [entry.name for entry in caught.traceback]


def test_a_user_has_a_key_of_its_own() -> None:
    own, alice, bob = identity_of("secret"), identity_of("secret", "alice"), identity_of("secret", "bob")
    assert own is not None and alice is not None and bob is not None
    assert (own.user, alice.user, bob.user) == ("", "alice", "bob")
    assert own.tag == OWN_TAG and alice.tag == bob.tag == USER_TAG
    # Without what else makes the codes of users different.
    keys = [Identity.mac(who, "x") for who in (own, alice, bob)]
    for who in (own, alice, bob):
        who.tag = OWN_TAG
    assert len({who.mac("x") for who in (own, alice, bob)}) == len(set(keys)) == 3


def test_the_same_user_with_the_same_passphrase() -> None:
    alice = Identity(b"key", "alice")
    assert alice.is_same(alice) and alice.is_same(Identity(b"key", "alice"))
    for other in (None, Identity(b"key"), Identity(b"key", "bob"), Identity(b"other", "alice")):
        assert not alice.is_same(other)


def test_an_identity_stays_what_it_is() -> None:
    alice = Identity(b"key", "alice")
    assert identity_of(alice) is identity_of(alice, "alice") is alice
    for identity, user in ((alice, "bob"), (Identity(b"key"), "alice")):
        with pytest.raises(ValueError, match="is the identity of '.*' already, not of user='"):
            identity_of(identity, user)


def test_a_user_needs_a_passphrase() -> None:
    with pytest.raises(ValueError, match="user='alice' needs a passphrase: give the user's as ident"):
        identity_of(None, "alice")
    assert identity_of(None, None) is None


@pytest.mark.parametrize("name", ["a", " ", "Zoë", "x" * MAX_USER, "a.b@c", "\U0001d504"])
def test_names_that_a_user_may_have(name: str) -> None:
    assert checked_user(name) is name


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        (1, TypeError, "user must be a str, not int"),
        (b"alice", TypeError, "not bytes"),
        ("", ValueError, "user is empty; leave it out"),
        ("x" * (MAX_USER + 1), ValueError, "user is 101 characters long; the limit is 100"),
        ("a\nb", ValueError, "user 'a.nb' contains characters that cannot be printed"),
        ("\u202e", ValueError, "cannot be printed"),
        ("\ud800", ValueError, "cannot be printed"),
    ],
)
def test_names_that_a_user_may_not_have(name: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        checked_user(name)
    with pytest.raises(error, match=text):
        identity_of("secret", name)
