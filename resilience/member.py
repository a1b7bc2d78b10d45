"""Member: a listener process, with a bad network around it if one is wanted.

Knows: how a listener is started so that all of its connections go through proxies. Must not know: the faults,
or which events it will get.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .ports import LOOPBACK
from .processes import Actor, Cast
from .proxy import Proxy
from .servers import Server


class Member:
    """A listener to one subject, which can be killed and started again.

    subscribe_options: its options when it subscribes, and which `listener` it is, for ours. handler: options
    of the listener program.
    proxies: empty unless `proxied`; else the proxy to the server, and for our callbacks also the one back,
    because our service connects to its subscribers.
    """

    actor: Actor

    def __init__(
        self,
        cast: Cast,
        server: Server,
        system: str,
        subject: str,
        *,
        seed: int = 0,
        proxied: bool = False,
        subscribe_options: Mapping[str, Any] | None = None,
        handler: tuple[str, ...] = (),
    ) -> None:
        self.subject = subject
        self._cast, self._system = cast, system
        self._options = [subject, *handler, "--options", json.dumps(dict(subscribe_options or {}))]
        self._listener = (subscribe_options or {}).get("listener", "callback")
        self.address = server.address
        self.proxies: list[Proxy] = []
        self._env: dict[str, str] | None = None
        if proxied:
            self.proxies.append(Proxy(seed, server.port))
            self.address = server.reached_by(self.proxies[0].port)
            if system == "ours" and self._listener == "callback":
                self.proxies.append(Proxy(seed + 1))
                self._env = {"PYRO_NATHOST": LOOPBACK, "PYRO_NATPORT": str(self.proxies[1].port)}

    def start(self) -> None:
        """Start the process. It has subscribed when this returns."""
        self.actor = self._cast.python(
            *("-m", "resilience.programs.subscriber", self._system, self.address, *self._options),
            name=f"the listener to {self.subject}",
            env=self._env,
        )
        facts = self.actor.ready()
        if facts["port"] and len(self.proxies) > 1:
            self.proxies[1].aim(facts["port"])

    def vanish(self, *, to_it: bool = True, from_it: bool = True) -> None:
        """Drop what is sent to it, or what it sends, on every connection, without telling anybody."""
        for proxy in self.proxies:
            # It connects through the first proxy, and the service to it through the second.
            out = proxy is self.proxies[0]
            proxy.vanish(there=from_it if out else to_it, back=to_it if out else from_it)

    def strand(self) -> None:
        """Drop everything on the connection that its events come over, even its end; another one may be
        made."""
        self.events_proxy.strand()

    @property
    def events_proxy(self) -> Proxy:
        """The proxy of the connection that its events come over."""
        return self.proxies[-1] if self._listener == "callback" else self.proxies[0]

    def report(self, since: float = 0.0) -> dict[str, Any]:
        """What it has received."""
        heard: dict[str, Any] = self.actor.ask("report", since=since)
        return heard

    def close(self) -> None:
        """End the proxies; the scenario ends the process."""
        for proxy in self.proxies:
            proxy.close()
