"""What argparse makes of each kind of option."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from pyro_events.cli.option_groups import (
    GENERAL_OPTIONS,
    IDENT_OPTIONS,
    Hosts,
    count,
    port,
    seconds,
    size,
    switch,
)
from pyro_events.secret import Passphrase
from pyro_events.version import in_words


def parser_of(*options: tuple[tuple[str, ...], dict[str, Any]]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    for names, settings in options:
        parser.add_argument(*names, **settings)
    return parser


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("9095", 9095), ("65535", 65535)])
def test_a_port(text: str, number: int) -> None:
    assert port(text) == number


@pytest.mark.parametrize("text", ["-1", "65536", "ninety", ""])
def test_an_argument_that_is_not_a_port_is_refused(text: str) -> None:
    with pytest.raises((argparse.ArgumentTypeError, ValueError)):
        port(text)


def test_each_kind_says_its_default() -> None:
    parser = parser_of(
        (("--events",), count(100, "N", "events that wait")),
        (("--bytes",), size(64 << 20, "bytes that wait")),
        (("--drain",), seconds(10.0, "time to drain")),
        (("--quiet",), switch("say nothing")),
    )
    found = parser.parse_args([])
    assert (found.events, found.bytes, found.drain, found.quiet) == (100, 64 << 20, 10.0, False)
    found = parser.parse_args(["--events", "5", "--bytes", "7", "--drain", "0.5", "--quiet"])
    assert (found.events, found.bytes, found.drain, found.quiet) == (5, 7, 0.5, True)
    shown = " ".join(parser.format_help().split())
    for text in ("(default: 100)", "which is 64 MiB)", "(default: 10)", "say nothing"):
        assert text in shown


def test_hosts_are_gathered() -> None:
    parser = parser_of((("--allow",), {"action": Hosts}))
    assert parser.parse_args([]).allow is None
    assert parser.parse_args(["--allow", "a", "--allow", "b"]).allow == ["a", "b"]


def test_a_passphrase_is_never_shown() -> None:
    found = parser_of(*IDENT_OPTIONS).parse_args(["-i", "secret", "--allow-stock", "192.0.2.1"])
    assert type(found.ident) is Passphrase and "secret" not in repr(found)
    assert found.allow_stock == ["192.0.2.1"]


@pytest.mark.parametrize(("option", "text"), [("--help", "--version"), ("--version", in_words())])
def test_what_all_scripts_can_be_asked(option: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser_of(*GENERAL_OPTIONS[1]).parse_args([option])
    assert caught.value.code == 0 and text in capsys.readouterr().out
