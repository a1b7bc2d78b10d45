"""python -m pyro_events.ns: its options, output, errors and signals."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Process, Spawner
from Pyro5.api import URI, Proxy, config
from Pyro5.errors import CommunicationError

from pyro_events import AccessDeniedError, NameServerStarter, __version__, locate_ns, ns

LOOPBACK = "127.0.0.1"
SECRET = "a secret"


def start(spawn: Spawner, *options: str, env: dict[str, str | None] | None = None) -> tuple[Process, URI]:
    process = spawn("-m", "pyro_events.ns", *options, env=env, ready="Name server started")
    return process, URI(process.wait_for(r"URI = (\S+)").group(1))


def test_it_prints_where_it_is_and_ends_in_order(spawn: Spawner) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        process, uri = start(spawn, "-n", LOOPBACK, "-p", "0")
        assert (uri.object, uri.host) == ("Pyro.NameServer", LOOPBACK)
        with Proxy(uri) as names:
            assert set(names.list()) == {"Pyro.NameServer"}
        with Proxy(f"PYRO:Pyro.Daemon@{uri.location}") as daemon:
            assert daemon.registered() == ["Pyro.NameServer", "Pyro.Daemon"]
        process.send(number)
        assert process.wait() == 0
        assert process.stderr == "" and "stopped" in process.stdout


@pytest.mark.parametrize("way", ["option", "file", "variable", "file variable"])
def test_a_passphrase(spawn: Spawner, tmp_path: Path, way: str) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\nthe rest is a comment\n", encoding="utf-8")
    options: dict[str, tuple[list[str], dict[str, str | None]]] = {
        "option": (["-i", SECRET], {}),
        "file": (["--ident-file", str(file)], {}),
        "variable": ([], {"PYROEVENTS_IDENT": SECRET}),
        "file variable": ([], {"PYROEVENTS_IDENT_FILE": str(file)}),
    }
    given, env = options[way]
    _, uri = start(spawn, "-n", LOOPBACK, "-p", "0", *given, env=env)
    with locate_ns(SECRET, uri.host, uri.port) as names:
        assert names.count() == 1
    with pytest.raises(CommunicationError, match="denied"), Proxy(uri) as stock:
        stock.count()
    with pytest.raises(AccessDeniedError):
        locate_ns("another", uri.host, uri.port)


def test_stock_clients_of_named_hosts(spawn: Spawner) -> None:
    _, uri = start(spawn, "-n", LOOPBACK, "-p", "0", "-i", SECRET, "--allow-stock", "localhost")
    with Proxy(uri) as stock:
        assert stock.count() == 1


def test_variables_of_its_own(spawn: Spawner, free_port: Callable[[], int]) -> None:
    """PYROEVENTS_PORT is the event service's."""
    port = free_port()
    env: dict[str, str | None] = {
        "PYROEVENTS_HOST": "192.0.2.1",
        "PYROEVENTS_PORT": "1",
        "PYROEVENTS_NS_HOST": LOOPBACK,
        "PYROEVENTS_NS_PORT": str(port),
    }
    _, uri = start(spawn, env=env)
    assert (uri.host, uri.port) == (LOOPBACK, port)


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        (["-p", "many"], 2, "--port"),
        (["--no-such-option"], 2, "--no-such-option"),
        (["-i", ""], 2, "empty passphrase"),
        (["-i", "x", "--ident-file", "y"], 2, "give one of them"),
        (["--ident-file", "no/such/file"], 2, "cannot be read from no/such/file"),
        (["--allow-stock", "no.such.host.invalid"], 2, "no.such.host.invalid"),
        (["-n", "no.such.host.invalid"], 1, "no.such.host.invalid"),
    ],
)
def test_errors_are_one_line(
    options: list[str], status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        found = ns.main(["-n", LOOPBACK, "-p", "0", *options])
    except SystemExit as error:
        found = error.code  # type: ignore[assignment]
    assert found == status
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("pyro_events.ns: ") and text in captured.err


def test_a_taken_port(capsys: pytest.CaptureFixture[str]) -> None:
    with NameServerStarter(LOOPBACK, 0) as other:
        port = URI(other.uri).port
        assert ns.main(["-n", LOOPBACK, "-p", str(port)]) == 1
    assert f"port {port} of {LOOPBACK} is taken" in capsys.readouterr().err


def test_it_runs_until_a_signal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def say(text: str) -> None:
        print(text)
        if text == "Name server started.":
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(ns, "say", say)
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        assert ns.main(["-n", LOOPBACK, "-p", "0", "-i", SECRET]) == 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    where, *others = capsys.readouterr().out.splitlines()
    assert where.startswith(f"URI = PYRO:Pyro.NameServer@{LOOPBACK}:")
    assert others == ["Name server started.", "Name server stopped."]


def test_options_are_parsed_without_starting() -> None:
    options = ns.parse(["-p", "7"], {"PYROEVENTS_NS_HOST": LOOPBACK, "PYROEVENTS_PORT": "9"})
    assert (options.host, options.port) == (LOOPBACK, 7)


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for option, text in (("--help", "--ident-file"), ("--version", __version__)):
        with pytest.raises(SystemExit) as caught:
            ns.main([option])
        assert caught.value.code == 0
        assert text in capsys.readouterr().out


def test_where_it_listens_by_default(free_port: Callable[[], int]) -> None:
    config.NS_PORT = free_port()
    with NameServerStarter() as starter:
        assert starter.uri == f"PYRO:Pyro.NameServer@localhost:{config.NS_PORT}"
