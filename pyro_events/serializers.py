"""Objects of ours that Pyro5's own serializers write: Event, the errors and proxies.

Knows: Pyro5's registry of serializers. Must not know: our own codec's bytes.
"""

from __future__ import annotations

from Pyro5.client import Proxy
from Pyro5.serializers import SerializerBase

from . import errors
from .codec.classes.exception_state import dotted, rebuild_exception
from .event import Event


def register_with_pyro() -> None:
    """Register Event and our errors with Pyro5's serializers, in this process, for both directions.

    Calling it again is harmless. Pyro5's configuration is not changed.
    """
    # For subclasses too, such as IdentProxy: Pyro5 would send their own name, which other programs do not
    # know.
    SerializerBase.register_class_to_dict(
        Proxy,
        lambda proxy: {"__class__": "Pyro5.client.Proxy", "state": proxy.__getstate__()},
        serpent_too=False,
    )

    name = dotted(Event)
    SerializerBase.register_class_to_dict(Event, Event.to_dict)
    SerializerBase.register_dict_to_class(name, lambda _, state: Event.from_dict(state))
    for error in errors.__all__:
        cls = getattr(errors, error)
        SerializerBase.register_dict_to_class(
            dotted(cls), lambda _, state, cls=cls: rebuild_exception(cls, state)
        )
