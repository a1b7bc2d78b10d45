"""The names of the embedded name server: what may be entered, and how much of it."""

from __future__ import annotations

from sys import getsizeof

import Pyro5.errors
import pytest

from pyro_events.server.names.name_table import NameTable, check_metadata, check_name

URI = "PYRO:x@127.0.0.1:1"


def test_names_are_bounded_in_number() -> None:
    table = NameTable(most_names=2)
    table.enter("a", URI)
    table.enter("b", URI)
    with pytest.raises(Pyro5.errors.NamingError, match="has 2 names: remove some"):
        table.enter("c", URI)
    table.enter("a", "PYRO:y@127.0.0.1:1")
    assert table.remove(["a", "nobody"]) == 1
    table.enter("c", URI)
    assert sorted(name for name, _ in table.entries()) == ["b", "c"]


def test_names_are_bounded_in_bytes_with_their_metadata() -> None:
    table = NameTable(most_bytes=20_000)
    table.enter("a", URI, ["x" * 10_000])
    for refused in (
        lambda: table.enter("b", URI, ["y" * 10_000]),
        lambda: table.enter("a", URI, ["y" * 20_000]),
        lambda: table.set_metadata("a", ["y" * 20_000]),
        lambda: table.set_metadata("a", [str(number) for number in range(1000)]),
    ):
        with pytest.raises(Pyro5.errors.NamingError, match="would take over 20,000 bytes"):
            refused()
        assert table.get("a").metadata == ("x" * 10_000,)
    table.set_metadata("a", None)
    table.enter("b", URI, ["y" * 10_000])
    table.remove(["a", "b"])
    assert table.bytes == 0
    assert len(table) == 0


def test_no_less_is_counted_than_is_taken() -> None:
    table = NameTable()
    tags = [f"tag{number}" for number in range(100)]
    table.enter("name", URI, tags)
    record = table.get("name")
    taken = sum(map(getsizeof, (record, record.metadata, "name", record.uri, *record.metadata)))
    assert table.bytes == record.size >= taken


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", "\ud800", "\x85"])
def test_a_name_is_short_and_printable(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 255 printable characters"):
        check_name(name)
    assert "a" not in NameTable()


def test_metadata_is_texts() -> None:
    assert check_metadata({"b", "a"}) == ("a", "b")
    assert check_metadata(["a", "a", "é"]) == ("a", "é")
    for wrong in "a", {"a": 1}, 5, [5], [["a"]], [1 << 61 * power for power in range(40)], b"a":
        with pytest.raises(TypeError, match="metadata is"):
            check_metadata(wrong)
    with pytest.raises(ValueError, match="lone surrogate"):
        check_metadata(["\ud800"])
