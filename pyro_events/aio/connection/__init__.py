"""Connections to the service on an event loop: made when they are needed, and made again."""
