"""Streams on an event loop: events over a program's own connection."""
