"""Permissions: what a file makes of users, and what stays the same when it is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyro_events.broker.matching.rights import Rights
from pyro_events.server.permissions.permissions import Permissions, load_permissions
from pyro_events.wire.handshake.passphrase import identity_of

ALICE = '[users.alice]\nident = "{ident}"\npublish = ["{rule}"]\n'
BOB = '[users.bob]\nident = "b"\npublish = ["LAB.*"]\n'


def loaded(folder: Path, text: str, before: Permissions | None = None) -> Permissions:
    file = folder / "laboratory.toml"
    file.write_text(text)
    file.chmod(0o600)
    return load_permissions(str(file), before)


def test_users_have_an_identity_and_rights(tmp_path: Path) -> None:
    permissions = loaded(tmp_path, ALICE.format(ident="a", rule="LAB.*") + BOB)
    for name, ident in ("alice", "a"), ("bob", "b"):
        identity, expected = permissions.identity_for(name), identity_of(ident, name)
        assert identity is not None and expected is not None
        assert identity.mac("role", "part") == expected.mac("role", "part")
    # Equal rights are one object, which remembers for both what it has judged.
    assert permissions.rights_of("alice") is permissions.rights_of("bob")
    assert permissions.rights_of("alice") == Rights(publish=("LAB.*",))
    assert len(permissions) == 2 and "a" not in repr(permissions).replace("Permissions", "")


def test_who_is_no_user_has_the_default_and_an_unknown_user_has_nothing(tmp_path: Path) -> None:
    permissions = loaded(tmp_path, '[default]\nsubscribe = ["*"]\n' + BOB)
    assert permissions.rights_of("") == Rights(subscribe=("*",))
    assert permissions.rights_of("carol") == Rights() and permissions.identity_for("carol") is None
    assert permissions.identity_for("") is None


def test_who_is_gone_when_it_is_read_again(tmp_path: Path) -> None:
    first = loaded(tmp_path, ALICE.format(ident="a", rule="LAB.*") + BOB)
    other_rights = loaded(tmp_path, ALICE.format(ident="a", rule="HALL.*") + BOB, first)
    assert first.gone_after(other_rights) == frozenset()
    assert other_rights.rights_of("bob") is first.rights_of("bob")
    other_ident = loaded(tmp_path, ALICE.format(ident="x", rule="LAB.*") + BOB, first)
    assert first.gone_after(other_ident) == {"alice"}
    assert first.gone_after(loaded(tmp_path, ALICE.format(ident="a", rule="LAB.*"), first)) == {"bob"}


def test_a_wrong_file_raises_before_any_key_is_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"laboratory.toml: \[users.bob\]: it has neither"):
        loaded(tmp_path, ALICE.format(ident="a", rule="X") + "[users.bob]\n")


def test_who_does_not_want_it_any_more_does_not_wait_for_its_keys(tmp_path: Path) -> None:
    answers = [True, False]
    (tmp_path / "file").write_text(ALICE.format(ident="a", rule="X") + BOB)
    with pytest.raises(RuntimeError, match="not wanted any more"):
        load_permissions(str(tmp_path / "file"), wanted=lambda: answers.pop(0))
    assert answers == []
