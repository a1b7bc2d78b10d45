"""The attribute `daemon` of a subscriber, which may be a thread's attribute of that name.

Knows: the order of the bases of a class. Must not know: what a daemon does.

Pyro3's programs inherit from both Subscriber and `threading.Thread`. There `daemon` is the thread's
attribute, which says whether the program waits for the thread. The types say so too, so that mypy accepts
such a class.
"""

from __future__ import annotations

import threading
from typing import Any, overload

from ...daemon.daemon import SubscriberDaemon


class DaemonAttribute:
    """Gives the Pyro5 daemon of a subscriber, or the attribute of that name of a later base."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner: Any = owner
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> DaemonAttribute: ...
    @overload
    def __get__(self, instance: threading.Thread, owner: type) -> bool: ...
    @overload
    def __get__(self, instance: object, owner: type) -> SubscriberDaemon: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        other = self._other(instance)
        # The class's method, because the object may have an attribute of that name.
        return self._owner.getDaemon(instance) if other is None else other.__get__(instance)

    def __set__(self, instance: threading.Thread, value: bool) -> None:
        other = self._other(instance)
        if other is None:
            raise AttributeError(
                "the daemon of a subscriber is made by Subscriber.__init__ and cannot be replaced; register "
                "other objects with getDaemon(), or keep a daemon of your own in another attribute"
            )
        other.__set__(instance, value)

    def _other(self, instance: object) -> Any:
        """The attribute of a base after the subscriber's class, None if there is none."""
        bases = type(instance).__mro__
        behind = bases[bases.index(self._owner) + 1 :]
        return next((vars(base)[self._name] for base in behind if self._name in vars(base)), None)
