"""Values to bytes and back.

Knows: the types that can be carried, their markers, and the classes that a program registered. Must not know:
a socket, a thread, a connection, or what is sent where.
"""

from .message import decode, encode

__all__ = ["decode", "encode"]
