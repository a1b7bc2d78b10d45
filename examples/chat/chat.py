"""Talk with others in a channel: say what you type, and see what others say, who joins and who leaves.

/who lists who else is there, /quit (or Ctrl-D, or Ctrl-C) leaves.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys

from Pyro5.errors import PyroError
from screen import Screen

from pyro_events import Event, Publisher, Subscriber

HELP = "/who lists who else is there, /quit leaves"


class Chat(Publisher, Subscriber):
    """One person in one channel: CHAT.<channel>.SAID, .JOINED and .LEFT are what happens there.

    Nobody keeps a list of who is there. The one who asks publishes CHAT.<channel>.WHO, and everybody answers
    under a subject that only the one who asks listens to.
    """

    def __init__(self, nick: str, channel: str, screen: Screen, es_uri: str | None = None) -> None:
        super().__init__(es_uri=es_uri)
        self.setThreading(False)  # lines appear in the order in which they were published
        self.nick, self.channel, self.screen = nick, f"CHAT.{channel}", screen
        self.on(self.channel + ".SAID")(self.said)
        self.on(self.channel + ".JOINED")(self.joined)
        self.on(self.channel + ".LEFT")(self.left)
        self.on(self.channel + ".WHO")(self.asked)
        self.on(f"{self.channel}.HERE.{nick}")(self.here)

    def said(self, event: Event) -> None:
        if event.msg["nick"] != self.nick:  # what we said ourselves is on our screen already
            self.screen.show(f"{event.msg['nick']}: {event.msg['text']}")

    def joined(self, event: Event) -> None:
        self.screen.show(f"* {event.msg['nick']} has joined")

    def left(self, event: Event) -> None:
        if event.msg["nick"] != self.nick:
            self.screen.show(f"* {event.msg['nick']} has left")

    def asked(self, event: Event) -> None:
        if event.msg["nick"] != self.nick:
            self.tell("HERE." + event.msg["nick"])

    def here(self, event: Event) -> None:
        self.screen.show(f"* {event.msg['nick']} is here")

    def on_reconnect(self, reason: str) -> None:
        self.screen.show("* the event service was lost and is back; you may have missed something")

    def tell(self, what: str, **more: str) -> None:
        """Publish that we have joined, said something, and so on."""
        self.publish(f"{self.channel}.{what}", {"nick": self.nick, **more})

    def talk(self) -> None:
        """Take part until the user leaves."""
        self.tell("JOINED")
        self.tell("WHO")
        try:
            for line in self.screen.lines():
                if line == "/quit":
                    break
                if line.startswith("/") and line != "/who":  # a mistake, which the others need not see
                    self.screen.show(f"* {line} is unknown; {HELP}")
                    continue
                try:
                    self.tell("WHO") if line == "/who" else self.tell("SAID", text=line)
                except PyroError as error:  # the service is away: the next line tries again
                    self.screen.show(f"* not sent: {error}")
        finally:
            with contextlib.suppress(PyroError):  # the service is gone, so nobody can be told
                self.tell("LEFT")


class ScreenHandler(logging.Handler):
    """Shows warnings as other lines; on stderr they would cut the line that is being typed in two."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.WARNING)
        self.screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self.screen.show(f"* {record.getMessage()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nick", help="your name")
    parser.add_argument("channel", nargs="?", default="lobby", help="default: %(default)s")
    parser.add_argument("--es-uri", help="address of the event service, when no name server knows it")
    options = parser.parse_args()

    for name in ("SIGTERM", "SIGHUP"):  # the terminal is closed: leave as at Ctrl-C; Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    screen = Screen(f"{options.nick}> ")
    logging.getLogger("pyro_events").addHandler(ScreenHandler(screen))
    with (
        contextlib.suppress(KeyboardInterrupt),
        Chat(options.nick, options.channel, screen, options.es_uri).listen_in_background() as chat,
    ):
        screen.show(f"* you are in {options.channel}; {HELP}")
        chat.talk()


if __name__ == "__main__":
    try:
        main()
    except (PyroError, ValueError) as error:
        sys.exit(f"{error}")
