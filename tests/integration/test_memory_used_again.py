"""Memory into which large messages are received is used again, and never while somebody still uses it.

Real processes: publishers, a service, and subscribers that keep events for a while before they look at them.
Each message contains the digest of its content.
"""

from __future__ import annotations

import hashlib
import random
import threading

import pytest
from processes import Spawner

from pyro_events import Publisher
from pyro_events.constants import KIB, LARGE, MIB

EACH = 60
PUBLISHERS = 3
SIZES = (LARGE + 1, 200 * KIB, MIB, MIB, MIB - 5, 2 * MIB, 3 * MIB)

# Arguments: the URI, how many events, how many of them are kept, and as how many subscribers.
SUBSCRIBER = """
import hashlib, sys, threading
from collections import deque
from pyro_events import Subscriber

uri, count, keep = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
kept, seen, bad = deque(), [], []

def check(event):
    data = bytes(event.msg)
    if hashlib.sha256(data[32:]).digest() != data[:32]:
        bad.append(event)

class Keeper(Subscriber):
    def event(self, event):
        kept.append(event)
        seen.append(len(event.payload) if keep == 0 else 0)
        if len(kept) > keep:
            check(kept.popleft())
        if len(seen) == count:
            while kept:
                check(kept.popleft())
            print("seen", len(seen), "bad", len(bad), flush=True)

with Keeper(es_uri=uri) as keeper:
    keeper.setThreading(False)
    keeper.subscribe("A")
    print("ready", flush=True)
    keeper.listen()
"""


def message(numbers: random.Random) -> bytes:
    content = numbers.randbytes(numbers.choice(SIZES))
    return hashlib.sha256(content).digest() + content


def publish(uri: str, seed: int) -> None:
    numbers = random.Random(seed)
    with Publisher(es_uri=uri) as publisher, publisher.pipeline() as fast:
        for number in range(EACH):
            if number % 7:
                fast.publish("A", message(numbers))
            else:
                assert publisher.publish("A", message(numbers)) > 0


@pytest.mark.parametrize("backlog_bytes", [4 * MIB, 64 * MIB])
def test_what_arrives_is_what_was_sent(spawn: Spawner, backlog_bytes: int) -> None:
    bound = ("--backlog-bytes", str(backlog_bytes))
    service = spawn("-m", "pyro_events.es", "-N", "-n", "127.0.0.1", "-p", "0", *bound, ready="URI = ")
    uri = service.wait_for(r"URI = (\S+)")[1]
    everything = EACH * PUBLISHERS
    subscribers = [
        spawn("-c", SUBSCRIBER, uri, str(everything), str(keep), ready="ready") for keep in (0, 3, 40)
    ]
    threads = [threading.Thread(target=publish, args=(uri, seed)) for seed in range(PUBLISHERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for subscriber in subscribers:
        assert subscriber.wait_for(r"seen (\d+) bad (\d+)", 120).groups() == (str(everything), "0")
