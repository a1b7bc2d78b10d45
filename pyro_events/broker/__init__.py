"""The broker: who gets which event, what waits for whom, and what is lost to whom and why.

Everything in this room is pure and runs without waiting. Knows: subjects, patterns, subscriptions,
backlogs, counters. Must not know: sockets, threads, an event loop, the clock (time comes in as an
argument), a Pyro daemon, nor the rooms `server` and `client`. `tests/test_imports.py` holds this.

Nothing here locks: an object is used by one caller at a time.
"""
