"""Variables in the environment that look like ours but are not, most likely because of a typo.

Knows: the variables of all start scripts and of clients. Must not know: what they mean.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final

from ..constants import ES_URI_VARIABLE
from .options import PREFIX, variable_of
from .service_options import SERVICE_GROUPS

# The variables of the name server's script are a part of the service's.
_KNOWN: Final = (
    ES_URI_VARIABLE,
    "PYROEVENTS_COMPILE",  # setup.py reads it
    *(
        variable_of(names)
        for _, options in SERVICE_GROUPS
        for names, settings in options
        if settings.get("action") not in ("help", "version")
    ),
)


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """A warning for each variable that begins as ours do and that nothing of ours reads."""
    unknown = [name for name in sorted(environment) if name.startswith(PREFIX) and name not in _KNOWN]
    return [f"{name} in the environment sets no option{_suggestion(name)}" for name in unknown]


def _suggestion(name: str) -> str:
    alike = difflib.get_close_matches(name, _KNOWN, n=1, cutoff=0.85)
    return f": did you mean {alike[0]}?" if alike else " (-h lists the options)"
