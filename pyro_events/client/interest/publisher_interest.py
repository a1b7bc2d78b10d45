"""PublisherInterest: what one publisher wants to know of its listeners.

Knows: the connection for questions, the one over which the service tells of changes, and the thread that
calls the functions. Must not know: which function is for which subject, or what is on the wire.

Questions never travel on the connection that publishes, because a service that holds up its publisher reads
nothing more from it. Both connections are made when they are needed first.
"""

from __future__ import annotations

import threading
from typing import Final

from ...errors import EventServiceError
from ...wire.requests import pieces
from ..connection.reconnecting import ReconnectingConnection
from ..forks import tell_in_child
from ..interruptions import owned, within
from ..publishing.sender import Sender
from .functions import InterestFunction, InterestFunctions
from .interest_receiver import InterestReceiver, read_said

_CLOSED: Final = "this publisher is closed: make a new one"
# How long the end of a watch, or of the publisher, waits for another thread of the program that is in the
# middle of watching, or for a function of it.
_PATIENCE: Final = 1.0


class PublisherInterest:
    """The questions and the functions of one publisher.

    sender: the publisher's. parents: this is a forked child, and they are the parent's.
    """

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self._questions = ReconnectingConnection(sender.locator)
        self._functions = InterestFunctions(BaseException)
        self._receiver: InterestReceiver | None = None
        self._thread: threading.Thread | None = None
        self._starting = self._ended = self.parents = False
        # Held while the service is told of names, so that it hears of them in the order in which functions
        # were added and removed. Reentrant, so that code that interrupts a thread does not wait for it.
        self._changing = threading.RLock()
        sender.dependents.add(self)
        tell_in_child(self)

    def listeners(self, subjects: list[str], exact: bool) -> dict[str, int]:
        """How many listeners subjects have, which can be published."""
        self._check()
        counts: dict[str, int] = {}
        for some in pieces(subjects):
            counts.update(self._questions.call("listeners", some, {"exact": exact}))
        return counts

    def _check(self) -> None:
        if self._ended or self.sender.closed:
            raise EventServiceError(_CLOSED)

    @property
    def connected(self) -> bool:
        """Whether the service can tell of changes now."""
        receiver = self._receiver
        return receiver is not None and not receiver.source.closed and not receiver.source.link.dead

    # ---- functions ------------------------------------------------------------------------------

    def watch(self, function: InterestFunction) -> None:
        """Call a function from now on. If it raises, nothing has changed."""
        with self._changing:
            receiver = self._started()
            self._functions.add(function)
            try:
                receiver.watch(list(function.subjects.values()))
            except BaseException:
                receiver.unwatch(self._functions.remove(function))
                raise

    def _started(self) -> InterestReceiver:
        """The connection, which is made with the first function."""
        self._check()
        if self._receiver is not None:
            return self._receiver
        if self._starting:
            raise EventServiceError(
                "this thread is in the middle of its first on_interest(), which something that it runs "
                "meanwhile (a signal handler, a __del__) calls too: call it later, or in a thread"
            )
        self._starting = True
        try:
            self._receiver = self._start()
        finally:
            self._starting = False
        if self._ended:  # by another thread, which has found no connection to close
            self._receiver.end()
        self._check()
        return self._receiver

    def _start(self) -> InterestReceiver:
        receiver = InterestReceiver(self.sender.locator)
        try:
            receiver.start()
            thread = threading.Thread(
                target=self._run, args=(receiver,), name="pyro_events-interest", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:
                raise EventServiceError(f"the functions of on_interest get no thread: {error}") from error
        except BaseException:
            receiver.end()
            raise
        self._thread = thread
        return receiver

    def unwatch(self, function: InterestFunction) -> None:
        """Call a function no more. It is not called from the beginning of this on."""
        function.ended = True
        if not within(self._changing, _PATIENCE, lambda: self._unwatch(function)):
            # Another thread waits for the service. What this one would say of is told in vain.
            self._functions.remove(function)

    def _unwatch(self, function: InterestFunction) -> None:
        left = self._functions.remove(function)
        if left and self._receiver is not None and not self._ended:
            self._receiver.unwatch(left)
            late = self._functions.wanted(left)
            if late:  # code that has interrupted this thread watches them, and the service may not know that
                self._receiver.watch_again(late)

    # ---- the thread -----------------------------------------------------------------------------

    def _run(self, receiver: InterestReceiver) -> None:
        """Call the functions, until the connection is closed for good."""
        source = receiver.source
        while (row := source.take(None)) is not None:
            said = read_said(row)
            if said is not None:
                self._functions.heard(said.subject, said.listeners, source.link)

    # ---- the end --------------------------------------------------------------------------------

    def end(self) -> None:
        """The publisher is closed: no function is called any more."""
        self._ended = True
        self._functions.clear()
        if self._receiver is not None:
            self._receiver.end()
        self._questions.close()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread() and not owned(self._changing):
            thread.join(_PATIENCE)

    def forked(self) -> None:
        """In a forked child: the functions, the thread and the connections are the parent's."""
        self._ended = self.parents = True
        self._changing = threading.RLock()
        self._functions.clear()
        self._thread = None
        self._questions.disown()
