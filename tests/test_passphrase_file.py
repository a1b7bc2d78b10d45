"""A passphrase in a file is its first line, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyro_events.passphrase_file import read_passphrase
from pyro_events.secret import Passphrase


def test_the_first_line_is_the_passphrase(tmp_path: Path) -> None:
    (tmp_path / "ident").write_text(" two words \r\nnot this\n")
    with open(tmp_path / "ident", encoding="utf-8") as file:
        expected = file.readline().rstrip("\n")
    found = read_passphrase(str(tmp_path / "ident"))
    assert isinstance(found, Passphrase) and found == expected == " two words "


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \nsecret\n", "is empty"),
        (b"x" * 4097, "longer than 4096 characters"),
        (b"secret\xff", "not UTF-8 text (invalid start byte at byte 6)"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_reason_without_what_was_read(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "ident").write_bytes(content)
    found = read_passphrase(str(tmp_path / "ident"))
    assert isinstance(found, str) and reason in found and "secret" not in found


def test_a_file_that_is_not_there_is_a_reason(tmp_path: Path) -> None:
    assert read_passphrase(str(tmp_path / "none")) == "No such file or directory"
    assert "null" in str(read_passphrase("a\0b"))
