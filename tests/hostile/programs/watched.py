"""A service or a subscriber that ends at once if marshal is ever asked to read what came from outside.

Usage: watched.py service OPTION...        the options of pyro_events.es
       watched.py subscriber URI SUBJECT   prints the message of each event; the message "stop" ends it

With PYTHON_LOOP=asyncio in the environment the service runs without uvloop.
"""

import marshal
import os
import sys
from typing import Any

_loads = marshal.loads


def _watched(data: Any, *arguments: Any, **named: Any) -> Any:
    if "importlib" in sys._getframe(1).f_code.co_filename:  # reading modules is what it is for
        return _loads(data, *arguments, **named)
    os.write(2, b"marshal.loads was called\n")
    os._exit(86)


marshal.loads = _watched

from pyro_events import Event, Subscriber, es  # noqa: E402


class Printer(Subscriber):
    """Prints what it gets."""

    def event(self, event: Event) -> None:
        if event.msg == "stop":
            self.abort()
        else:
            print("got", event.msg, flush=True)


def main() -> int:
    role, *arguments = sys.argv[1:]
    if role == "service":
        if os.environ.get("PYTHON_LOOP") == "asyncio":
            sys.modules["uvloop"] = None  # type: ignore[assignment]
        return es.main(arguments)
    uri, subject = arguments
    with Printer(es_uri=uri) as printer:
        printer.subscribe(subject)
        print("URI =", printer.daemon.uriFor(printer), flush=True)
        printer.listen()
    return 0


if __name__ == "__main__":
    sys.exit(main())
