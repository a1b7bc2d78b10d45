"""The benchmark suite is fair about sockets: with ours over Unix sockets, the others use theirs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmark_results import made_results

_ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="an environment is read from /proc")


def test_whoever_has_unix_sockets_is_compared_with_them_too() -> None:
    from benchmarks.cases import CASES

    # Their figures of patterns are about matching, and are no part of a goal.
    for case in (case for name, case in CASES.items() if name not in ("patterns", "new-patterns")):
        for group in (case.systems, *(goal.peers for goal in case.goals)):
            for name in ("redis", "zeromq", "redis-asyncio", "raw-limit"):
                assert (name in group) == (f"{name}-unix" in group), (case.name, name)


def test_the_best_peer_may_be_one_over_unix_sockets() -> None:
    from benchmarks.cases import CASES

    results = made_results()
    for rate in (200.0, 220.0):
        results.add(1, "acked", "redis-unix", {"rate": rate})
    acked, _ = results.verdicts(1, CASES["acked"])
    assert (acked.against, acked.value) == ("redis-unix", pytest.approx(160 / 210))
    assert acked.tcp is None


def test_the_same_ratio_over_tcp_is_in_the_report_and_the_file() -> None:
    from benchmarks.cases import CASES
    from benchmarks.reporting.report import whole_report

    results = made_results()
    for rate, theirs in ((126.0, 200.0), (147.0, 220.0)):
        results.add(1, "acked", "pyro_events-tcp", {"rate": rate})
        results.add(1, "acked", "redis-unix", {"rate": theirs})
    acked, limit = results.verdicts(1, CASES["acked"])
    assert acked.tcp is not None and limit.tcp is None
    assert (acked.tcp.against, acked.tcp.value) == ("redis", pytest.approx(1.3))
    lines = whole_report(results).splitlines()
    (goal,) = [number for number, line in enumerate(lines) if "goal: events/s until handled >= 2.2" in line]
    assert "0.76 x redis-unix (rounds 0.75 to 0.77) MISSED" in lines[goal]
    assert lines[goal + 1].strip() == "over TCP on both sides: 1.30 x redis (rounds 1.26 to 1.34)"
    assert '"tcp": {' in results.to_json()


def test_where_the_compiled_form_is_judged_only_the_compiled_form_stands_for_it_over_tcp() -> None:
    from benchmarks.cases import CASES

    results = made_results()
    results.add(1, "acked", "pyro_events-tcp", {"rate": 130.0})
    results.add(1, "acked", "pyro_events-compiled", {"rate": 300.0})
    acked, _ = results.verdicts(1, CASES["acked"])
    assert (acked.value, acked.tcp) == (pytest.approx(300 / 105), None)
    results.add(1, "acked", "pyro_events-compiled-tcp", {"rate": 210.0})
    acked, _ = results.verdicts(1, CASES["acked"])
    assert acked.tcp is not None and acked.tcp.value == pytest.approx(2.0)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets")
@pytest.mark.parametrize(
    ("setting", "expected"), [("auto", "pyro_events where (TCP) is not said"), ("OFF", "all that is marked")]
)
def test_the_report_and_the_chart_say_who_uses_unix_sockets(
    setting: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.reporting.chart import svg
    from benchmarks.reporting.report import whole_report
    from benchmarks.run import prepare

    results = made_results()
    assert "over Unix sockets" not in whole_report(results) + svg(results)  # it was not noted
    monkeypatch.setenv("PYROEVENTS_UNIX_SOCKET", setting)
    results.settings["unix"] = prepare(1, [1], ["acked"], ["pyro_events"], quick=True).settings["unix"]
    for shown in (whole_report(results), svg(results)):
        assert f"over Unix sockets: {expected}" in shown


@_ON_LINUX
@pytest.mark.parametrize(("system", "switched_off"), [("pyro_events", False), ("pyro_events-tcp", True)])
def test_ours_over_tcp_is_switched_off_on_both_sides(
    system: str, switched_off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.children.tasks import Listen, Listener
    from benchmarks.session import Session

    monkeypatch.delenv("PYROEVENTS_UNIX_SOCKET", raising=False)
    with Session(system, 60.0) as session:
        client = session.worker(Listen(system, session.address, [Listener(["A"])], []))
        for child in (session.server, client):
            variables = Path(f"/proc/{child.pid}/environ").read_bytes().split(b"\0")
            assert (b"PYROEVENTS_UNIX_SOCKET=off" in variables) == switched_off


@_ON_LINUX
@pytest.mark.parametrize("system", ["redis-unix", "redis-asyncio-unix", "zeromq-unix"])
def test_a_peer_publishes_and_subscribes_over_its_unix_socket(system: str) -> None:
    from benchmarks.cases.rates import measure_pipelined
    from benchmarks.systems import SYSTEMS

    if reason := SYSTEMS[system].missing():
        pytest.skip(reason)
    assert measure_pipelined(system, True)["rate"] > 0


def test_both_clients_of_redis_connect_to_a_path_or_to_a_port() -> None:
    from benchmarks.systems import SYSTEMS
    from benchmarks.systems.redis_pubsub import place_of

    assert place_of("127.0.0.1:6379") == {"host": "127.0.0.1", "port": 6379}
    for name in ("redis-unix", "redis-asyncio-unix"):
        path = SYSTEMS[name].address(6379, "")
        command = SYSTEMS[name].command(Path(), 6379) or []
        assert command[-2:] == ["--unixsocket", path]
        assert place_of(path) == {"unix_socket_path": path}
