"""python -m pyro_events.es: its options, errors and signals (C25, C26, C28, C29)."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from listening import Collector, collecting, listening
from processes import Process, Spawner
from Pyro5.api import Proxy, locate_ns
from Pyro5.errors import CommunicationError
from waiting import eventually

from pyro_events import EVENTSERVER_NAME, Event, Publisher

LOOPBACK = "127.0.0.1"


def the_error(process: Process) -> str:
    """The one line on stderr of a process that refused to start."""
    assert process.wait() not in (0, None)
    lines = process.stderr.splitlines()
    assert len(lines) == 1, process
    assert "Traceback" not in process.stderr
    return lines[0]


def answers(uri: str) -> bool:
    """Whether an event service answers there."""
    try:
        with Proxy(uri) as proxy:
            return proxy.publish("NOBODY.LISTENS", None) == 0
    except CommunicationError:
        return False


# Options


def test_without_name_server_it_prints_where_it_is(start_service) -> None:
    service = start_service("-N")
    assert service.port not in (0, 9095)
    assert answers(service.uri)


def test_host_is_where_it_listens(start_service) -> None:
    service = start_service("-n", "127.0.0.2")
    assert "@127.0.0.2:" in service.uri
    assert answers(service.uri)


def test_port_is_the_one_asked_for(start_service, free_port: Callable[[], int]) -> None:
    port = free_port()
    assert start_service("--port", str(port)).port == port


def test_it_is_registered_under_its_name(start_service, name_server) -> None:
    service = start_service(ns=name_server)
    assert name_server.lookup() == service.uri


def test_name_server_is_found_by_options(start_service, name_server, spawn: Spawner) -> None:
    process = spawn(
        *("-m", "pyro_events.es", "-n", LOOPBACK, "-p", "0"),
        *("--ns-host", LOOPBACK, "--ns-port", str(name_server.port)),
        ready="(?i)started",
    )
    assert name_server.lookup() in process.stdout


def test_embedded_name_server_knows_the_service(named_es) -> None:
    with locate_ns() as ns:
        assert str(ns.lookup(EVENTSERVER_NAME)) == named_es.uri
    with Publisher() as publisher:
        assert publisher.publish("A", 1) == 0


def test_an_embedded_name_server_for_ipv6(spawn: Spawner, free_port: Callable[[], int]) -> None:
    port = str(free_port())
    es = spawn(
        *(
            "-m",
            "pyro_events.es",
            "-n",
            "::1",
            "-p",
            "0",
            "--embed-ns",
            "--ns-port",
            port,
            "--allow-stock",
            "[::1]",
        ),
        ready="(?i)started",
    )
    assert f"Pyro.NameServer@[::1]:{port}" in es.stdout
    with Publisher(ns_host="::1", ns_port=int(port)) as publisher:
        assert publisher.publish("A", 1) == 0
        assert publisher.statistics().address in es.stdout
    assert es.terminate() == 0


def test_it_registers_and_prints_the_address_that_it_was_told(name_server, spawn: Spawner) -> None:
    es = spawn(
        *("-m", "pyro_events.es", "-n", LOOPBACK, "-p", "0"),
        *("--ns-host", LOOPBACK, "--ns-port", str(name_server.port)),
        *("--nathost", "outside.example", "--natport", "77"),
        ready="(?i)started",
    )
    assert name_server.lookup() == f"PYRO:{EVENTSERVER_NAME}@outside.example:77"
    assert "outside.example:77" in es.stdout


def test_limits_are_the_ones_asked_for(start_service) -> None:
    service = start_service("--backlog", "10", "--backlog-bytes", "5000", "--max-message", "2000")
    with collecting(service.uri) as collector, Publisher(es_uri=service.uri) as publisher:
        with pytest.raises(ValueError, match="10"):
            collector.subscribe("A", backlog=11)
        with pytest.raises(ValueError, match="5000"):
            collector.subscribe("A", backlog_bytes=5001)
        collector.subscribe("A", backlog=10, backlog_bytes=5000)
        with pytest.raises(ValueError):
            publisher.publish("A", bytes(3000))
        assert publisher.publish("A", bytes(1000)) == 1


def test_connections_are_limited(start_service) -> None:
    service = start_service("--max-connections", "3", "--max-per-host", "3")
    proxies = [Proxy(service.uri) for _ in range(3)]
    try:
        for proxy in proxies:
            proxy._pyroBind()
        with Proxy(service.uri) as another, pytest.raises(CommunicationError):
            another._pyroBind()
        proxies.pop()._pyroRelease()
        eventually(lambda: answers(service.uri), what="a place for a new connection")
    finally:
        for proxy in proxies:
            proxy._pyroRelease()


def test_overflow_policy_is_the_one_asked_for(start_service) -> None:
    service = start_service("--overflow", "drop-newest", "--backlog", "5")
    subscriber = Collector(service.uri)
    subscriber.subscribe("A")
    with Publisher(es_uri=service.uri) as publisher:
        queued = [publisher.publish("A", number) for number in range(20)]  # before it listens
        assert queued == [1] * 5 + [0] * 15
        with listening(subscriber):
            subscriber.wait(5)
            publisher.publish("A", "after the gap")
            last = subscriber.wait(6)[-1]
        assert subscriber.messages()[:-1] == list(range(5))
        assert (last.msg, last.seq, last.missed) == ("after the gap", 21, 15)


# Environment variables


@pytest.mark.parametrize("module", ["es", "ns"])
def test_a_variable_that_pyro5_does_not_know_is_named(spawn: Spawner, module: str) -> None:
    error = the_error(spawn("-m", f"pyro_events.{module}", env={"PYRO_HOTS": LOOPBACK}))
    assert "PYRO_HOTS" in error


def test_a_program_gets_the_exception_for_such_a_variable(spawn: Spawner) -> None:
    code = "try:\n    import pyro_events\nexcept ValueError as error:\n    print(error)"
    process = spawn("-c", code, env={"PYRO_HOTS": LOOPBACK}, ready="PYRO_HOTS")
    assert process.wait() == 0


def test_variables_stand_for_options(spawn: Spawner, free_port: Callable[[], int]) -> None:
    port = free_port()
    env = {
        "PYROEVENTS_HOST": LOOPBACK,
        "PYROEVENTS_PORT": str(port),
        "PYROEVENTS_NO_NS": "1",
        "PYROEVENTS_MAX_MESSAGE": "2000",
    }
    spawn("-m", "pyro_events.es", env=env, ready="(?i)started")
    with Publisher(es_uri=f"PYRO:{EVENTSERVER_NAME}@{LOOPBACK}:{port}") as publisher:
        assert publisher.publish("A", bytes(100)) == 0
        with pytest.raises(ValueError):
            publisher.publish("A", bytes(3000))


def test_an_embedded_name_server_by_variables(spawn: Spawner, free_port: Callable[[], int]) -> None:
    port = free_port()
    env = {
        "PYROEVENTS_HOST": LOOPBACK,
        "PYROEVENTS_PORT": "0",
        "PYROEVENTS_EMBED_NS": "1",
        "PYROEVENTS_NS_HOST": LOOPBACK,
        "PYROEVENTS_NS_PORT": str(port),
    }
    spawn("-m", "pyro_events.es", env=env, ready="(?i)started")
    with locate_ns(LOOPBACK, port) as ns:
        assert answers(str(ns.lookup(EVENTSERVER_NAME)))


def test_the_command_line_comes_before_the_environment(start_service) -> None:
    service = start_service("--max-message", "5000", env={"PYROEVENTS_MAX_MESSAGE": "10"})
    with Publisher(es_uri=service.uri) as publisher:
        assert publisher.publish("A", bytes(1000)) == 0


# Errors


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PYRO_NS_HOST", "lab:9090"),
        ("PYRO_NS_PORT", "70000"),
        ("PYRO_HOST", "a b"),
        ("PYRO_NATHOST", "outside:9095"),
    ],
)
def test_a_bad_setting_of_pyro5_is_one_line(spawn: Spawner, variable: str, value: str) -> None:
    options = [] if variable == "PYRO_HOST" else ["-n", LOOPBACK]
    error = the_error(spawn("-m", "pyro_events.es", *options, "-p", "0", env={variable: value}))
    assert f"Pyro5's setting {variable.removeprefix('PYRO_')}=" in error


def test_no_name_server_names_both_remedies(spawn: Spawner, free_port: Callable[[], int]) -> None:
    port = str(free_port())
    options = ["-n", LOOPBACK, "-p", "0", "--ns-host", LOOPBACK, "--ns-port", port]
    error = the_error(spawn("-m", "pyro_events.es", *options))
    assert "name server" in error
    assert "start" in error.lower()
    assert "--embed-ns" in error
    assert "-N" in error or "--no-ns" in error


def test_a_taken_port_is_named(spawn: Spawner) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = str(taken.getsockname()[1])
        assert port in the_error(spawn("-m", "pyro_events.es", "-N", "-n", LOOPBACK, "-p", port))


def test_a_taken_default_port_does_not_matter_with_a_name_server(
    name_server, spawn: Spawner, taken_default_port: int
) -> None:
    options = ["-n", LOOPBACK, "--ns-host", LOOPBACK, "--ns-port", str(name_server.port)]
    spawn("-m", "pyro_events.es", *options, ready="(?i)started")
    uri = name_server.lookup()
    assert uri is not None and not uri.endswith(f":{taken_default_port}")
    assert answers(uri)


def test_a_taken_port_of_the_embedded_name_server_is_named(spawn: Spawner) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = str(taken.getsockname()[1])
        options = ["-n", LOOPBACK, "-p", "0", "--embed-ns", "--ns-host", LOOPBACK, "--ns-port", port]
        assert port in the_error(spawn("-m", "pyro_events.es", *options))


# One service under a name


def test_a_live_service_keeps_its_name(start_service, name_server, spawn: Spawner) -> None:
    first = start_service(ns=name_server)
    second = spawn("-m", "pyro_events.es", "-n", LOOPBACK, "-p", "0", env=name_server.env)
    error = the_error(second)
    assert EVENTSERVER_NAME in error
    assert "--replace" in error
    assert name_server.lookup() == first.uri
    assert answers(first.uri)


def test_replace_takes_the_name_and_the_other_one_leaves(start_service, name_server) -> None:
    first = start_service(ns=name_server)
    second = start_service("--replace", ns=name_server)
    assert name_server.lookup() == second.uri
    first.process.wait(20)
    assert "Traceback" not in first.process.stderr
    assert name_server.lookup() == second.uri
    assert answers(second.uri)


def test_a_stale_registration_is_replaced(start_service, name_server, free_port) -> None:
    with name_server.proxy() as ns:
        ns.register(EVENTSERVER_NAME, f"PYRO:{EVENTSERVER_NAME}@{LOOPBACK}:{free_port()}")
    service = start_service(ns=name_server)
    assert name_server.lookup() == service.uri


def test_a_registration_of_something_else_is_not_a_live_service(
    start_service, name_server, free_port
) -> None:
    with name_server.proxy() as ns:
        ns.register(EVENTSERVER_NAME, f"PYRO:Pyro.NameServer@{LOOPBACK}:{name_server.port}")
    service = start_service(ns=name_server)
    assert name_server.lookup() == service.uri


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_its_registration(start_service, name_server, number: signal.Signals) -> None:
    service = start_service(ns=name_server)
    service.process.send(number)
    assert service.process.wait() == 0
    assert "Traceback" not in service.process.stderr
    assert name_server.lookup() is None


def test_a_signal_ends_it_without_a_name_server(es) -> None:
    es.process.send(signal.SIGTERM)
    assert es.process.wait() == 0
    assert not answers(es.uri)


def test_a_signal_ends_it_with_an_embedded_name_server(named_es) -> None:
    named_es.process.send(signal.SIGTERM)
    assert named_es.process.wait() == 0


def test_a_signal_ends_it_when_the_name_server_is_gone(start_service, name_server) -> None:
    service = start_service(ns=name_server)
    name_server.stop()
    service.process.send(signal.SIGTERM)
    assert service.process.wait() == 0
    assert "Traceback" not in service.process.stderr


def test_only_its_own_entry_is_removed(start_service, name_server) -> None:
    first = start_service(ns=name_server)
    other = start_service()
    with name_server.proxy() as ns:
        ns.register(EVENTSERVER_NAME, other.uri)
    first.process.send(signal.SIGTERM)
    first.process.wait()
    assert name_server.lookup() == other.uri


def test_what_was_accepted_is_delivered_before_the_end(start_service, name_server) -> None:
    service = start_service(ns=name_server)
    may_go_on = threading.Event()

    class Slow(Collector):
        def event(self, event: Event) -> None:
            may_go_on.wait(10)
            super().event(event)

    slow = Slow(service.uri)
    slow.subscribe("A")
    with listening(slow), Publisher(es_uri=service.uri) as publisher:
        for number in range(3000):
            assert publisher.publish("A", number) == 1
        service.process.send(signal.SIGTERM)
        eventually(lambda: name_server.lookup() is None, what="the end of the registration")
        assert service.process.returncode is None
        may_go_on.set()
        assert service.process.wait() == 0
        slow.wait(3000)
        assert slow.messages() == list(range(3000))


def test_a_subscriber_that_does_not_read_holds_up_the_end_for_as_long_as_drain_says(start_service) -> None:
    service = start_service("--drain", "0.5")  # the default is 10 s
    frozen = Collector(service.uri)
    with frozen:
        frozen.subscribe("A")  # it never listens
        with Publisher(es_uri=service.uri) as publisher:
            assert publisher.publish("A", 1) == 1
        service.process.send(signal.SIGTERM)
        assert service.process.wait(9) == 0


# The name server forgets


def test_a_name_server_that_forgot_is_told_again(start_service, name_server) -> None:
    service = start_service(ns=name_server)
    name_server.stop()
    name_server.start()
    eventually(lambda: name_server.lookup() == service.uri, 5.0, "the registration in the new name server")
    assert service.process.returncode is None


def test_a_removed_registration_is_made_again(start_service, name_server) -> None:
    service = start_service(ns=name_server)
    with name_server.proxy() as ns:
        ns.remove(EVENTSERVER_NAME)
    eventually(lambda: name_server.lookup() == service.uri, 5.0, "the registration")


def test_publishing_goes_on_without_the_name_server(start_service, name_server) -> None:
    service = start_service(ns=name_server)
    with Publisher() as publisher, collecting(None, "A") as collector:
        assert publisher.publish("A", 1) == 1
        name_server.stop()
        assert publisher.publish("A", 2) == 1
        collector.wait(2)
    assert service.process.returncode is None


# The scripts


def test_the_start_script_runs_from_anywhere(spawn: Spawner, root: Path, tmp_path: Path) -> None:
    env = {"PYTHON": sys.executable}
    process = spawn.command(str(root / "scripts" / "es"), "--help", cwd=str(tmp_path), env=env)
    assert process.wait() == 0
    assert "--embed-ns" in process.stdout


def test_the_batch_file_starts_the_same_module(root: Path) -> None:
    text = (root / "scripts" / "es.bat").read_bytes()
    assert b"-m pyro_events.es %*\r\n" in text
