"""The reconnector: one thread that keeps all subscribers of a program subscribed.

Knows: when each of them has something to do, and which threads do it. Must not know: what follows from an
event (state.py), what is subscribed, or how the service is asked (the target does that).

The thread sleeps until something is due. Requests to a service may take seconds, so a few other threads make
them, which end when there is nothing left to do. So subscribers of one service do not wait for another
service. None of these threads runs code of the program (`on_reconnect`, handlers).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final, Protocol

from ..forks import tell_in_child
from ..interruptions import WakeUp, owned
from .acting import act, change, make_request, surviving
from .events import (
    Ask,
    Due,
    Failed,
    Hinted,
    Reach,
    ReconnectAction,
    ReconnectEvent,
    Subscribe,
    TurnGranted,
    WaitForTurn,
)
from .reconnect_queue import ReconnectQueue
from .state import NEVER, ReconnectState, Stage, State
from .target import ReconnectTarget
from .times import ReconnectTimes
from .transitions import step

# How many threads make requests. A service that does not answer occupies at most AT_ONCE of them.
MOST_WORKERS: Final = 64
# The shortest sleep of the thread, so that it runs once when many subscribers lose their connections.
_TICK: Final = 0.005
# How long `join` waits for a running request; `close` interrupts that, so the limit is not reached.
_JOIN: Final = 10.0


class Member(Protocol):
    """One subscriber of a reconnector. waiting: threads that wait for a connection."""

    times: ReconnectTimes
    state: ReconnectState
    waiting: list[WakeUp]

    @property
    def target(self) -> ReconnectTarget:
        """The subscriber."""


class Reconnector:
    """Drives the states of all subscribers of one program."""

    def __init__(
        self,
        queue: ReconnectQueue[Member] | None = None,
        workers: int = MOST_WORKERS,
        retry: float = 1.0,
    ) -> None:
        """queue: decides which request is made when; an ordinary one, if None. workers: how many threads make
        requests. retry: seconds until a thread is started again, after the system had none left."""
        self._retry = retry
        self._most_workers = workers
        self._begin(queue)
        tell_in_child(self)

    def forked(self) -> None:
        """This is a forked child: the subscribers and the threads are the parent's."""
        self._begin(None)

    def _begin(self, queue: ReconnectQueue[Member] | None) -> None:
        # Reentrant, because code that interrupts a thread may close a subscriber. While it is held, nothing
        # waits except for its conditions, which release it.
        self._lock = threading.RLock()
        # Notified when the thread has to check what is due, and when a request or a thread has ended.
        self._changed = threading.Condition(self._lock)
        self._ended = threading.Condition(self._lock)
        self._members: set[Member] = set()
        self._queue: ReconnectQueue[Member] = ReconnectQueue() if queue is None else queue
        # The subscribers that wait for a time.
        self._due_at: dict[Member, float] = {}
        self._wakes_at = NEVER
        self._thread: threading.Thread | None = None
        self._workers: set[threading.Thread] = set()
        self._working: set[Member] = set()
        self._stepping = False
        # Events that came while the thread that handles events was interrupted.
        self._late: deque[tuple[Member, ReconnectEvent | None]] = deque()

    @property
    def entered(self) -> bool:
        """Whether the calling thread is in the middle of using it, or is one of its own threads."""
        thread = threading.current_thread()
        return owned(self._lock) or thread is self._thread or thread in self._workers

    def feed(self, member: Member, event: ReconnectEvent | None) -> tuple[ReconnectAction, ...]:
        """Give an event to a state, and carry out what follows, except for requests. None: the subscriptions
        may have changed. Returns the actions."""
        with self._lock:
            if self._stepping:
                self._late.append((member, event))
                return ()
            self._stepping = True
            try:
                actions = self._step(member, event)
            finally:
                self._stepping = False
                # Also if a signal's handler has ended the step; it may have closed the subscriber before.
                while self._late:
                    self.feed(*self._late.popleft())
        for action in actions:
            act(member.target, action)
        return actions

    def _step(self, member: Member, event: ReconnectEvent | None) -> tuple[ReconnectAction, ...]:
        now, state = time.monotonic(), member.state
        actions: tuple[ReconnectAction, ...] = ()
        # Read under the lock, so that the last answer counts.
        wanted = member.target.wanted()
        if wanted != (state.state is not State.UNSUBSCRIBED):
            state, _ = step(state, change(member.target, wanted), now, member.times)
        if event is not None:
            state, actions = step(state, event, now, member.times)
        member.state = state
        if WaitForTurn() in actions:
            self._queue.join(member, member.target.address())
        self._follow(member)
        return actions

    def _follow(self, member: Member) -> None:
        """Tell the thread what a state waits for, and the waiting threads what the state is."""
        state = member.state
        if state.due < NEVER:
            self._due_at[member] = state.due
        else:
            self._due_at.pop(member, None)
        if state.state is State.CLOSED:
            # Whether or not it was closed before: an exception may have ended that in the middle.
            self._members.discard(member)
            self._queue.leave(member)
            self._wake()
        elif state.state is not State.UNSUBSCRIBED:
            self._members.add(member)
            if min(state.due, self._queue.due()) < self._wakes_at or self._thread is None:
                self._wake()
        if state.connections or state.state is State.CLOSED:
            for woken in list(member.waiting):
                woken.set()

    def _wake(self) -> None:
        """Make the thread check what is due; start it if necessary."""
        if self._thread is not None:
            self._changed.notify_all()
        elif self._members:
            self._thread = threading.Thread(target=self._run, name="pyro_events-reconnect", daemon=True)
            try:
                self._thread.start()
            except BaseException as error:
                self._thread = None  # the next event tries again; one that was started nevertheless ends
                if not isinstance(error, RuntimeError):  # the system allows no more
                    raise

    # The thread.

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._thread is not threading.current_thread():
                    return  # the start was interrupted, and there may be another thread
                if not self._members:
                    self._thread = None
                    self._ended.notify_all()
                    return
                due = self._due(time.monotonic())
                if not due:
                    self._sleep()
            for member in due:
                with surviving(member.target):
                    self.feed(member, Due(member.target.activity()))

    def _due(self, now: float) -> list[Member]:
        """The subscribers that have something to do now."""
        found = [member for member, at in self._due_at.items() if at <= now]
        for member in found:
            del self._due_at[member]
        return found

    def _sleep(self) -> None:
        """Start threads that make requests, and wait until something is due."""
        started = True
        while started and len(self._workers) < self._most_workers and self._queue.due() <= time.monotonic():
            started = self._start_worker()
        at = min(self._due_at.values(), default=NEVER)
        if not started:
            at = min(at, time.monotonic() + self._retry)
        elif len(self._workers) < self._most_workers:
            at = min(at, self._queue.due())
        self._wakes_at = at
        self._changed.wait(None if at == NEVER else max(_TICK, at - time.monotonic()))
        self._wakes_at = -NEVER

    def _start_worker(self) -> bool:
        member = self._queue.take(time.monotonic())
        if member is None:
            return False
        worker = threading.Thread(
            target=self._work, args=(member,), name="pyro_events-reconnect", daemon=True
        )
        self._workers.add(worker)
        self._working.add(member)
        try:
            worker.start()
        except RuntimeError:  # the system allows no more
            self._workers.discard(worker)
            self._working.discard(member)
            self._queue.join(member, member.target.address())
            return False
        return True

    def join(self, member: Member) -> None:
        """Wait for the request of a subscriber that was closed; if it was the last one, for all threads."""
        if self.entered:
            return
        end = time.monotonic() + _JOIN
        with self._lock:
            while time.monotonic() < end:
                threads = bool(self._thread or self._workers) and not self._members
                if member not in self._working and not threads:
                    return
                self._ended.wait(end - time.monotonic())

    def hinted(self, member: Member) -> None:
        """Give a hint to a subscriber, and to others of the same service that wait for an answer."""
        with self._lock:
            others = [each for each in self._queue.running(member.target.address()) if each is not member]
        self.feed(member, Hinted())
        for other in others:
            if other.state.stage is Stage.ASK:
                self.feed(other, Hinted())

    # The threads that make requests.

    def _work(self, member: Member | None) -> None:
        while member is not None:
            with surviving(member.target):
                self._serve(member)
            with self._lock:
                self._working.discard(member)
                member = self._queue.take(time.monotonic())
                if member is not None:
                    self._working.add(member)
                else:
                    self._workers.discard(threading.current_thread())
                self._ended.notify_all()
                # An address that does not fail any more may get further requests.
                if self._queue.due() < self._wakes_at:
                    self._wake()

    def _serve(self, member: Member) -> None:
        """Make one request after the other, as long as the subscriber's state wants one."""
        reached, lasting = None, False
        event: ReconnectEvent = TurnGranted()
        try:
            while True:
                actions = self.feed(member, event)
                request = next((each for each in actions if isinstance(each, Reach | Ask | Subscribe)), None)
                if request is None:
                    return
                event = make_request(member.target, request, member.times.answer)
                if isinstance(event, Failed):
                    reached, lasting = reached or isinstance(request, Subscribe), event.lasting
                else:
                    reached = True
        finally:
            with self._lock:
                self._queue.finished(member, time.monotonic(), reached, lasting)


# The program's reconnector.
shared: Final = Reconnector()
