"""The table of faults: runs every case with every system, and writes docs/faults.md.

Knows: cases, systems, and what a reader wants to know. Must not know: how a fault is made.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from .cases import CASES, Case
from .clients import client
from .processes import ROOT, end_in_order
from .scenario import Scenario
from .servers import program

TITLES: Final = {
    "ours": "pyro_events",
    "mqtt": "mosquitto, clean session",
    "mqtt-kept": "mosquitto, persistent session",
    "nats": "nats-server",
}
_PROGRAMS: Final = {"mqtt": "mosquitto", "mqtt-kept": "mosquitto", "nats": "nats-server"}


@dataclass
class Row:
    """One case with one system. Times in seconds. lost and promised: of acknowledged events."""

    case: str
    system: str
    detected: float | None = None
    recovered: float | None = None
    lost: int = 0
    promised: int = 0
    told: str = ""
    duplicates: int = 0
    held: float = 0.0
    note: str = ""
    wrong: list[str] = field(default_factory=list)


def missing(system: str) -> str | None:
    """Why a system cannot run here, None if it can."""
    name = _PROGRAMS.get(system)
    if name is not None and program(name) is None:
        return f"the program {name} is not installed"
    try:
        client(system)
    except ImportError as error:
        return str(error)
    return None


def play(case: Case, system: str, seed: int) -> Row:
    """One case with one system, from a fresh server to its end."""
    row = Row(case.name, system)
    with (
        tempfile.TemporaryDirectory() as folder,
        Scenario(Path(folder), system, seed=seed, **case.options) as scene,
    ):
        try:
            measured = case.play(scene, case.seconds)
        except TimeoutError as error:
            row.note = f"gave up: {str(error).splitlines()[0]}"
            return row
        reports = scene.finish(60)
        promised = set(scene.affected_publisher.ask("numbers"))
        came = measured.earlier | set(scene.affected.ask("numbers", name="storm"))
        row.detected, row.recovered, row.note = measured.detected, measured.recovered, measured.note
        row.promised, row.lost = len(promised), len(promised - came)
        row.duplicates = reports["affected"]["duplicates"]
        row.told = _told(system, reports)
        row.held = max(reports["calm publisher"]["longest"], reports["calm publisher"]["waiting"])
        if system == "ours":
            row.wrong = scene.verdict(reports, restarted=case.name.startswith("server"))
    return row


def _told(system: str, reports: dict[str, Any]) -> str:
    """What the programs were told about lost events."""
    if system != "ours":
        return "no"
    affected, publisher = reports["affected"], reports["publisher"]
    parts = []
    if affected["missed"]:
        parts.append(f"{affected['missed']} by number")
    if affected["unknown"]:
        parts.append(
            "some are missing" + (f" ({affected['unknown']} times)" if affected["unknown"] > 1 else "")
        )
    if publisher["unheard"]:
        parts.append(f"publisher: nobody listened to {publisher['unheard']}")
    return ", ".join(parts) or "–"


_HEAD: Final = """\
| system | detected after | recovered after | lost of acknowledged | told | others waited | |
|---|--:|--:|--:|---|--:|---|"""


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s" if value >= 0.95 else f"{1000 * value:.0f} ms"


def markdown(rows: list[Row], machine: str) -> str:
    """The document."""
    lines = [_INTRODUCTION.format(machine=machine)]
    for case in CASES:
        mine = [row for row in rows if row.case == case.name]
        if not mine:
            continue
        lines += [f"\n### {case.title[0].upper()}{case.title[1:]}\n"]
        lines += [
            "| system | detected after | recovered after | lost of acknowledged | told | others waited | |"
        ]
        lines += ["|---|--:|--:|--:|---|--:|---|"]
        for row in mine:
            notes = [row.note] if row.note else []
            notes += [f"{row.duplicates} came twice"] if row.duplicates else []
            notes += [f"{len(row.wrong)} invariants broken"] if row.wrong else []
            lines.append(
                f"| {TITLES[row.system]} | {_seconds(row.detected)} | {_seconds(row.recovered)} "
                f"| {row.lost} of {row.promised} | {row.told} | {_seconds(row.held)} | {'; '.join(notes)} |"
            )
    return "\n".join(lines) + "\n" + _END


def machine() -> str:
    """The machine and the versions that were measured."""
    versions = [f"Python {platform.python_version()}", f"{os.cpu_count()} shared cores"]
    for name, option in (("mosquitto", "-h"), ("nats-server", "--version")):
        path = program(name)
        if path is not None:
            asked = subprocess.run([path, option], capture_output=True, text=True, timeout=10).stdout
            versions.append(asked.splitlines()[0].replace(" version ", " ").replace(": ", " "))
    return ", ".join(versions)


def main() -> None:
    end_in_order()
    parser = argparse.ArgumentParser(prog="scripts/faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", default=",".join(case.name for case in CASES), help="some of: %(default)s")
    parser.add_argument("--systems", default=",".join(TITLES), help="some of: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="seed of the bad network (default: %(default)s)")
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "docs" / "faults.md",
        help="file to write instead of docs/faults.md",
    )
    parser.add_argument("--json", type=Path, help="file for the figures; those of other cases in it are kept")
    options = parser.parse_args()
    names, systems = options.cases.split(","), options.systems.split(",")
    unknown = sorted({*names} - {case.name for case in CASES} | {*systems} - {*TITLES})
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    rows: dict[tuple[str, str], Row] = {}
    if options.json is not None and options.json.exists():
        rows = {
            (one["case"], one["system"]): Row(**one) for one in json.loads(options.json.read_text("utf-8"))
        }
    for system in [system for system in systems if not _left_out(system)]:
        for case in [case for case in CASES if case.name in names]:
            row = rows[case.name, system] = play(case, system, options.seed)
            print(_line(row), *row.wrong, sep="\n    ", flush=True)
            if options.json is not None:
                options.json.write_text(json.dumps([asdict(one) for one in rows.values()], indent=1), "utf-8")
    order = [(case.name, system) for case in CASES for system in TITLES]
    options.output.write_text(markdown([rows[key] for key in order if key in rows], machine()), "utf-8")
    sys.exit(any(row.wrong for row in rows.values()))


def _left_out(system: str) -> bool:
    reason = missing(system)
    if reason is not None:
        print(f"{TITLES[system]} is left out: {reason}")
    return reason is not None


def _line(row: Row) -> str:
    """The line that is printed for each row."""
    return (
        f"{row.case}, {TITLES[row.system]}: detected {_seconds(row.detected)}, recovered "
        f"{_seconds(row.recovered)}, lost {row.lost} of {row.promised}, told {row.told}, others waited "
        f"{_seconds(row.held)} {row.note}"
    )


_INTRODUCTION: Final = """\
# What happens when something fails

`scripts/faults` wrote this file. One publisher sends 100 small events a second to one subscriber and waits
for each acknowledgement. Then a fault happens to that subscriber, to its network connection, or to the
server. A second pair of programs shares only the server with the first. All systems and their Python clients
have their default settings (paho-mqtt with QoS 1, nats-py with a flush after each publish). Everything runs
on one machine: {machine}.

- **detected after**: from the fault until the server no longer counts the subscriber as connected. "–" means
  that it still did when the fault ended, which is right for a fault that a connection survives.
- **recovered after**: from the end of the fault until the subscriber got an event that was published after
  it.
- **lost of acknowledged**: how many events never arrived although their publisher had got an acknowledgement.
- **told**: what the system tells the programs about that. With pyro_events, the subscriber sees how many
  events are missing (`event.missed`), or, after a reconnection, that some may be missing (`None`, and
  `on_reconnect`); and `publish` returns 0 while nobody listens. The other systems report nothing of the kind.
- **others waited**: the longest wait for an acknowledgement in the second pair. If the server itself is
  down, everybody waits for it.
- **half-open connection**: nothing arrives in either direction any more, and neither program is told.

When a connection is silent, a subscriber of pyro_events asks the service after 15 seconds whether it is still
subscribed, and keeps the connection for two minutes. If the connection works again by then, the subscriber
gets what is in its backlog, unless the service has disconnected it meanwhile: then the subscriber is told
that events are missing. paho-mqtt gives up a silent connection after a minute and a half, nats-py after four
minutes. pyro_events stores nothing: to get events that were published while a subscriber was away, use a
broker that stores events, with a persistent session.
"""
_END: Final = """
## How tests hold this

`tests/faults` plays these faults with shorter times, and checks six invariants after each:

1. every event is accounted for, exactly;
2. nothing arrives twice, and each publisher's order is kept;
3. the numbers of threads and descriptors, and the memory, return to what they were;
4. healthy subscribers lose nothing and get their events in time;
5. a publisher whose subscribers are healthy is never blocked;
6. no process fails with an unhandled exception.

It also plays faults that are not in this table: clocks that jump or run backwards, a network that loses
packets in one direction only, a service that has reached its memory limit, a name server that comes back
empty, handlers that raise SystemExit, and a cable between two network namespaces that is cut. `scripts/soak`
mixes faults for hours.
"""

if __name__ == "__main__":
    main()
