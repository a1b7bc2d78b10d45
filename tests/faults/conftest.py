"""Scenes with a fault in them: resilience/'s scenario, with the impatience of a test.

Knows: how a scene is set and judged. Must not know: any fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from resilience.scenario import Scenario

# A service that finds a silent subscriber within five seconds.
QUICK: dict[str, Any] = {"heartbeat": 1.0, "heartbeat_answer": 1.0, "delivery_deadline": 1.0, "linger": 0.5}


@pytest.fixture
def scenario(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Scenario]]:
    """Sets a scene: scenario(proxied=True, options=…), as for Scenario; ended with the test.

    Its parameter says which kind of listener is affected.
    """
    listener = {"listener": getattr(request, "param", "callback")}
    if listener["listener"] != "callback":
        listener["silence"] = 3.0
    with ExitStack() as stack:

        def begin(*, quick: bool = True, **settings: Any) -> Scenario:
            settings["subscribe_options"] = {**listener, **settings.get("subscribe_options", {})}
            settings["options"] = {**(QUICK if quick else {}), **settings.get("options", {})}
            return stack.enter_context(Scenario(tmp_path, **settings))

        yield begin
