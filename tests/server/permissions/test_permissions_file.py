"""The file with the permissions: what it says, and one line with the place for everything that is wrong."""

from __future__ import annotations

import errno
import os
import re
import traceback
from pathlib import Path

import pytest

from pyro_events.broker.matching.rights import Rights
from pyro_events.server.permissions.permissions_file import (
    PermissionsFileError,
    read_permissions,
    tomllib,
)

WHOLE = """
[users.alice]
ident = "the key of alice"
publish = ["LAB.*"]
subscribe = ["*", "!SECRET.*"]
groups = ["workers"]
block = true
admin = false

[users.bob]
ident_file = "keys/bob.txt"

[default]
subscribe = ["PUBLIC.*"]
"""


def written(folder: Path, text: str, mode: int = 0o600) -> str:
    file = folder / "laboratory.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return str(file)


def test_what_a_file_says(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "bob.txt").write_text("the key of bob\nmore\n")
    (tmp_path / "keys" / "bob.txt").chmod(0o600)
    reading = read_permissions(written(tmp_path, WHOLE))
    assert reading.default == Rights(subscribe=("PUBLIC.*",))
    alice = Rights(("LAB.*",), ("*", "!SECRET.*"), frozenset({"workers"}), block=True)
    assert reading.users["alice"] == ("the key of alice", alice)
    assert reading.users["bob"] == ("the key of bob", Rights())


def test_what_is_not_there_allows_nothing(tmp_path: Path) -> None:
    reading = read_permissions(written(tmp_path, ""))
    assert reading == (Rights(), {})


def user(*lines: str) -> str:
    return "\n".join(["[users.alice]", 'ident = "S3CRET"', *lines])


@pytest.mark.parametrize(
    ("text", "place_and_reason"),
    [
        ('[users.alice]\nident = "S3CRET', r"it is not TOML: .*at (line 2, column 16|end of document)"),
        (user('ident = "S3CRET"', "block = true"), r"it is not TOML: .*at line 3, column"),
        (user() + "\n" + user(), r"it is not TOML: .*at line 3, column"),
        ("x = " + "[" * 5000, r"it is not TOML: "),
        (
            '[user.alice]\nident = "S3CRET"',
            r"unknown table or key 'user' at the top; there are default",
        ),
        (
            user("publishes = []"),
            r"\[users.alice\]: unknown key 'publishes'; there are ident, ident_file",
        ),
        ('[default]\nident = "S3CRET"', r"\[default\]: unknown key 'ident'; there are publish, subscribe"),
        ("default = 1", r"default must be a table, not a number: write \[default\]"),
        ('users = "S3CRET"', r"users must be a table, not text: write \[users\]"),
        ('[users]\nalice = "S3CRET"', r"\[users.alice\]: write \[users.alice\] above the keys"),
        ("[users.alice]\nblock = true", r"\[users.alice\]: it has neither ident nor ident_file"),
        (user('ident_file = "S3CRET"'), r"\[users.alice\]: it has both ident and ident_file"),
        ("[users.alice]\nident = 7", r"\[users.alice\]: ident must be text in quotes, not a number"),
        ('[users.alice]\nident = " "', r"\[users.alice\]: ident is empty"),
        ('[users.alice]\nident_file = ""', r"\[users.alice\]: ident_file is empty"),
        ('[users.alice]\nident_file = "none"', r"\[users.alice\]: ident_file: .*/none: No such file or dir"),
        ('[users.""]\nident = "S3CRET"', r"\[users.''\]: a user's name is empty"),
        ('[users."a\\nb"]\nident = "S3CRET"', r"\[users.'a\\nb'\]: user 'a\\nb' contains characters"),
        (user('publish = "LAB.*"'), r'\[users.alice\]: publish must be a list, such as publish = \["LAB'),
        (user("subscribe = [1]"), r"\[users.alice\]: subscribe must contain texts in quotes, not a number"),
        (user('groups = [""]'), r"\[users.alice\]: groups contains an empty text"),
        (user('groups = ["*"]'), r"\[users.alice\]: groups: '\*' is a pattern: groups are named one by one"),
        (user('groups = ["!x"]'), r"\[users.alice\]: groups: '!x' is a pattern"),
        (user(f'groups = ["{"x" * 256}"]'), r"\[users.alice\]: groups: a group's name has 1 to 255 pr"),
        (user('groups = "x"'), r'\[users.alice\]: groups must be a list, such as groups = \["workers"\]'),
        (
            user(f'publish = ["{"x" * 300}"]'),
            r"\[users.alice\] publish: the rule '.{,30}' cannot .* 300 char",
        ),
        (
            user('publish = ["[z-a]"]'),
            r"\[users.alice\] publish: the rule '\[z-a\]' cannot be used: .* z-a",
        ),
        (
            user('subscribe = ["!"]'),
            r"\[users.alice\] subscribe: the rule '!' cannot be used: .* empty",
        ),
        (user("block = 1"), r"\[users.alice\]: block must be true or false, not a number"),
        (user("admin = 2020-01-01"), r"\[users.alice\]: admin must be true or false, not a date or a time"),
        ("\n".join(f"[users.u{n}]" for n in range(1001)), r"\[users\]: there are more than 1,000 users"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_place(text: str, place_and_reason: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(PermissionsFileError) as caught:
        read_permissions(path)
    line = str(caught.value)
    assert re.match("permissions file " + re.escape(path) + ": " + place_and_reason, line), line
    assert "\n" not in line
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in shown.stack if "pyro_events/server" in Path(frame.filename).as_posix()]
    assert ours and not any("S3CRET" in str(frame.locals) for frame in ours)
    assert "S3CRET" not in line and not isinstance(caught.value.__context__, tomllib.TOMLDecodeError)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"\xff", "not UTF-8 text"), (b"#" * (1024 * 1024 + 1), "larger than 1024 KiB")],
)
def test_a_file_that_is_no_text_or_too_long(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(PermissionsFileError, match=reason):
        read_permissions(str(tmp_path / "file"))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PermissionsFileError, match=r"^permissions file .*none: No such file or dir"):
        read_permissions(str(tmp_path / "none"))
    with pytest.raises(PermissionsFileError, match="null"):
        read_permissions("a\0b")


@pytest.mark.parametrize("rule", ["^LAB", "LAB$", r"LAB\.X", " LAB.*", "! SECRET.*", "!^SECRET"])
def test_a_rule_that_seems_to_be_a_regular_expression_is_a_warning(
    rule: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It would match nothing, and so deny nothing."""
    path = written(tmp_path, user(f"subscribe = ['*', '{rule}']"))
    assert read_permissions(path).users["alice"][1].subscribe == ("*", rule)
    expected = f"permissions file {path}: [users.alice] subscribe: is the rule {rule!r} meant so?"
    assert expected in caplog.text


def test_other_rules_are_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_permissions(written(tmp_path, user("subscribe = ['*', '!$ES.*', 'A B', 'LAB.[a-z]?', 'ß.*']")))
    assert "meant so" not in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="there are no such modes")
def test_a_file_that_all_can_read_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_permissions(written(tmp_path, "[default]", 0o644))
    read_permissions(written(tmp_path, user(), 0o640))
    assert "can read" not in caplog.text
    path = written(tmp_path, user(), 0o644)
    read_permissions(path)
    assert f"every user of this machine can read the passphrases in {path}" in caplog.text


def test_the_example_can_be_used(root: Path) -> None:
    reading = read_permissions(str(root / "examples" / "permissions" / "laboratory.toml"))
    assert set(reading.users) == {"spectrometer", "corridor", "analysis", "operator"}
    corridor = reading.users["corridor"][1]
    assert corridor.may_receive("lab.oven") and not corridor.may_receive("Lab.Secret.X")
    assert reading.users["operator"][1].may_receive("$ES.SUBSCRIBER.LEFT")
    assert reading.default.may_receive("PUBLIC.X") and not reading.default.may_publish("PUBLIC.X")


def test_a_pipe_is_not_read_again_because_nobody_may_ever_write_to_it(tmp_path: Path) -> None:
    """A service whose file, or a user's, has become one would wait for ever and read no other."""
    os.mkfifo(tmp_path / "fifo")
    for path in (str(tmp_path / "fifo"), written(tmp_path, "[users.alice]\nident_file = 'fifo'")):
        with pytest.raises(PermissionsFileError, match="not a regular file"):
            read_permissions(path, again=True)
    with pytest.raises(PermissionsFileError, match=os.strerror(errno.EISDIR)):
        read_permissions(str(tmp_path), again=True)
    assert read_permissions(written(tmp_path, user()), again=True).users
