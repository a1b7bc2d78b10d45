"""The wire: the Pyro5 protocol, version 502, as bytes in and messages out.

Knows: frames, serializers and the shapes of calls and answers. Must not know: sockets, threads,
clocks, the broker, or which side of a connection it serves.
"""
