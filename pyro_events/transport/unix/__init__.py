"""Unix sockets, over which a client reaches a service on the same machine."""
