"""Which subscribers want an event: names, patterns, and a cache of past matches. Pure."""
