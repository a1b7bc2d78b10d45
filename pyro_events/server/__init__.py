"""The service: this package has the loop, the sockets and the clock.

Knows: asyncio, connections from clients and to subscribers, and the operations of the broker. Must not know:
how events are matched or dropped (the broker does that), how frames are built (wire does that), or the
command line.
"""
