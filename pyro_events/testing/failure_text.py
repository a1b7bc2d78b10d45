"""What is told when events that a test waits for do not come.

Knows: how events are shown in a line each. Must not know: how they came, or who waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..client.statistics import StreamStatistics
from ..codec.brief import brief
from ..event import Event

# So many events are shown, the first ones.
_SHOWN: Final = 20


def failure_text(n: int, timeout: float, came: Sequence[Event], stream: StreamStatistics) -> str:
    """What came instead of `n` events within `timeout` seconds."""
    text = f"{n} event{'s' if n > 1 else ''} expected within {timeout:g} s, {len(came) or 'none'} came"
    text += f"; subscribed to: {', '.join(stream.subscriptions)}"
    if not stream.connected:
        text += f"; the connection to {stream.address} is lost"
    lines = [text, *(f"  {_shown(event)}" for event in came[:_SHOWN])]
    if len(came) > _SHOWN:
        lines.append(f"  and {len(came) - _SHOWN} more")
    return "\n".join(lines)


def _shown(event: Event) -> str:
    """One event in a line."""
    try:
        value = event.plain()
        # A text in quotes, so that "1" and 1 do not look alike.
        message = repr(brief(value)) if isinstance(value, str) else " ".join(brief(value).split())
    except Exception as error:  # not a message, or the program's own class cannot be shown
        message = f"<{type(error).__name__}: {error}>"
    if event.missed != 0:
        message += f" (missed before it: {'nobody knows' if event.missed is None else event.missed})"
    return f"{event.subject}: {message}"
