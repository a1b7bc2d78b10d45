"""The service: what owns the loop, the sockets and the clock.

Knows: asyncio, connections in and links out, and the verbs of the broker. Must not know: how events
are matched or dropped (the broker's), how frames are built (the wire's), or the command line.
"""
