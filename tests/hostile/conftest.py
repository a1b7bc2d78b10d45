"""A service and a subscriber for all tests in here, and a look at their health after each."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from processes import spawning
from targets import Installation, Target


@pytest.fixture(scope="package")
def one_installation() -> Iterator[Installation]:
    with pytest.MonkeyPatch.context() as patch, spawning() as spawn:
        for name in [name for name in os.environ if name.startswith(("PYRO_", "PYROEVENTS_"))]:
            patch.delenv(name)
        yield Installation(spawn)


@pytest.fixture
def installation(one_installation: Installation) -> Iterator[Installation]:
    """The same one for every test, which must leave it in good health."""
    yield one_installation
    one_installation.check()


@pytest.fixture(params=["service", "subscriber"])
def affected(request: pytest.FixtureRequest, installation: Installation) -> Target:
    """Either of the two."""
    return Target(installation, request.param)
