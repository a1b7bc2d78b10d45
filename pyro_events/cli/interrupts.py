"""Ctrl-C while a start script still imports modules.

Knows: how a start script is started. Must not know: anything else, because it is imported before all else.

Importing takes a fifth of a second. A KeyboardInterrupt in that time would be raised in an unrelated module,
and end the script with a traceback of thirty lines.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

_MODULES: Final = ("pyro_events.es", "pyro_events.ns")
_COMMANDS: Final = ("pyro-es",)
_INTERRUPTED: Final = 130  # the exit status that shells use


def exit_quietly() -> None:
    """Make Ctrl-C end this process without output, if it is one of our start scripts.

    Later the script handles signals itself. If SIGINT is ignored, because the script was started in the
    background, it stays ignored.
    """
    if (
        is_start_script(sys.argv, sys.orig_argv)
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))


def is_start_script(argv: Sequence[str], orig_argv: Sequence[str]) -> bool:
    """Whether these are the arguments of one of our start scripts.

    argv: `sys.argv`, which begins with "-m" while Python looks for the module of `python -m`. orig_argv: the
    interpreter's own arguments.
    """
    if not argv:
        return False
    if argv[0] == "-m":
        return "-m" in orig_argv and orig_argv[orig_argv.index("-m") + 1 :][:1] in [
            [name] for name in _MODULES
        ]
    return os.path.basename(argv[0]).partition(".")[0] in _COMMANDS
