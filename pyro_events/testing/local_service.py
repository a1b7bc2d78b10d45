"""An event service for a test, and the environment in which programs find it.

Knows: how a service is started, and what tells programs where it is. Must not know: pytest, or what a test
does.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, TypeVar

from Pyro5 import config
from Pyro5.client import Proxy
from Pyro5.core import URI

from ..client.publishing.entry import checked_timeout
from ..constants import ES_URI_VARIABLE
from ..errors import EventServiceError
from ..options import ServiceOptions, check_count
from ..server.starter import EventServiceStarter
from ..transport.authenticated_proxy import IdentProxy
from ..wire.handshake.passphrase import Ident, identity_of, sealed

Self = TypeVar("Self", bound="LocalEventService")

_HOST: Final = "127.0.0.1"
# A test that fails may leave a subscriber that takes no more events, for which its end need not wait long.
_DRAIN: Final = 1.0
# How often the service is asked who has subscribed, in seconds.
_ASK_AGAIN: Final = 0.02


class LocalEventService:
    """An event service with a name server of its own, on free ports of 127.0.0.1.

    Use it in a `with` statement. In the block, the environment and Pyro5's settings say where the two are:
    `Publisher()`, `Subscriber()` and `EventStream()` find the service, and so do Pyro5's proxies by its name,
    in this process and in those that are started there. Afterwards both are as they were.

    With pytest, the fixture `event_service` is one of these.

    Example:
        >>> with LocalEventService() as service, Publisher() as market:
        ...     market.publish("STOCKQUOTE.SUN", 22.44)
        ...     sorted(service.environment)
        0
        ['PYROEVENTS_ES_URI', 'PYRO_NS_HOST', 'PYRO_NS_PORT']
    """

    def __init__(self, *, options: ServiceOptions | None = None, ident: Ident = None) -> None:
        """Say what will be started; `with` starts it.

        Args:
            options: its limits and times. Default None: those of ServiceOptions, but at its end it delivers
                for one second only.
            ident: the passphrase of the service and the name server; it does not get into the environment.
                Default None: there is none.

        Raises:
            TypeError, ValueError: an argument is not one of the above; the text says what to write.
        """
        self._identity = identity_of(sealed(ident))
        self._options = ServiceOptions(drain=_DRAIN) if options is None else options
        self._starter = self._new_starter(0, 0)
        self._running = False
        self._uri = self._ns_uri = ""
        self._told = contextlib.ExitStack()

    def _new_starter(self, port: int, ns_port: int) -> EventServiceStarter:
        return EventServiceStarter(
            _HOST,
            port,
            embed_ns=True,
            ns_host=_HOST,
            ns_port=ns_port,
            options=self._options,
            ident=self._identity,
        )

    @property
    def uri(self) -> str:
        """The service's URI, for `es_uri=`. Raises EventServiceError before the `with` statement."""
        return self._started(self._uri)

    @property
    def ns_uri(self) -> str:
        """The name server's URI. Raises EventServiceError before the `with` statement."""
        return self._started(self._ns_uri)

    @property
    def host(self) -> str:
        """The host of both: 127.0.0.1."""
        return _HOST

    @property
    def port(self) -> int:
        """The service's port. Raises EventServiceError before the `with` statement."""
        return _port(self.uri)

    @property
    def ns_port(self) -> int:
        """The name server's port, for `ns_port=`. Raises EventServiceError before the `with` statement."""
        return _port(self.ns_uri)

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that tell programs where the two are, for a process whose environment is made anew.

        Raises EventServiceError before the `with` statement.
        """
        return {
            ES_URI_VARIABLE: self.uri,
            "PYRO_NS_HOST": _HOST,
            "PYRO_NS_PORT": str(self.ns_port),
        }

    def stop(self) -> None:
        """End the service and its name server, as if they had gone away; the environment stays.

        Calling it again is harmless.
        """
        if self._running:
            self._running = False
            self._starter.__exit__(None, None, None)

    def start(self) -> None:
        """Start both again at the same addresses, after `stop`. They have forgotten everything.

        Raises:
            EventServiceError: it is running, or the `with` statement has not been entered.
            OSError: another program has taken a port meanwhile.

        Example:
            >>> with LocalEventService() as service, EventStream("STOCKQUOTE.SUN"):
            ...     service.stop()
            ...     service.start()
            ...     service.wait_for_subscriber("STOCKQUOTE.SUN")  # the stream comes back by itself
        """
        port, ns_port = self.port, self.ns_port
        if self._running:
            raise EventServiceError("this event service is running: call stop() first")
        starter = self._new_starter(port, ns_port)
        starter.__enter__()
        self._starter, self._running = starter, True

    def wait_for_subscriber(self, subject: str, count: int = 1, timeout: float = 5.0) -> None:
        """Wait until a program has subscribed, so that it gets what is published from then on.

        Args:
            subject: the name or the pattern, as that program gives it.
            count: how many subscribers there must be; 1 by default. A `collect` of the same subject is one.
            timeout: seconds to wait at most; 5 by default.

        Raises:
            AssertionError: there are fewer; the text says who has subscribed to what.
            EventServiceError: the service does not run.
            TypeError, ValueError: an argument is not one of the above.

        Example:
            >>> with LocalEventService() as service, Subscriber() as ticker:
            ...     ticker.subscribe("STOCKQUOTE.SUN")
            ...     service.wait_for_subscriber("STOCKQUOTE.SUN")
        """
        __tracebackhide__ = True  # pytest shows the test's line
        if not isinstance(subject, str):
            raise TypeError(f"subject must be a name or a pattern, a str, not {type(subject).__name__}")
        check_count("count", count, 1)
        seconds = checked_timeout(timeout)
        until = math.inf if seconds is None else time.monotonic() + seconds
        name = subject.casefold()
        while True:
            subscribers = self._subscribers()
            found = [each for each in subscribers if name in map(str.casefold, each["subjects"])]
            if len(found) >= count:
                return
            if time.monotonic() >= until:
                wanted = f"{count} subscriber{'s' if count > 1 else ''} to {subject!r}"
                raise AssertionError(
                    f"{wanted} expected within {timeout:g} s, there are {len(found)}; all subscribers: "
                    f"{_described(subscribers)}"
                )
            time.sleep(_ASK_AGAIN)

    def _subscribers(self) -> list[dict[str, Any]]:
        if not self._running:
            raise EventServiceError("this event service does not run")
        with Proxy(self.uri) if self._identity is None else IdentProxy(self.uri, self._identity) as es:
            es._pyroSerializer = "serpent"  # whatever Pyro5's settings are
            subscribers: list[dict[str, Any]] = es.statistics()["subscribers"]
            return subscribers

    def _started(self, uri: str) -> str:
        if not uri:
            raise EventServiceError("this event service has not been started: use it in a with statement")
        return uri

    def __repr__(self) -> str:
        state = f"running at {self._uri}" if self._running else "ended" if self._uri else "not started"
        return f"<{type(self).__name__}, {state}>"

    def __enter__(self: Self) -> Self:
        if self._uri:
            raise EventServiceError("this event service has been started before; make a new one")
        self._starter.__enter__()
        self._running, self._uri, self._ns_uri = True, self._starter.uri, self._starter.ns_uri or ""
        self._told.enter_context(_told_to_programs(self.environment, self.ns_port))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._told.close()
        self.stop()


def _port(uri: str) -> int:
    return int(URI(uri).port)


@contextlib.contextmanager
def _told_to_programs(variables: Mapping[str, str], ns_port: int) -> Iterator[None]:
    """Say in the environment, and in Pyro5's settings, where service and name server are, for a while."""
    before = {name: os.environ.get(name) for name in variables}
    settings = config.NS_HOST, config.NS_PORT
    os.environ.update(variables)
    config.NS_HOST, config.NS_PORT = _HOST, ns_port
    try:
        yield
    finally:
        config.NS_HOST, config.NS_PORT = settings
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _described(subscribers: list[dict[str, Any]]) -> str:
    """What subscribers have subscribed to, and what they are called."""
    return "; ".join(f"{each['name']} to {', '.join(each['subjects'])}" for each in subscribers) or "none"
