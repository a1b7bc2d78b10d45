"""How a program gets its commands: a line of JSON in, a line of JSON out.

Knows: standard input and output. Must not know: any command.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from typing import Any

_writing = threading.Lock()


def say(**facts: Any) -> None:
    """Print a line for the program that started this one."""
    with _writing:
        print(json.dumps(facts), flush=True)


def obey(commands: dict[str, Callable[..., Any]]) -> None:
    """Do what each line asks for, and answer it, until the input ends or a line says `close`."""
    for line in sys.stdin:
        wish = json.loads(line)
        name = wish.pop("do")
        if name == "close":
            return
        say(to=name, result=commands[name](**wish))
