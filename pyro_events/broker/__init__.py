"""The broker: which events each subscriber gets, which of them wait for it, and which are lost and why.

Everything in this package is pure and never waits. Knows: subjects, patterns, subscriptions, backlogs,
counters. Must not know: sockets, threads, an event loop, the clock (time comes in as an argument), a Pyro
daemon, or the packages `server` and `client`. `tests/test_imports.py` holds this.

Nothing here locks: one caller at a time uses an object.
"""
