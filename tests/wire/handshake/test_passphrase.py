"""What can be a passphrase, and the key that is made from it."""

from __future__ import annotations

from typing import Any

import pytest

from pyro_events.wire.handshake import passphrase as module
from pyro_events.wire.handshake.passphrase import Identity, identity_of

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

    monkeypatch.setattr(module.hashlib, "scrypt", interrupted)
    with pytest.raises(kind) as caught:
        identity_of(f"an uncommon secret that only {kind.__name__} has")  # no test before has had it made
    variables = [entry.frame.f_locals for entry in caught.traceback[1:]]
    assert variables and "uncommon" not in repr(variables)
    assert "interrupted" not in [entry.name for entry in caught.traceback]
