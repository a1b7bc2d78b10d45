"""Which subscribers want an event: names, patterns and what is remembered of past matches. Pure."""
