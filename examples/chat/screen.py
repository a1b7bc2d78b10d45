"""A terminal in which lines appear while the user is typing one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

try:
    import readline
except ImportError:  # Windows has none
    readline = None

CLEAR_LINE = "\r\x1b[K"


class Screen:
    """Shows lines above the one that is being typed, from any thread."""

    def __init__(self, prompt: str) -> None:
        self._prompt = prompt if sys.stdin.isatty() and sys.stdout.isatty() else ""
        self._lock = threading.Lock()
        self._typing = False

    def show(self, line: str) -> None:
        """Print a line; what others have sent cannot control the terminal."""
        line = "".join(letter if letter.isprintable() else "?" for letter in line)
        with self._lock:
            if self._prompt and self._typing:
                print(CLEAR_LINE + line + "\n" + self._prompt + self._typed(), end="", flush=True)
            else:
                print(line, flush=True)

    def lines(self) -> Iterator[str]:
        """What the user types, line by line, until the end of the input; empty lines are left out."""
        while True:
            self._typing = True
            try:
                line = input(self._prompt).strip()
            except (EOFError, KeyboardInterrupt) as end:
                if self._prompt:
                    print()  # the shell's prompt begins a line
                if isinstance(end, KeyboardInterrupt):
                    raise
                return
            finally:
                self._typing = False
            if line:
                yield line

    @staticmethod
    def _typed() -> str:
        """What the user has typed of the line so far."""
        return readline.get_line_buffer() if readline else ""
