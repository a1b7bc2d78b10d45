"""A publisher of bursts: equal batches, whatever the number of subjects.

Knows: the public interface of pyro_events. Must not know: which subscribers there are.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pyro_events

from ..systems.base import message_of
from .tasks import QUOTE, Burst


def burst(task: Burst, wait: Callable[[], str], say: Callable[..., None]) -> None:
    """Publish `size` events on one subject in a pipeline, wait for the acknowledgement, and go on with the
    next subject; as many bursts as each step says, and one step for each line of `wait`."""
    message: Any = message_of(QUOTE)
    following = itertools.cycle(task.subjects)
    with pyro_events.Publisher(es_uri=task.address) as publisher:
        say(ready=True)
        for number, bursts in enumerate(task.bursts):
            wait()
            start, cpu = time.perf_counter(), time.process_time()
            for subject in itertools.islice(following, bursts):
                with publisher.pipeline() as pipeline:
                    for _ in range(task.size):
                        pipeline.publish(subject, message)
            end = time.perf_counter()
            say(phase=number, start=start, end=end, cpu=time.process_time() - cpu)
        wait()
