"""Prints what patterns count for in memory, and what they take beyond Python's heap, both in bytes.

They are subscribed by many, some are removed again, and subjects are matched that keep RE2 busy.
"""

from __future__ import annotations

import random
from pathlib import Path

from pyro_events.broker.broker import Broker
from pyro_events.options import BacklogOptions


def taken() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def hard(subscriber: int, number: int) -> str:
    """RE2 makes as many states of it as it has memory for."""
    return rf".*a.{{{10 + number % 20}}}b.*c{subscriber}x{number}"


def main() -> None:
    broker = Broker(BacklogOptions(), 1 << 30)
    choose = random.Random(1)
    before = taken()
    for subscriber in range(16):
        uri = f"PYRO:x{subscriber}@h:1"
        patterns = [hard(subscriber, number) for number in range(60)]
        broker.subscribe(uri, (), patterns)
        broker.publish(iter([(["warm"], b"")]), 0.0)
        broker.unsubscribe(uri, patterns[:18])
    for _ in range(8):
        subject = "".join(choose.choice("ab") for _ in range(250))
        broker.publish(iter([([subject], b"")]), 0.0)
    print(broker.statistics(0.0).subscription_bytes, taken() - before)


if __name__ == "__main__":
    main()
