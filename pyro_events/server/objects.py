"""Remote objects: what the clients of the service's own engine can call.

Knows: the shape of such an object, of a caller, and of a result that comes later. Must not know: what any
method does, or how a call arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from ..broker.matching.rights import Rights

# The method for the single entry of a `publish_encoded` whose frame is over the limit of stock calls. Only
# the connection calls it, because such a frame is checked before it is read.
LARGE: Final = "publish_large"


class DeferredResult:
    """A result that will come later. Runs on the loop's thread.

    held: bytes of messages that it keeps until then.
    """

    __slots__ = ("_callback", "abandoned", "held")

    def __init__(self) -> None:
        self._callback: Callable[[Any], None] | None = None
        self.abandoned = False
        self.held = 0

    def when_done(self, callback: Callable[[Any], None]) -> None:
        """Call back with the result; at most one callback."""
        self._callback = callback

    def abandon(self) -> None:
        """The result is not wanted any more."""
        self.abandoned = True

    def settle(self, value: Any) -> None:
        """Give the result to the callback."""
        if self._callback is not None and not self.abandoned:
            self._callback(value)


class RoleSwap:
    """The result of a call after which its connection belongs to somebody else.

    answer: what the call returns. take_over: is given the transport, which is not read any more, when the
    answer is sent; and whether the client has sent nothing after the call. abandon: is called instead if the
    connection has ended.
    """

    __slots__ = ("abandon", "answer", "take_over")

    def __init__(
        self,
        answer: Any,
        take_over: Callable[[asyncio.Transport, bool], None],
        abandon: Callable[[], None],
    ) -> None:
        self.answer = answer
        self.take_over = take_over
        self.abandon = abandon


class Caller:
    """The identity of a caller, as far as the methods may know it.

    host: the IP address. serializer_id: how its arguments were written. proved: whether it has proved a
    passphrase. objects: what it may call, by object id. name: what it calls itself, "" if it did not say.
    user: whose passphrase it has proved, "" for the service's own, and for none. rights: what that user may
    do now, None for everything.
    """

    __slots__ = ("host", "name", "objects", "proved", "rights", "serializer_id", "user")

    def __init__(
        self,
        host: str,
        serializer_id: int,
        proved: bool = False,
        objects: Mapping[str, RemoteObject] = MappingProxyType({}),
        name: str = "",
        user: str = "",
        rights: Rights | None = None,
    ) -> None:
        self.host = host
        self.name = name
        self.serializer_id = serializer_id
        self.proved = proved
        self.objects = objects
        self.user = user
        self.rights = rights


class RemoteObject(Protocol):
    """An object that can be called: its methods by name, each taking the Caller first.

    A method returns plain data, or a DeferredResult.
    """

    methods: Mapping[str, Callable[..., Any]]


def remote_names(served: RemoteObject) -> list[str]:
    """The names that clients may call."""
    return sorted(name for name in served.methods if name != LARGE)
