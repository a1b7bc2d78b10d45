"""The options of a publish call, which go with each entry of a batch that has any.

Knows: which options there are, and what each may be. Must not know: what becomes of an entry.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any, Final

# The option by which the service also keeps the event as the last value of its subject.
RETAIN_KEY: Final = "retain"
# The options of a retained entry. Not to be changed.
RETAIN: Final[Mapping[str, Any]] = {RETAIN_KEY: True}


def read_publish_options(options: Any) -> bool:
    """Whether an entry with these options is retained. None: there are none.

    Raises TypeError or ValueError.
    """
    if options is None:
        return False
    if not isinstance(options, Mapping):
        raise TypeError(f"the options of publish must be a dictionary, not {type(options).__name__}")
    for name in options:
        if name != RETAIN_KEY:
            raise ValueError(f"publish has the option {RETAIN_KEY!r}, and not {reprlib.repr(name)}")
    retain = options.get(RETAIN_KEY, False)
    if not isinstance(retain, bool):
        raise TypeError(f"{RETAIN_KEY} must be True or False, not {type(retain).__name__}")
    return retain
