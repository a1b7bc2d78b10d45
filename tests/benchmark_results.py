"""Made results of the benchmark suite: three systems, two rounds."""

from __future__ import annotations

from benchmarks.reporting.results import Results


def made_results(cores: int = 1) -> Results:
    machine = {"processor": "P<1>", "cores": 2, "memory_gib": 4.0, "system": "L", "python": "C"}
    settings = {"rounds": 2, "date": "2026-01-02", "commit": "abc1234"}
    results = Results(machine, settings, {}, {"mqtt": "the program mosquitto is not installed"})
    for rates in ((150.0, 100.0, 80.0), (170.0, 110.0, 70.0)):
        for system, rate in zip(("pyro_events", "redis", "nats"), rates, strict=True):
            results.add(cores, "acked", system, {"rate": rate, "cpu_service": 1.0})
    for median, theirs in ((200.0, 100.0), (210.0, 110.0)):
        results.add(cores, "latency", "pyro_events", {"median": median, "p99": 90.0})
        results.add(cores, "latency", "nats", {"median": theirs, "p99": 100.0})
    results.add(1, "subscribers", "pyro_events", {"kib_each_1k": 4.0, "threads": 3.0, "more_threads": 0.0})
    results.failures.append("round 1, latency, one core: redis: ended by itself")
    return results
