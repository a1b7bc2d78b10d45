"""pyro_events: Pyro3's Event Service for Pyro5, as an extension package.

Knows: the public names, that importing them takes a while, and that Pyro5 may refuse its settings. Must not
know: anything else.
"""

from __future__ import annotations

import sys

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

from .client.daemon.daemon import SubscriberDaemon
from .client.publisher import Publisher
from .client.publishing.pipeline import Pipeline
from .client.statistics import ClientStatistics, PublisherStatistics, SubscriberStatistics
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

__all__ = [
    "EVENTSERVER_NAME",
    "AccessDeniedError",
    "AnswerTimeoutError",
    "BacklogOptions",
    "ClientStatistics",
    "ClocksDifferError",
    "Event",
    "EventService",
    "EventServiceError",
    "EventServiceStarter",
    "IdentProxy",
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
    "Subscriber",
    "SubscriberDaemon",
    "SubscriberStatistics",
    "Unknown",
    "UnsupportedTypeError",
    "__version__",
    "locate_ns",
    "register_class",
    "register_classes",
]
