"""Programs that publish and programs that subscribe.

Knows: sockets, threads, the clock, Pyro5's name server and daemon, and how the service is called. Must not
know: the broker (except what a subject is) and the service's side.
"""
