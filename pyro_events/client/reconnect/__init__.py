"""Reconnection: a subscriber that has lost the event service finds it and subscribes again."""
