"""The methods of a subscriber with Pyro3's names.

Knows: Pyro3's names, and what stands for them here. Must not know: how any of it is done.
"""

from __future__ import annotations

from typing import cast

from Pyro5.client import Proxy

from .base import NOT_GIVEN, ClientBase, either, end_of
from .daemon.daemon import SubscriberDaemon
from .subscribing.receiver import Receiver
from .subscribing.ways.daemon_attribute import DaemonAttribute


class Pyro3Names(ClientBase):
    """Base of Subscriber: its methods with Pyro3's names."""

    daemon = DaemonAttribute(
        """The Pyro5 daemon that the events come to; for GUI loops: `sockets`, `events`, `requestLoop`.

        In a class that is also a threading.Thread it is the thread's attribute of that name. `getDaemon`
        returns the daemon in every class.
        """
    )

    def getDaemon(self) -> SubscriberDaemon:
        """The Pyro5 daemon that the events come to.

        Returns:
            The daemon, the same each time.

        Raises:
            EventServiceError: `__init__` has not been called, or it was made with callback=False and has no
                daemon.
        """
        return _receiver(self).daemon

    def getProxy(self) -> Proxy:
        """A Pyro5 proxy for this subscriber; of use only where the service has no `ident`.

        Returns:
            A new proxy, which belongs to the calling thread.

        Raises:
            EventServiceError: as for `getDaemon`.

        Example:
            >>> with market.getES() as es:
            ...     es.subscribe("STOCKQUOTE.SUN", ticker.getProxy())
        """
        return _receiver(self).daemon.proxyFor(self)

    def setThreading(self, threading: bool | int = NOT_GIVEN, *, threaded: bool | int = NOT_GIVEN) -> None:
        """Say whether an event may be handled while the previous one still is.

        Args:
            threading: True, as it is by default: events start in order, and up to 16 handlers run at once.
                False: one after the other, in order, never two at once.
            threaded: Pyro3's name for `threading`; no default.

        Raises:
            TypeError: it is neither a bool nor an int.

        Example:
            >>> ticker.setThreading(False)
        """
        chosen = either("setThreading()", "threading", threading, "threaded", threaded)
        if not isinstance(chosen, int):
            raise TypeError(f"setThreading() needs True or False, not {type(chosen).__name__}")
        _receiver(self).dispatcher.set_threading(bool(chosen))

    @property
    def abortListen(self) -> bool:
        """Whether `abort` or `close` was called since `listen` began last.

        Setting it to True calls `abort`.
        """
        return _receiver(self).aborted

    @abortListen.setter
    def abortListen(self, value: object) -> None:
        receiver = _receiver(self)
        if value:
            receiver.abort()
        else:
            receiver.aborted = False


def _receiver(subscriber: Pyro3Names) -> Receiver:
    return cast(Receiver, end_of(subscriber, "subscriber"))
