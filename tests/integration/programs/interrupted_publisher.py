"""Publishes while many signals arrive whose handlers raise, or publish themselves, and prints the outcomes.

    interrupted_publisher.py URI SECONDS MODE

MODE: `publish` (acknowledged), `pipeline`, `nested` (the handler publishes too) or `mixed`. Prints one line
for each event, `returned N`, `raised N`, and one with what was wrong.
"""

from __future__ import annotations

import gc
import random
import signal
import sys
import time
from types import FrameType

from pyro_events import OutcomeUnknownError, PipelineError, Publisher
from pyro_events.errors import ServiceUnreachableError
from pyro_events.wire.frames import FrameError

# What Python itself had to ignore, because it was raised where nothing can be: in the callback of a weak
# reference, say.
ignored: list[BaseException | None] = []
sys.unraisablehook = lambda unraisable: ignored.append(unraisable.exc_value)


class Own(Exception):
    """An exception of this program's."""


KINDS = (
    TimeoutError,
    ConnectionError,
    ConnectionResetError,
    BrokenPipeError,
    OSError,
    KeyboardInterrupt,
    ValueError,
    IndexError,
    Own,
    OutcomeUnknownError,
    ServiceUnreachableError,
    FrameError,
)


class Storm:
    """A timer whose signals interrupt the program, again and again."""

    def __init__(self, publisher: Publisher, mode: str) -> None:
        self.publisher, self.mode = publisher, mode
        self.raised: BaseException | None = None
        self.inside = False
        self.numbers = 0
        self.lines: list[str] = []
        self.random = random.Random(1)
        signal.signal(signal.SIGALRM, self.handle)

    def handle(self, number: int, frame: FrameType | None) -> None:
        if not self.inside:
            return
        if self.mode in ("nested", "mixed") and self.random.random() < 0.5:
            self.inside = False
            self.numbers += 1
            name = f"handler-{self.numbers}"
            try:
                self.publisher.publish("storm", name)
            finally:
                self.inside = True
            self.lines.append(f"returned {name}")
        if self.mode != "nested":
            kind = self.random.choice(KINDS)
            error = kind(32, "mine") if issubclass(kind, OSError) else kind("mine")
            self.raised = error
            self.inside = False
            try:
                raise error
            finally:
                del error  # no cycle: what it holds ends before the next call

    def publish(self, name: str) -> None:
        """Publish one event, interrupted or not; note what came of it."""
        self.raised = None
        if self.random.random() < 0.9:  # on a busy machine no signal would be late enough else
            signal.setitimer(signal.ITIMER_REAL, self.random.uniform(0.00002, 0.0006))
        try:
            self.inside = True
            self.publisher.publish("storm", name)
            self.inside = False
        except BaseException as error:
            self.inside = False
            self.check(error)
            self.lines.append(f"raised {name}")
        else:
            self.lines.append(f"returned {name}")
            if self.raised is not None and self.raised not in ignored:
                self.lines.append(f"wrong: {self.raised!r} was swallowed")

    def check(self, error: BaseException) -> None:
        if error is not self.raised and not isinstance(error, OutcomeUnknownError):
            self.lines.append(f"wrong: {type(error).__name__}: {error} instead of {self.raised!r}")
        elif error is not self.raised:
            self.lines.append(f"wrong: an outcome unknown without a cause: {error}")

    def pipeline(self, names: list[str]) -> None:
        """Publish events in a pipeline, the calls interrupted or not."""
        accepted = 0
        told: PipelineError | None = None
        open_calls = 0
        fast = self.publisher.pipeline()
        for name in names:
            self.raised = None
            if self.random.random() < 0.05:
                signal.setitimer(signal.ITIMER_REAL, self.random.uniform(0.00002, 0.0006))
            try:
                self.inside = True
                fast.publish("storm", name)
                self.inside = False
                accepted += 1
                self.lines.append(f"accepted {name}")
            except BaseException as error:
                self.inside = False
                if isinstance(error, PipelineError) and error is not self.raised:
                    told = error
                    self.lines.append(f"refused {name}")
                    continue
                self.check(error)
                open_calls += 1
                self.lines.append(f"raised {name}")
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            fast.__exit__(None, None, None)
        except PipelineError as error:
            told = error
        if told is not None:
            fast._account.update(told, fast._pending)
            total = told.published + told.not_published + told.unknown + told.pending
            lines = f"{told.published} {told.not_published} {told.unknown} {told.pending}"
            if told.pending or not accepted <= total <= accepted + open_calls:
                self.lines.append(f"wrong: {lines} of {accepted} to {accepted + open_calls}")
            self.lines.append(f"lost {told.not_published + told.unknown}")


def main() -> None:
    # Python drops what a handler raises while a finalizer runs, so none is to run in the middle of a call.
    gc.disable()
    uri, seconds, mode = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    with Publisher(es_uri=uri) as publisher:
        storm = Storm(publisher, mode)
        end = time.monotonic() + seconds
        number = 0
        while time.monotonic() < end:
            if mode == "pipeline" or mode == "mixed" and number % 3000 == 0:
                storm.pipeline([f"{number + index}" for index in range(2000)])
                number += 2000
            else:
                storm.publish(str(number))
                number += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        publisher.publish("storm", "end")
    print("\n".join(storm.lines))
    print("done", flush=True)


main()
