"""ReconnectState: random histories of a service, a network and a program, in a time of their own."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from driven_state import REACHED, REFUSED, TIMES, UNKNOWN, DrivenState
from hypothesis import given, settings
from hypothesis import strategies as st

from pyro_events.client.reconnect.events import (
    Answered,
    Ask,
    Connected,
    Disconnected,
    Due,
    FallBack,
    HangUp,
    Hinted,
    Listened,
    Paused,
    Reach,
    ReconnectAction,
    ReconnectEvent,
    Resubscribed,
    Subscribe,
    Subscribed,
    SubscriptionStatus,
    TurnGranted,
    Unsubscribed,
    Warn,
)
from pyro_events.client.reconnect.state import NEVER, Listening, Stage, State


class World:
    """A service, a network and a program that do as they like, and a subscriber that is driven by its state.

    Nothing takes time of its own. subscribed: what the program wants. knows: what the service knows of that.
    link: the service's connection, as it sees it. open: connections that the subscriber has open. coming: a
    connection that is being made. walled: whether the service cannot connect. falls_back: whether the
    subscriber can; own: whether it does, from now on.
    """

    def __init__(self, falls_back: bool = False) -> None:
        self.falls_back = falls_back
        self.walled = self.own = False
        self.it = DrivenState()
        self.numbers = itertools.count()
        self.subscribed: set[int] = set()
        self.knows: set[int] | None = None
        self.up = True
        self.link: int | None = None
        self.open: set[int] = set()
        self.coming: int | None = None
        self.run = self.told_on = 0
        self.request: Reach | Ask | Subscribe | None = None

    def gets(self, event: ReconnectEvent) -> None:
        wanted = bool(self.subscribed)
        state = self.it.state.state
        if state is not State.CLOSED and wanted != (state is not State.UNSUBSCRIBED):
            self.act(self.it.gets(Subscribed(self.falls_back) if wanted else Unsubscribed()))
        self.act(self.it.gets(event))
        self.holds()

    def act(self, actions: list[ReconnectAction]) -> None:
        for action in actions:
            if isinstance(action, Reach | Ask | Subscribe):
                assert self.request is None, "two requests at once"
                self.request = action
                if action == Subscribe(anew=True):
                    assert self.it.state.lost, "a connection is given up, and nobody hears of it"
            elif isinstance(action, HangUp):
                self.open -= action.connections  # type: ignore[arg-type]
            elif isinstance(action, FallBack):
                assert self.falls_back and actions == [action, Subscribe(anew=False)]
                self.falls_back, self.own = False, True
            elif isinstance(action, Warn):
                assert not self.falls_back or self.knows is None, "it can help itself"

    def holds(self) -> None:
        s = self.it.state
        assert (self.request is None) == (s.stage in (Stage.NONE, Stage.TURN))
        assert bool(s.connections) or s.state not in (State.CONNECTED, State.INCOMPLETE)
        assert not s.connections or s.state not in (State.EXPECTED, State.LOST, State.CLOSED)
        wants = s.state not in (State.UNSUBSCRIBED, State.CLOSED) and s.stage is Stage.NONE
        if wants and s.listening is Listening.NOW:
            most = TIMES.silence(s.own) if s.state is State.CONNECTED else TIMES.most_arrival
            assert s.due <= self.it.now + most, f"stuck: {s}"

    # What the program does

    def subscribe(self) -> None:
        number = next(self.numbers)
        if self.up:
            if not self.subscribed:
                self.told_on = self.run
            self.attach()
            self.subscribed.add(number)
            self._told({number})
            self.gets(Due(self.it.activity))

    def unsubscribe(self) -> None:
        self.subscribed.clear()
        if self.up and self.knows is not None:
            self.knows.clear()
        self.gets(Due(self.it.activity))

    def listen(self) -> None:
        self.gets(Listened())

    def pause(self) -> None:
        self.gets(Paused())

    # What the service does

    def _told(self, subscriptions: set[int]) -> None:
        if self.knows is None:
            self.knows = set()
            if not self.walled:
                self.link = self.coming = next(self.numbers)
        self.knows |= subscriptions

    def attach(self) -> None:
        """The subscriber connects, unless it is connected. What waited for another connection is kept."""
        if self.own and (self.link is None or self.link not in {*self.open, self.coming}):
            self.knows = set() if self.knows is None or self.link is not None else self.knows
            self.link = self.coming = next(self.numbers)

    def arrive(self) -> None:
        """The connection that is being made is made."""
        if self.coming is not None and (self.own or self.it.state.listening is not Listening.PAUSED):
            number, self.coming = self.coming, None
            self.open.add(number)
            self.gets(Connected(number, own=self.own))

    def forget(self) -> None:
        """It disconnects the subscriber, which does not hear of it."""
        self.knows = self.link = self.coming = None

    def disconnect(self) -> None:
        """It disconnects the subscriber, which does."""
        link = self.link
        self.forget()
        if link in self.open:
            self.open.discard(link)  # type: ignore[arg-type]
            self.gets(Disconnected(link))

    def die(self) -> None:
        self.disconnect()
        self.up = False

    def restart(self) -> None:
        self.disconnect()
        self.up = True
        self.run += 1

    # What the network and strangers do

    def wall(self) -> None:
        """From now on the service cannot connect."""
        self.walled = self.falls_back
        if self.walled and self.coming is not None:
            self.link = self.coming = None

    def tear(self) -> None:
        """The subscriber loses its connections, and the service does not notice."""
        for number in sorted(self.open):
            self.open.discard(number)
            self.gets(Disconnected(number))

    def intrude(self) -> None:
        number = next(self.numbers)
        self.open.add(number)
        self.gets(Connected(number))

    def hint(self) -> None:
        self.gets(Hinted())

    # What the reconnector does

    def fail(self) -> None:
        if self.request is not None:
            self.request = None
            self.gets(REFUSED)

    def answer(self) -> None:
        request, self.request = self.request, None
        if request is None:
            return
        if not self.up:
            self.gets(REFUSED)
        elif isinstance(request, Reach):
            self.gets(REACHED)
        elif isinstance(request, Ask):
            self.gets(self._answer())
        else:
            if request.anew and not self.own:
                self.forget()
            self.attach()
            self._told(set(self.subscribed))
            self.told_on = self.run
            self.gets(Resubscribed())

    def _answer(self) -> Answered:
        if self.knows is None:
            return UNKNOWN
        complete = self.told_on == self.run and len(self.knows) >= len(self.subscribed)
        status = SubscriptionStatus.KNOWN if complete else SubscriptionStatus.UNSURE
        there = self.link is not None
        return Answered(
            status,
            connected=there and self.coming is None,
            unreachable=not there,
            falls_back=self.falls_back,
        )

    def grant(self) -> None:
        self.gets(TurnGranted())

    def wait(self) -> None:
        """Until something is due, or a second."""
        self.it.now = min(self.it.now + 1.0, max(self.it.now, self.it.state.due))
        self.gets(Due(self.it.activity))

    def sleep(self) -> None:
        self.it.now += 20.0
        self.gets(Due(self.it.activity))

    def settled(self) -> bool:
        s = self.it.state
        if not self.subscribed or s.stage is not Stage.NONE:
            return s.state is State.UNSUBSCRIBED
        return s.state is State.CONNECTED and self.link in s.connections and self.knows == self.subscribed

    def recover(self) -> None:
        """From now on all is well, and the program listens; strangers leave."""
        self.listen()
        self.up = True
        for _ in range(400):
            if self.settled():
                break
            if self.it.state.due != NEVER:
                self.it.now = max(self.it.now, self.it.state.due)
            for number in sorted(self.open - {self.link}):
                self.open.discard(number)
                self.gets(Disconnected(number))
            if self.link is not None and self.link not in self.open and self.coming is None:
                self.forget()  # it notices in the end
            for act in (self.wait, self.grant, self.answer, self.answer, self.arrive):
                act()


def acts() -> list[Callable[[World], None]]:
    program = [World.subscribe, World.unsubscribe, World.listen, World.pause]
    service = [World.arrive, World.forget, World.disconnect, World.die, World.restart]
    network = [World.tear, World.intrude, World.hint, World.wall]
    reconnector = [World.fail, World.answer, World.grant, World.wait, World.sleep]
    return [*program, *service, *network, *reconnector * 2, World.arrive, World.subscribe, World.listen]


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(acts()), max_size=80), st.booleans())
def test_whatever_happens_it_is_subscribed_in_the_end(
    history: list[Callable[[World], None]], falls_back: bool
) -> None:
    """And it is never stuck, never makes two requests at once, and reports what it cannot do."""
    world = World(falls_back)
    for act in history:
        act(world)
    world.recover()
    for _ in range(8):  # and stays so
        assert world.settled(), world.it.state
        world.sleep()
        world.grant()
        world.answer()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from([REFUSED, REACHED, Resubscribed(), Connected("x"), Disconnected("x")]), max_size=60
    )
)
def test_the_delays_are_bounded(answers: list[ReconnectEvent]) -> None:
    one = DrivenState()
    one.gets(Listened(), Subscribed(), Connected("one"), Disconnected("one"))
    for answer in answers:
        lost, before = one.state.state is State.LOST, one.now
        one.waits()
        most = TIMES.most_delay if lost else max(TIMES.heartbeat, TIMES.most_arrival)
        assert one.now - before <= most + 1e-6
        one.gets(answer)
        if one.state.stage is not Stage.NONE:
            one.gets(REFUSED)
