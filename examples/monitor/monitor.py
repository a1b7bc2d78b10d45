"""Shows what happens at the event service: who joins and leaves, who is slow, and what is lost."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from typing import Any

from Pyro5.errors import PyroError

from pyro_events import Event, EventStream, glob


def counts(numbers: dict[str, int]) -> str:
    """Such as `latest 12, gone 1`."""
    return ", ".join(f"{what.removeprefix('$ES.')} {number}" for what, number in numbers.items())


def happened(what: str, told: dict[str, Any], who: str) -> str:
    """What happened to a subscriber, or to the backlog of a group."""
    if what == "JOINED":
        others = told["subscriptions"] - len(told["subjects"])
        return f"{who} joined: {', '.join(told['subjects'])}{f' and {others} more' if others else ''}"
    if what == "LEFT":
        lost = f"; lost: {counts(told['lost'])}" if told["lost"] else ""
        return f"{who} left: {told['why']} ({told['delivered']} of {told['accepted']} events delivered{lost})"
    if what == "LOST":
        return f"{who} has lost events: {counts(told['losses'])}"
    if what == "SLOW":
        return f"{who} is slow: {told['backlog']} events wait for it"
    return f"{who} has caught up" if what == "RECOVERED" else f"{who}: {what}"


def line(event: Event) -> str:
    """One event in words. There may be subjects that this program does not know yet."""
    told = event.msg
    if event.subject.startswith("$ES.SUBSCRIBER."):
        who = told["name"] or told["subscriber"]
        return happened(event.subject.removeprefix("$ES.SUBSCRIBER."), told, who)
    if event.subject.startswith("$ES.GROUP."):
        return happened(event.subject.removeprefix("$ES.GROUP."), told, f"group {told['group']}")
    if event.subject == "$ES.SERVICE.STOPPING":
        return f"the service stops: {told['waiting']} events wait for {told['subscribers']} subscribers"
    if event.subject == "$ES.SERVICE.OMITTED":
        return f"too much happens to show it all; left out: {counts(told['subjects'])}"
    return f"{event.subject}: {told}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    options = parser.parse_args()

    with (
        EventStream(match=glob("$ES.*"), es_uri=options.es_uri) as events,
        contextlib.suppress(KeyboardInterrupt),
    ):
        for event in events:
            if event.missed != 0:
                print(
                    f"-------- missed: {'perhaps some' if event.missed is None else event.missed}", flush=True
                )
            print(time.strftime("%H:%M:%S", time.localtime(event.time)), line(event), flush=True)


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError) as error:
        sys.exit(f"{error}")
