"""The start script: its options, the starter that is made of them, its output, errors and exit status."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from pyro_events import EVENTSERVER_NAME, es
from pyro_events.options import Overflow, ServiceOptions

LOOPBACK = "127.0.0.1"


@pytest.fixture(autouse=True)
def same_collector() -> Iterator[None]:
    """The other tests of this process have Python's own settings."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


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


def test_a_service_has_its_name_server_or_none(capsys: pytest.CaptureFixture[str]) -> None:
    for others in (["--embed-ns"], ["--ns-host", LOOPBACK], ["--ns-port", "1"]):
        with pytest.raises(SystemExit) as caught:
            parsed("--no-ns", *others)
        assert caught.value.code == 2
        assert "--no-ns cannot be combined with --embed-ns, --ns-host or --ns-port" in capsys.readouterr().err


# The command


@pytest.fixture(autouse=True)
def file_limits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """For how many connections the command raises the limit of open files, in place of this process's."""
    asked: list[int] = []
    monkeypatch.setattr(es, "raise_file_limit", asked.append)
    return asked


def run(*options: str) -> int:
    """The exit status of the command."""
    try:
        return es.main(options)
    except SystemExit as error:
        assert isinstance(error.code, int)
        return error.code


def the_error(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """The one line on stderr of a command that refuses to start."""
    assert run(*options) in (1, 2)
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("pyro-es: ")
    return said.err


@pytest.fixture
def handlers() -> Iterator[None]:
    """The handlers of signals as they are now, afterwards: the command leaves those that end it at once."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "options", "more"),
    [
        (signal.SIGTERM, ["-N"], []),
        (
            signal.SIGINT,
            ["--embed-ns", "--ns-port", "0"],
            ["Name server URI = PYRO:Pyro.NameServer@127.0.0.1:"],
        ),
    ],
    ids=["no name server", "its own"],
)
def test_it_says_where_it_is_and_ends_at_a_signal(
    number: signal.Signals,
    options: list[str],
    more: list[str],
    handlers: None,
    file_limits: list[int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def say(text: str) -> None:
        print(text)
        if text == "Event service started.":
            signal.raise_signal(number)

    monkeypatch.setattr(es, "say", say)
    assert run("-n", LOOPBACK, "-p", "0", "--max-connections", "77", *options) == 0
    beginnings = [*more, f"URI = PYRO:{EVENTSERVER_NAME}@{LOOPBACK}:", "Event service started.", "Event ser"]
    said = capsys.readouterr().out.splitlines()
    for line, beginning in zip(said, beginnings, strict=True):
        assert line.startswith(beginning)
    assert said[-1] == "Event service stopped."
    assert file_limits == [77]


OPTIONS = [
    "--help",
    "--host",
    "--port",
    "--no-ns",
    "--ns-host",
    "--ns-port",
    "--embed-ns",
    "--replace",
    "--backlog",
    "--backlog-bytes",
    "--total-backlog-bytes",
    "--overflow",
    "--delivery-deadline",
    "--max-message",
    "--max-connections",
    "--max-per-host",
    "--total-subscription-bytes",
    "--host-subscription-bytes",
    "--max-subscriptions",
    "--max-programs",
    "--max-retained",
    "--max-retained-bytes",
    "--heartbeat",
    "--heartbeat-answer",
    "--first-contact",
    "--linger",
    "--handshake-timeout",
    "--frame-timeout",
    "--drain",
    "--ident",
    "--ident-file",
    "--allow-stock",
    "--allow-callback",
    "--nathost",
    "--natport",
]


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_option(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(option) == 0
    shown = capsys.readouterr().out
    assert [each for each in [*OPTIONS, "-h", "-n", "-p", "-N", "-v"] if each not in shown] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOST", "no.such.host.invalid"),
        ("PORT", "many"),
        ("PORT", "70000"),
        ("NO_NS", "perhaps"),
        ("NS_PORT", "many"),
        ("EMBED_NS", "perhaps"),
        ("REPLACE", "perhaps"),
        ("BACKLOG", "0"),
        ("BACKLOG_BYTES", "-1"),
        ("OVERFLOW", "explode"),
        ("DELIVERY_DEADLINE", "0"),
        ("MAX_MESSAGE", "large"),
        ("MAX_CONNECTIONS", "0"),
    ],
)
def test_a_bad_variable_is_named(
    name: str, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for each, text in {"HOST": LOOPBACK, "PORT": "0", "NO_NS": "1", name: value}.items():
        monkeypatch.setenv(f"PYROEVENTS_{each}", text)
    error = the_error(capsys)
    if value in ("many", "70000", "perhaps", "explode", "large"):  # others are found later, by their name
        assert f"PYROEVENTS_{name} " in error
    assert value in error


@pytest.mark.parametrize(
    "options",
    [
        ["--port", "many"],
        ["--port", "70000"],
        ["--port", "-1"],
        ["--ns-port", "many"],
        ["--backlog", "0"],
        ["--backlog", "-5"],
        ["--backlog-bytes", "much"],
        ["--total-backlog-bytes", "0"],
        ["--overflow", "explode"],
        ["--delivery-deadline", "0"],
        ["--delivery-deadline", "nan"],
        ["--max-message", "0"],
        ["--max-connections", "0"],
        ["--max-subscriptions", "0"],
        ["--max-programs", "few"],
        ["--max-retained", "0"],
        ["--max-retained-bytes", "-1"],
        ["--heartbeat", "-1"],
        ["--heartbeat-answer", "0"],
        ["--first-contact", "soon"],
        ["--linger", "inf"],
        ["--handshake-timeout", "nan"],
        ["--frame-timeout", "0"],
        ["--drain", "0"],
        ["--host", "127.0.0.1:9095"],
        ["--host", "a b"],
        ["--nathost", "outside:9095"],
        ["--nathost", "http://outside"],
        ["--natport", "77"],
        ["--natport", "70000"],
        ["--no-such-option"],
        ["unexpected"],
    ],
    ids=" ".join,
)
def test_a_bad_option_is_one_line(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    error = the_error(capsys, "-N", "-n", LOOPBACK, "-p", "0", *options)
    assert options[0].lstrip("-") in error.replace("_", "-")


def test_an_address_of_another_machine_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    error = the_error(capsys, "-N", "-p", "0", "-n", "192.0.2.1")
    assert "192.0.2.1 is not an address of this machine" in error


def test_the_service_s_process_looks_for_cycles_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, frozen, found = gc.get_threshold(), gc.get_freeze_count(), list[tuple[int, int, int]]()
    imported = [[each] for each in range(10)]

    def run(*arguments: Any, **options: Any) -> int:
        found.append(gc.get_threshold())
        return 0

    monkeypatch.setattr(es, "run", run)
    assert es.main(["-N"]) == 0
    assert len(found) == 1 and found[0] > usual and gc.get_freeze_count() >= frozen + len(imported)
