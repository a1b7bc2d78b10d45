"""A locator of a service that names the addresses of a test.

Knows: what a client asks its locator. Must not know: the name server, the clients.
"""

from __future__ import annotations

from collections.abc import Iterator

import Pyro5.core


class FakeLocator:
    """Names the addresses that the test gives; `later` has those for the attempt of that number."""

    identity = None
    name = "a test"
    delay = 0.0

    def __init__(self, *uris: str) -> None:
        self.uris = uris
        self.good: list[str] = []
        self.asked = 0
        self.later: dict[int, str] = {}

    def candidates(self, quick: bool) -> Iterator[Pyro5.core.URI]:
        self.asked += 1
        for uri in [self.later[self.asked]] if self.asked in self.later else self.uris:
            yield Pyro5.core.URI(uri)

    def source(self, uri: Pyro5.core.URI) -> str:
        return " (as the name server says)"

    def was_good(self, uri: Pyro5.core.URI) -> None:
        self.good.append(str(uri))
