"""All of it in one terminal: the event service with a name server in it, the market, and a ticker.

Each runs in a process of its own, on free ports of 127.0.0.1. Ctrl-C, or --seconds, ends them.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":
    # Until there is something to end in order, Ctrl-C just ends this program, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import contextlib
import os
import queue
import random
import socket
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"


class Demo:
    """The processes that were started, and the news of them and of the user."""

    def __init__(self) -> None:
        self.news: queue.SimpleQueue[str] = queue.SimpleQueue()  # a signal handler may put into it
        self.processes: list[subprocess.Popen[str]] = []
        self.readers: list[threading.Thread] = []

    def start(self, label: str, *arguments: str, ns_port: int) -> None:
        """Start a Python process whose lines are shown behind `label`."""
        process = subprocess.Popen(
            [sys.executable, "-u", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYRO_NS_HOST": HOST, "PYRO_NS_PORT": str(ns_port)},
            start_new_session=True,  # Ctrl-C is for us alone: we end the others in order
        )
        self.processes.append(process)
        self.readers.append(threading.Thread(target=self._show, args=(label, process)))
        self.readers[-1].start()

    def _show(self, label: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                try:
                    print(label + line, end="", flush=True)
                except BrokenPipeError:  # nobody reads us any more, so there is nothing more to show
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                    self.news.put("stop")
                if "started" in line.lower():
                    self.news.put("started")
        self.news.put("ended")

    def wait(self, seconds: float | None) -> str:
        """What happens next: started, ended (a process), stop (the user), or nothing in `seconds`."""
        try:
            return self.news.get(timeout=seconds)
        except queue.Empty:
            return "nothing"

    def finish(self) -> None:
        """End the processes, the service last."""
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for reader in self.readers:
            reader.join()


def free_port() -> int:
    """A free port below those that the system gives to connections: it stays free for a moment."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--seconds", type=float, help="stop after this time (default: at Ctrl-C)")
    options = parser.parse_args()

    demo = Demo()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: demo.news.put("stop"))
    port = free_port()
    service = ["-m", "pyro_events.es", "--host", HOST, "--port", "0"]
    service += ["--embed-ns", "--ns-host", HOST, "--ns-port", str(port)]
    try:
        demo.start("[service] ", *service, ns_port=port)
        news = demo.wait(30)
        good = news == "stop"
        if news == "started":
            demo.start("[market]  ", str(HERE / "market.py"), ns_port=port)
            demo.start("", str(HERE / "pattern_client.py"), r"^STOCKQUOTE\.", ns_port=port)
            good = demo.wait(options.seconds) != "ended"
    finally:
        demo.finish()
    print("The demo has ended." if good else "The demo ended early; the lines above say why.", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
