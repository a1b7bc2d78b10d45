"""pyro_events: Pyro3's Event Service for Pyro5, as an extension package.

A `Publisher` publishes Python objects by subject, and a `Subscriber` is called back with those whose subject
it has subscribed to. An `EventStream` is for programs that would rather take them one by one. Between them is
the event service: `python -m pyro_events.es` starts it, or an `EventServiceStarter` in a program of your own.
`pyro_events.aio` has the clients for asyncio programs, `pyro_events.testing` what tests of programs need.

Example:
    >>> class Ticker(Subscriber):
    ...     def event(self, event):
    ...         print(event.subject, "=", event.msg)
    ...         self.abort()
    >>> with EventServiceStarter(port=0, use_ns=False) as es:
    ...     with Publisher(es_uri=es.uri) as market, Ticker(es_uri=es.uri) as ticker:
    ...         ticker.subscribeMatch("^STOCKQUOTE")
    ...         market.publish("STOCKQUOTE.SUN", 22.44)
    ...         ticker.listen()
    1
    STOCKQUOTE.SUN = 22.44

In the examples of methods and errors, `market` is a Publisher and `ticker` a Subscriber.

Knows: the public names and where they are, and that Pyro5 may refuse its settings. Must not
know: anything else.

PYTEST_DONT_REWRITE: pytest would warn where a program has imported this before it calls pytest, because
the plugin belongs to the same distribution.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

try:
    from .cli import interrupts

    interrupts.exit_quietly()  # first, because the rest takes a while to import
    from . import serializers
except ValueError as error:
    # Of a variable PYRO_… in the environment that Pyro5 does not know. While Python looks for a module that
    # `-m` names, as for `python -m pyro_events.es`, one line is enough.
    if sys.argv[:1] != ["-m"]:
        raise
    sys.exit(f"pyro_events: {error}")

if TYPE_CHECKING:
    from . import aio as aio
    from .broker.matching.shell_patterns import glob
    from .client.background.publisher import BackgroundPublisher
    from .client.daemon.daemon import SubscriberDaemon
    from .client.event_stream import EventStream
    from .client.interest.interest_watch import InterestWatch
    from .client.publisher import Publisher
    from .client.publishing.pipeline import Pipeline
    from .client.statistics import (
        BackgroundStatistics,
        ClientStatistics,
        InterestStatistics,
        PublisherStatistics,
        StreamStatistics,
        SubscriberStatistics,
    )
    from .client.subscriber import Subscriber
    from .codec.classes.families import register_classes
    from .codec.classes.registry import register_class
    from .codec.stock_values import Unknown
    from .constants import EVENTSERVER_NAME
    from .errors import (
        AccessDeniedError,
        AnswerTimeoutError,
        ClocksDifferError,
        EventServiceError,
        MessageTooLargeError,
        NameServerDeniedError,
        OutcomeUnknownError,
        PayloadError,
        PipelineError,
        PipelineOutcomeUnknownError,
        RemoteError,
        ServiceExistsError,
        ServiceNotFoundError,
        ServiceUnreachableError,
        UnsupportedTypeError,
    )
    from .event import Event
    from .options import BacklogOptions, Overflow, ServiceOptions
    from .server.name_server_starter import NameServerStarter
    from .server.service import EventService
    from .server.starter import EventServiceStarter
    from .transport.authenticated_proxy import IdentProxy, locate_ns
    from .version import __version__

serializers.register_with_pyro()

# Where the public names are. A module is imported when one of its names is first asked for: a program that
# publishes needs neither the service nor asyncio, and importing everything takes five times as long.
_PLACES = {
    ".broker.matching.shell_patterns": ("glob",),
    ".client.background.publisher": ("BackgroundPublisher",),
    ".client.daemon.daemon": ("SubscriberDaemon",),
    ".client.event_stream": ("EventStream",),
    ".client.interest.interest_watch": ("InterestWatch",),
    ".client.publisher": ("Publisher",),
    ".client.publishing.pipeline": ("Pipeline",),
    ".client.statistics": (
        "BackgroundStatistics",
        "ClientStatistics",
        "InterestStatistics",
        "PublisherStatistics",
        "StreamStatistics",
        "SubscriberStatistics",
    ),
    ".client.subscriber": ("Subscriber",),
    ".codec.classes.families": ("register_classes",),
    ".codec.classes.registry": ("register_class",),
    ".codec.stock_values": ("Unknown",),
    ".constants": ("EVENTSERVER_NAME",),
    ".errors": (
        "AccessDeniedError",
        "AnswerTimeoutError",
        "ClocksDifferError",
        "EventServiceError",
        "MessageTooLargeError",
        "NameServerDeniedError",
        "OutcomeUnknownError",
        "PayloadError",
        "PipelineError",
        "PipelineOutcomeUnknownError",
        "RemoteError",
        "ServiceExistsError",
        "ServiceNotFoundError",
        "ServiceUnreachableError",
        "UnsupportedTypeError",
    ),
    ".event": ("Event",),
    ".options": (
        "BacklogOptions",
        "Overflow",
        "ServiceOptions",
    ),
    ".server.name_server_starter": ("NameServerStarter",),
    ".server.service": ("EventService",),
    ".server.starter": ("EventServiceStarter",),
    ".transport.authenticated_proxy": (
        "IdentProxy",
        "locate_ns",
    ),
    ".version": ("__version__",),
}

__all__ = [
    "EVENTSERVER_NAME",
    "AccessDeniedError",
    "AnswerTimeoutError",
    "BackgroundPublisher",
    "BackgroundStatistics",
    "BacklogOptions",
    "ClientStatistics",
    "ClocksDifferError",
    "Event",
    "EventService",
    "EventServiceError",
    "EventServiceStarter",
    "EventStream",
    "IdentProxy",
    "InterestStatistics",
    "InterestWatch",
    "MessageTooLargeError",
    "NameServerDeniedError",
    "NameServerStarter",
    "OutcomeUnknownError",
    "Overflow",
    "PayloadError",
    "Pipeline",
    "PipelineError",
    "PipelineOutcomeUnknownError",
    "Publisher",
    "PublisherStatistics",
    "RemoteError",
    "ServiceExistsError",
    "ServiceNotFoundError",
    "ServiceOptions",
    "ServiceUnreachableError",
    "StreamStatistics",
    "Subscriber",
    "SubscriberDaemon",
    "SubscriberStatistics",
    "Unknown",
    "UnsupportedTypeError",
    "__version__",
    "glob",
    "locate_ns",
    "register_class",
    "register_classes",
]


def __dir__() -> list[str]:
    """What tab completion offers: the modules that these names come from are not for programs."""
    return [*__all__, "aio"]


def __getattr__(name: str) -> Any:
    """Import a public name, or `aio`, when it is first asked for."""
    if name == "aio":
        return importlib.import_module(".aio", __name__)
    for place, names in _PLACES.items():
        if name in names:
            value = globals()[name] = getattr(importlib.import_module(place, __name__), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
