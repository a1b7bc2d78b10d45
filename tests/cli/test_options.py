"""What the start scripts have in common."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, settings
from hypothesis import given as given_some
from hypothesis import strategies as st

from pyro_events import es
from pyro_events.cli.options import addresses, passphrase
from pyro_events.options import ServiceOptions

FILE = "PYROEVENTS_IDENT_FILE"


def given(*arguments: str, **environment: str) -> Any:
    return es.parse(arguments, {f"PYROEVENTS_{name}": text for name, text in environment.items()})


def test_the_passphrase(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(" with spaces and ü \nmore", encoding="utf-8")
    assert passphrase(given()) is None
    assert passphrase(given("-i", "x")) == "x"
    assert passphrase(given(f"--ident={'-x'}")) == "-x"
    assert passphrase(given(IDENT="x")) == "x"
    assert passphrase(given(IDENT="-x")) == "-x"
    assert passphrase(given("--ident-file", str(file))) == " with spaces and ü "
    assert passphrase(given(IDENT_FILE=str(file))) == " with spaces and ü "


def test_one_on_the_command_line_comes_before_all_variables(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from the file", encoding="utf-8")
    assert passphrase(given("-i", "x", IDENT="y", IDENT_FILE="no such file")) == "x"
    assert passphrase(given("--ident-file", str(file), IDENT="y")) == "from the file"


def test_two_of_a_kind_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        given("-i", "x", "--ident-file", "y")
    assert "--ident and --ident-file are the same thing" in capsys.readouterr().err
    with pytest.raises(ValueError, match="PYROEVENTS_IDENT and PYROEVENTS_IDENT_FILE"):
        passphrase(given(IDENT="x", IDENT_FILE="y"))


@pytest.mark.parametrize("content", [b"", b"\n", b"  \nx"])
def test_a_file_without_a_passphrase(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="should be the passphrase, but is empty"):
        passphrase(given("--ident-file", str(file)))


ENDS = ["", "\n", "\r\n", "\r", "\n\n", "\nmore\n", "\n\xff"]
MIDDLES = ["\v", "\f", "\x1c", "\x85", "\u2028", "\u2029", "\0", "\t", " ", "\ufeff", "ü", "🔑", "\r"]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given_some(
    parts=st.lists(st.sampled_from([*MIDDLES, "secret", "x" * 1000, "x" * 4094]), max_size=5),
    end=st.sampled_from(ENDS),
)
@example(parts=["x" * 4096], end="\n")
@example(parts=["x" * 4097], end="\n")
@example(parts=["x" * 4096], end="\r\n")
@example(parts=["secret", "\v", "secret"], end="\n")
@example(parts=["secret", "\u2028", "secret"], end="")
def test_a_file_is_taken_as_readline_does_or_refused(tmp_path: Path, parts: list[str], end: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes("".join([*parts, end]).encode())
    with open(file, encoding="utf-8") as opened:
        line = opened.readline().rstrip("\n")
    if line.strip() and len(line) <= 4096:
        assert passphrase(given("--ident-file", str(file))) == line
        return
    with pytest.raises(ValueError, match="longer than 4096 characters" if line.strip() else "is empty"):
        passphrase(given("--ident-file", str(file)))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    late = tmp_path / "late"
    late.write_bytes(b"secret\n\xff")
    for path in (binary, late, tmp_path, tmp_path / "none", "nu\0ll"):
        with pytest.raises(ValueError, match="cannot be read from"):
            passphrase(given("--ident-file", str(path)))


@pytest.mark.parametrize("path", ["a\nb", "\x1b[31m", "\ud800"])
def test_an_error_is_one_line_whatever_the_file_is_called(path: str) -> None:
    with pytest.raises(ValueError, match="cannot be read from") as caught:
        passphrase(given("--ident-file", path))
    assert str(caught.value).isprintable()


def test_hosts_may_be_repeated() -> None:
    assert given().allow_callback is None
    options = given("--allow-callback", "127.0.0.1", "--allow-callback", "::1", ALLOW_STOCK="a, b c,d")
    assert options.allow_callback == ["127.0.0.1", "::1"]
    assert options.allow_stock == ["a", "b", "c", "d"]
    assert given("--allow-stock", "e", ALLOW_STOCK="a b").allow_stock == ["e"]
    assert given(ALLOW_CALLBACK="").allow_callback is None


def test_hosts_are_looked_up_once_at_the_start() -> None:
    assert addresses(None) == addresses([]) == frozenset()
    assert addresses(["127.0.0.1", "::1"]) == frozenset({"127.0.0.1", "::1"})
    assert "127.0.0.1" in addresses(["localhost"])
    for unknown in ("no.such.host.invalid", "." * 200):
        with pytest.raises(ValueError, match="cannot be looked up"):
            addresses([unknown])


@pytest.mark.parametrize(
    ("text", "expected"),
    [*((text, True) for text in ("1", "on", "Yes", "TRUE")), *((text, False) for text in ("", "0", "No"))],
)
def test_a_switch_in_the_environment(text: str, expected: bool) -> None:
    assert given(NO_NS=text).no_ns is expected
    assert given("--no-ns", NO_NS=text).no_ns is True


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"NO_NS": "perhaps"}, "PYROEVENTS_NO_NS must be 1 or 0, not 'perhaps'"),
        ({"PORT": "many"}, "PYROEVENTS_PORT in the environment: argument -p/--port: "),
    ],
)
def test_a_bad_variable_is_named(
    variables: dict[str, str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        given(**variables)
    assert caught.value.code == 2
    assert text in capsys.readouterr().err


def test_no_frame_of_a_bad_option_holds_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        given("-i", "secret", "--no-such-option")
    assert caught.value.__context__ is None
    frames = [each.frame for each in caught.traceback]
    assert not [frame for frame in frames if "argparse" in str(frame.code.path)]
    assert "secret" not in capsys.readouterr().err


NUMBERS = [field.name for field in fields(ServiceOptions) if field.type in ("int", "float")]


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_of_the_service_is_an_option_and_a_variable(name: str) -> None:
    assert len(NUMBERS) > 10
    plain = es.make_starter(given("-N"))._options
    assert plain == ServiceOptions()
    assert getattr(plain, name) != 7
    wanted = replace(plain, **{name: 7})
    option = f"--{name.replace('_', '-')}"
    assert es.make_starter(given("-N", option, "7"))._options == wanted
    assert es.make_starter(given("-N", **{name.upper(): "7"}))._options == wanted
    assert es.make_starter(given("-N", option, "7", **{name.upper(): "8"}))._options == wanted


def test_the_starter_gets_them() -> None:
    given_all = given(
        *("-N", "-i", "x", "--allow-stock", "127.0.0.1"), ALLOW_CALLBACK="::1", TOTAL_BACKLOG_BYTES="12345"
    )
    options = es.make_starter(given_all)._options
    assert options.total_backlog_bytes == 12345
    assert options.allow_stock == frozenset({"127.0.0.1"})
    assert options.allow_callback == frozenset({"::1"})
    with pytest.raises(ValueError, match="empty passphrase"):
        es.make_starter(given("-N", "-i", " "))
