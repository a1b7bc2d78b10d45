"""What of ours crosses Pyro5's own wire: Event, the errors and proxies, for each of its serializers.

Knows: Pyro5's registry of serializers. Must not know: our own codec's bytes.
"""

from __future__ import annotations

from Pyro5.client import Proxy
from Pyro5.serializers import SerializerBase

from . import errors
from .codec.classes.exception_state import dotted, rebuild_exception
from .event import Event


def register_with_pyro() -> None:
    """Make Event and our errors known to Pyro5's serializers, in this process, for either direction.

    Does no harm when called again. Pyro5's configuration stays as it is.
    """
    # For subclasses too, such as IdentProxy: Pyro5 would send their own name, which nobody can read.
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
