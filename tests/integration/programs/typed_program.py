"""A program that mypy --strict must accept: what programs for Pyro3 call, and what is new."""

from __future__ import annotations

import socket

from Pyro5.api import Proxy

from pyro_events import Event, EventServiceStarter, Publisher, Subscriber


class Ticker(Subscriber):
    def __init__(self, es_uri: str) -> None:
        super().__init__(es_uri=es_uri, name="ticker")
        self.setThreading(0)
        self.setThreading(threaded=False)
        self.setThreading(threading=1)
        self.subscribe("A")
        self.subscribeMatch(subjectPatterns="^B")
        self.subscribeMatch(["^C"], overflow="latest")

    def event(self, event: Event) -> None:
        print(event.subject, event.msg)

    def on_reconnect(self, reason: str) -> None:
        print(reason)


class Both(Publisher, Subscriber):
    """One `__init__` for both."""


def use(es_uri: str) -> int:
    with Ticker(es_uri).listen_in_background() as ticker, Both(es_uri=es_uri) as both:
        proxy: Proxy = ticker.getProxy()
        sockets: list[socket.socket] = ticker.getDaemon().getServerSockets()
        ticker.getDaemon().handleRequests(timeout=0)
        stopped: bool = ticker.abortListen
        ticker.abortListen = True
        print(proxy, sockets, stopped, ticker.getES(), repr(both))
        return both.publish("A", msg=1) + both.publish(subjects=["A"], message=None)


def main() -> None:
    starter = EventServiceStarter(identification=None)
    starter.initialize("127.0.0.1", 0, useNameServer=0, norange=1)
    print(use(starter.uri), starter.getServerSockets())
    starter.handleRequests(timeout=0)
    starter.shutdown(None)


if __name__ == "__main__":
    main()
