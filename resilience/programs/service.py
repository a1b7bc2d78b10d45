"""An event service with any options: `python -m resilience.programs.service HOST PORT OPTIONS`.

Knows: what the start script does not offer, such as heartbeats of less than a second. OPTIONS is JSON:
fields of ServiceOptions, and of BacklogOptions under "backlog". It ends as the start script does.
"""

from __future__ import annotations

import json
import logging
import signal
import sys

from pyro_events import EventServiceStarter
from pyro_events.options import BacklogOptions, ServiceOptions


def main() -> None:
    host, port, text = sys.argv[1:]
    settings = json.loads(text)
    bounds = BacklogOptions(**settings.pop("backlog", {}))
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    options = ServiceOptions(backlog=bounds, **settings)
    starter = EventServiceStarter(host, int(port), use_ns=False, options=options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: starter.shutdown())
    starter.start(announce=lambda: print(f"{starter.uri} started", flush=True))


if __name__ == "__main__":
    main()
