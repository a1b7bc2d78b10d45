"""The Pyro5 wire protocol, version 502: bytes in, messages out.

Knows: frames, serializers and the shapes of calls and answers. Must not know: sockets, threads, clocks, the
broker, or which side of a connection it serves.
"""
