"""Does jobs, one at a time. Start as many as you like, and stop or kill them when you like."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time

from Pyro5.errors import PyroError

from pyro_events import Event, Publisher, Subscriber


class Worker(Subscriber):
    """A member of the group "workers": each job goes to one of them."""

    def __init__(self, name: str, es_uri: str | None = None) -> None:
        super().__init__(es_uri=es_uri, name=name)
        self.setThreading(False)  # one job after the other
        self.results = Publisher(es_uri=es_uri, name=name)
        # ahead=1: the next job comes when this one is done. Until then it waits for a worker that is free.
        self.subscribe("WORK.JOB", group="workers", ahead=1)

    def on_reconnect(self, reason: str) -> None:
        print("connected again:", reason, flush=True)

    def event(self, event: Event) -> None:
        job = event.msg
        print(f"job {job['number']}", flush=True)
        time.sleep(job["seconds"])
        # Before the job is acknowledged, which is when this method returns.
        self.results.publish("WORK.DONE", {"number": job["number"], "worker": self.results.statistics().name})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="what the foreman calls this worker")
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    options = parser.parse_args()

    with Worker(options.name, options.es_uri) as worker, contextlib.suppress(KeyboardInterrupt):
        print("ready", flush=True)
        worker.listen()


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError) as error:
        sys.exit(f"{error}")
