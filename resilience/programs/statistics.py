"""Asks an event service for its statistics: `python -m resilience.programs.statistics URI`.

Knows: how a stock client asks. Must not know: what the answer is used for; it may run on another machine.
"""

from __future__ import annotations

import sys
from typing import Any

from Pyro5.api import Proxy

from .commands import obey, say


def main() -> None:
    with Proxy(sys.argv[1]) as service:

        def statistics() -> dict[str, Any]:
            found: dict[str, Any] = service.statistics()
            return found

        statistics()
        say(ready=True)
        obey({"statistics": statistics})


if __name__ == "__main__":
    main()
