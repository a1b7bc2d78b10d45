"""Gives out jobs, waits until nobody works on any, and says which were done, by whom, and which were not."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from Pyro5.api import Proxy
from Pyro5.errors import PyroError

from pyro_events import EventStream, Publisher


def give_out(office: Publisher, jobs: int, seconds: float) -> None:
    """Publish the jobs. While there is no worker, wait for one: such a job would be nobody's."""
    for number in range(1, jobs + 1):
        waiting = False
        while not office.publish("WORK.JOB", {"number": number, "seconds": seconds}):
            if not waiting:
                print("waiting for a worker", flush=True)
                waiting = True
            time.sleep(0.1)


def somebody_works(service: Proxy) -> bool:
    """Whether any job waits for the group, or is with one of its workers."""
    figures = service.statistics()
    waiting = [group["backlog"] for group in figures["groups"] if group["group"] == "workers"]
    at_work = [each["unacknowledged"] for each in figures["subscribers"] if each["group"] == "workers"]
    return sum(waiting) + sum(at_work) > 0


def collect(results: EventStream, service: Proxy, jobs: int) -> dict[int, str]:
    """Who has done which job, when all are done, or the rest never will be.

    A worker says that a job is done before it acknowledges it. So when nobody works any more, every result
    is on its way.
    """
    done: dict[int, str] = {}
    last_chance = False
    while len(done) < jobs:
        try:
            result = results.get(timeout=0.5).msg
        except TimeoutError:
            if last_chance:
                break
            last_chance = not somebody_works(service)
            continue
        done[result["number"]] = result["worker"]
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100, help="how many; 100 if not given")
    parser.add_argument("--seconds", type=float, default=0.1, help="how long each takes; 0.1 if not given")
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    options = parser.parse_args()

    with (
        Publisher(es_uri=options.es_uri) as office,
        EventStream("WORK.DONE", es_uri=options.es_uri) as results,
        Proxy(office.statistics().address) as service,
    ):
        give_out(office, options.jobs, options.seconds)
        print(f"{options.jobs} jobs given out", flush=True)
        done = collect(results, service, options.jobs)
    missing = [number for number in range(1, options.jobs + 1) if number not in done]
    for worker, count in sorted(Counter(done.values()).items()):
        print(f"{worker}: {count} done")
    print(f"{len(done)} done, {len(missing)} not done{': ' if missing else ''}{', '.join(map(str, missing))}")


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError) as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        pass
