"""Runs what a start script has made, from the options to the exit status.

Knows: signals, standard streams and exit statuses. Must not know: which options a script has, or what it
starts.

An error is one line on standard error. The exit status is 0, 1 for an error, 2 for a bad option, or 130 for
Ctrl-C during the start.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any

import Pyro5.errors

from ..log.background import background
from ..server.net.standard_streams import open_missing_descriptors, say, settle_streams
from ..server.runner import Runner


def run(
    prog: str,
    make: Callable[[], Runner],
    announce: Callable[[Any], None],
    verbose: bool,
    goodbye: str,
    warnings: Iterable[str] = (),
) -> int:
    """Run the runner that `make` returns until SIGTERM, SIGINT or SIGHUP; returns the exit status.

    A runner that has something else to do on SIGHUP, `on_hangup`, does that instead. A second signal ends the
    process at once. make: may raise ValueError for a bad option. announce: called
    with the runner when that is ready. goodbye: printed at the end. warnings: printed first, on standard
    error, one line each.
    """
    open_missing_descriptors()
    for warning in warnings:
        say(f"{prog}: {warning}", sys.stderr)
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        level=logging.DEBUG if verbose else logging.WARNING,
    )
    try:
        status = _run(prog, make, announce)
        if status == 0:
            say(goodbye)
    except KeyboardInterrupt:  # before the runner handles signals
        status = 130
    settle_streams()
    if not background.flush(rest=True):
        # Nobody reads standard error, and the interpreter would wait for ever until somebody does.
        os._exit(status)
    return status


def _run(prog: str, make: Callable[[], Runner], announce: Callable[[Any], None]) -> int:
    try:
        runner = make()
    except ValueError as error:
        say(f"{prog}: {error}", sys.stderr)
        return 2
    restore = _on_signals(runner.shutdown, runner.on_hangup)
    try:
        runner.start(announce=lambda: announce(runner))
    except (OSError, Pyro5.errors.PyroError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        say(f"{prog}: {text}", sys.stderr)
        return 1
    finally:
        restore()
    return 0


def _on_signals(stop: Callable[[], None], hang_up: Callable[[], None] | None) -> Callable[[], None]:
    """Have the first SIGTERM, SIGINT or SIGHUP call `stop`, and the next one end the process at once.

    hang_up: what each SIGHUP calls instead. Without it, a SIGHUP that is ignored, under nohup, stays ignored.
    Returns a function that undoes all this. After a signal that function does nothing, because a second
    signal may still come while the interpreter ends.
    """
    signalled = False
    handlers: dict[int, Callable[..., None]] = {}

    def on_signal(*_: object) -> None:
        nonlocal signalled
        signalled = True
        for number, handler in handlers.items():
            if handler is on_signal:
                signal.signal(number, signal.SIG_DFL)
        stop()

    handlers.update({signal.SIGTERM: on_signal, signal.SIGINT: on_signal})
    if hasattr(signal, "SIGHUP"):
        if hang_up is not None:
            handlers[signal.SIGHUP] = lambda *_: hang_up()
        elif signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            handlers[signal.SIGHUP] = on_signal
    previous: dict[int, Any] = {number: signal.signal(number, each) for number, each in handlers.items()}

    def restore() -> None:
        if not signalled:
            for number, handler in previous.items():
                signal.signal(number, handler)

    return restore
