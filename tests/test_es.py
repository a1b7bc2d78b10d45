"""The start script's options, and the starter that is made of them; nothing is started."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from pyro_events import es
from pyro_events.options import Overflow, ServiceOptions


def parsed(*arguments: str, **environment: str) -> Any:
    return es.parse(arguments, environment)


def test_what_is_not_said_is_as_the_options_have_it() -> None:
    made = es.make_starter(parsed())
    assert made._options == ServiceOptions()


def test_each_number_of_the_options_can_be_said() -> None:
    for field in fields(ServiceOptions):
        if isinstance(field.default, (int, float)) and not isinstance(field.default, bool):
            option = "--" + field.name.replace("_", "-")
            value = field.default + 1
            assert getattr(es.make_starter(parsed(option, str(value)))._options, field.name) == value, option


def test_the_command_line_goes_before_the_environment() -> None:
    assert parsed(PYROEVENTS_BACKLOG="5").backlog == 5
    assert parsed("--backlog", "7", PYROEVENTS_BACKLOG="5").backlog == 7


def test_what_a_subscriber_has_unless_it_says_otherwise() -> None:
    made = es.make_starter(parsed("--backlog", "5", "--backlog-bytes", "1000", "--overflow", "latest"))
    backlog = made._options.backlog
    assert (backlog.backlog, backlog.backlog_bytes, backlog.overflow) == (5, 1000, Overflow.LATEST)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--no-ns", "--embed-ns"),
        ("-N", "--ns-host", "127.0.0.1"),
        ("--port", "ninety"),
        ("--overflow", "never"),
        ("--no-such-option",),
    ],
    ids=" ".join,
)
def test_a_bad_option_is_exit_status_2(wrong: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed(*wrong)
    assert caught.value.code == 2
    assert capsys.readouterr().err.strip()
