"""A subscriber whose functions run in the main thread, as those of a program with a window do.

Usage: function_listener.py URI LOOP, where LOOP is "tk" (Tcl's loop, `root.after_idle`), "asyncio"
(`loop.call_soon_threadsafe`) or "queue". Prints "ready", then for each event the function, the subject, the
message and the thread. An event with the message "stop" ends the loop, "fail" raises, and "close" closes the
subscriber in the middle of its call.
"""

import asyncio
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from pyro_events import Event, Subscriber

Via = Callable[[Callable[[], Any]], object]


class Loop:
    """The loop of the main thread. via: what `on` is given."""

    via: Via
    run: Callable[[], object]
    stop: Callable[[], object]


class TkLoop(Loop):
    def __init__(self) -> None:
        import tkinter

        root = tkinter.Tcl()  # Tk without a window, which needs no screen
        self.via, self.stop = root.after_idle, root.quit
        self.run = lambda: root.mainloop(-1)  # which ends with the last window, unless told otherwise


class AsyncioLoop(Loop):
    def __init__(self) -> None:
        loop = asyncio.new_event_loop()
        self.via, self.stop, self.run = loop.call_soon_threadsafe, loop.stop, loop.run_forever


class QueueLoop(Loop):
    def __init__(self) -> None:
        calls: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()
        self.stopped = False
        self.calls = calls
        self.via = calls.put

    def run(self) -> None:
        while not self.stopped:
            self.calls.get()()

    def stop(self) -> None:
        self.stopped = True


def main() -> None:
    uri, kind = sys.argv[1:]
    loop: Loop = {"tk": TkLoop, "asyncio": AsyncioLoop, "queue": QueueLoop}[kind]()
    with Subscriber(es_uri=uri).listen_in_background() as ticker:
        ticker.setThreading(False)

        def show(name: str, event: Event) -> None:
            thread = "main" if threading.current_thread() is threading.main_thread() else "another"
            print(name, event.subject, event.msg, thread, flush=True)

        @ticker.on("STOCK.SUN", match="^NEWS[.]", via=loop.via)
        def window(event: Event) -> None:
            show("window", event)
            if event.msg == "fail":
                raise ValueError("on purpose")
            if event.msg == "close":
                ticker.close()
            if event.msg in ("stop", "close"):
                loop.stop()

        @ticker.on("STOCK.SUN")
        def log(event: Event) -> None:
            show("log", event)

        print("ready", flush=True)
        loop.run()
        figures = ticker.statistics()
        print("ended", figures.failed, flush=True)


if __name__ == "__main__":
    main()
