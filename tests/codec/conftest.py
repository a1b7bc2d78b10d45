"""Fixtures of the codec's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyro_events.codec.classes import registry
from pyro_events.codec.classes.registry import register_class
from tests import strange_classes as strange
from tests.strange_classes import MAKERS


@pytest.fixture(scope="module")
def strange_tables() -> Iterator[None]:
    """Tables of registered classes with those of strange_classes, and no others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_by_class", {})
        patch.setattr(registry, "_by_name", {})
        for cls, _ in MAKERS.values():
            register_class(cls)
        for cls in (strange.Colour, strange.Access, strange.Level):
            register_class(cls)
        yield
