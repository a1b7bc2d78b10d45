"""Lines of the log, counted as they were logged.

Knows: that lines of one kind within a second are put together, and how that is written. Must not know:
what they say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from logging import LogRecord

_TOGETHER = re.compile(r"\(the last of (\d+) such lines\)$")


def counted(records: Iterable[LogRecord], text: str) -> int:
    """How many lines with `text` in them were logged."""
    total = 0
    for record in records:
        message = record.getMessage()
        if text in message:
            together = _TOGETHER.search(message)
            total += int(together.group(1)) if together else 1
    return total
