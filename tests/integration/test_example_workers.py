"""examples/workers: jobs that are shared, by workers that come and go and are killed."""

from __future__ import annotations

import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from processes import Process, Spawner
from waiting import eventually


@pytest.fixture
def workers(root: Path) -> Path:
    return root / "examples" / "workers"


def begun(*workers: Process) -> list[int]:
    """The jobs that they have begun."""
    return [int(number) for each in workers for number in re.findall(r"^job (\d+)$", each.stdout, re.M)]


def outcome(foreman: Process) -> tuple[dict[str, int], int, list[int]]:
    """How many jobs each worker has done, how many are done, and which are not."""
    assert foreman.wait(60) == 0
    done, not_done, numbers = foreman.wait_for(r"^(\d+) done, (\d+) not done(.*)$").groups()
    missing = [int(number) for number in re.findall(r"\d+", numbers)]
    assert len(missing) == int(not_done)
    return dict(_counts(foreman)), int(done), missing


def _counts(foreman: Process) -> list[tuple[str, int]]:
    return [(name, int(count)) for name, count in re.findall(r"^(\w+): (\d+) done$", foreman.stdout, re.M)]


def test_workers_that_come_and_go_and_are_killed(workers: Path, es: Any, spawn: Spawner) -> None:
    uri = "--es-uri", es.uri

    def worker(name: str) -> Process:
        return spawn(str(workers / "worker.py"), name, *uri, ready="ready")

    ann, bob = worker("ann"), worker("bob")
    foreman = spawn(
        str(workers / "foreman.py"), *uri, "--jobs", "120", "--seconds", "0.02", ready="given out"
    )
    eventually(lambda: len(begun(ann)) > 5 and len(begun(bob)) > 5)
    bob.send(signal.SIGSTOP)
    ann.send(signal.SIGKILL)
    eve = worker("eve")  # there is work left, because nobody does any meanwhile
    eventually(lambda: len(begun(eve)) > 5)
    bob.send(signal.SIGCONT)
    bob.send(signal.SIGINT)
    counts, done, missing = outcome(foreman)
    assert counts.keys() == {"ann", "bob", "eve"} and sum(counts.values()) == done
    assert done + len(missing) == 120
    assert len(missing) <= 2  # what ann, and what bob, was doing
    assert set(Counter(begun(ann, bob, eve)).values()) == {1}
    assert not eve.stderr + foreman.stderr + bob.stderr


def test_the_foreman_waits_for_a_worker(workers: Path, named_es: Any, spawn: Spawner) -> None:
    env = named_es.env
    options = "--jobs", "3", "--seconds", "0"
    foreman = spawn(str(workers / "foreman.py"), *options, env=env, ready="waiting for a worker")
    spawn(str(workers / "worker.py"), "ann", env=env, ready="ready")
    assert outcome(foreman) == ({"ann": 3}, 3, [])


def test_a_job_that_fails_is_not_done(workers: Path, es: Any, spawn: Spawner) -> None:
    uri = "--es-uri", es.uri
    spawn(str(workers / "worker.py"), "ann", *uri, ready="ready")
    foreman = spawn(str(workers / "foreman.py"), *uri, "--jobs", "4", "--seconds", "-1")
    assert outcome(foreman) == ({}, 0, [1, 2, 3, 4])
