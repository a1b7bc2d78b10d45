"""The client's side: programs that publish and programs that subscribe.

Knows: sockets, threads, the clock, Pyro5's name server and daemon, and how the service is called.
Must not know: the broker (beyond what a subject is) and the server's side.
"""
