"""Which classes can be registered."""

from __future__ import annotations

import types
from typing import Any

import pytest

from pyro_events.codec.classes.registry import register_class
from tests import strange_classes as strange

pytestmark = pytest.mark.usefixtures("strange_tables")


@pytest.mark.parametrize("cls", [types.GeneratorType, types.FunctionType, object, type(None)])
def test_what_cannot_be_made_again_cannot_be_registered(cls: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        register_class(cls)


def test_names_that_every_program_knows_are_taken() -> None:
    for name in ("builtins.ValueError", "ValueError", "Pyro5.core.URI"):
        with pytest.raises(ValueError, match="every program knows"):
            register_class(strange.Celsius, name=name)
    register_class(ValueError)
