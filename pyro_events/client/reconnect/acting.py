"""Carries out the actions of a state: requests, and actions that take no time.

Knows: how each action is carried out on a subscriber. Must not know: when, or what follows from the result.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ...log.background import get_logger
from .events import (
    UNEXPLAINED,
    Answered,
    Ask,
    Complain,
    DropConnection,
    Failed,
    FallBack,
    HangUp,
    ReconnectAction,
    Request,
    Resubscribed,
    Subscribe,
    Subscribed,
    SubscriptionStatus,
    Unsubscribed,
    Warn,
)
from .target import ReconnectTarget

log = get_logger("pyro_events.subscriber")


def change(target: ReconnectTarget, wanted: bool) -> Subscribed | Unsubscribed:
    """The event for a subscriber that has its first subscription, or has no more."""
    return Subscribed(target.falls_back()) if wanted else Unsubscribed()


def act(target: ReconnectTarget, action: ReconnectAction) -> None:
    """Carry out an action that takes no time; any other action is ignored here."""
    if isinstance(action, HangUp):
        target.hang_up(action.connections)
    elif isinstance(action, DropConnection):
        target.drop_connection("the answer is overdue, though the service can be reached")
    elif isinstance(action, FallBack):
        target.fall_back(action.why)
    elif isinstance(action, Complain):
        text = "subscribing again failed and will be tried until it succeeds: %s"
        log.warning(text, action.error, about=target.address())
    elif isinstance(action, Warn):
        log.warning(
            "no event arrives: the event service at %s does not reach this subscriber at %s: %s; without "
            "callback=True, and with a service of this version, the subscriber would connect itself",
            target.address(),
            target.own_address(),
            action.why or UNEXPLAINED,
            about=target.own_address(),
        )


def make_request(
    target: ReconnectTarget, request: Request, patience: float
) -> Answered | Resubscribed | Failed:
    """Make a request. Returns its result as an event. patience: for the answer to a question, in seconds."""
    try:
        if isinstance(request, Ask):
            return target.ask(patience)
        if isinstance(request, Subscribe):
            target.subscribe_again(request.anew)
            return Resubscribed()
        target.reach()
        return Answered(SubscriptionStatus.REACHED)
    except BaseException as error:  # whatever it is, not trying again would be worse
        log.debug("a request to the event service failed: %s", error)
        temporary = getattr(error, "temporary", True)
        # That one side uses TLS now, and the other does not, is another failure than that nothing answers.
        kind = f"{type(error).__name__} {temporary}"
        return Failed(error, kind, getattr(error, "tls", False) or not temporary)


@contextlib.contextmanager
def surviving(target: ReconnectTarget) -> Iterator[None]:
    """Go on after an error with one subscriber, because the calling thread serves others too."""
    try:
        yield
    except BaseException:
        log.exception("keeping a subscriber subscribed failed", about=target.own_address())
