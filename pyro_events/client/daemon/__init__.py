"""The subscriber's own port: its daemon, and the connections to it."""
