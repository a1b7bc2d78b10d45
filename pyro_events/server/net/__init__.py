"""Sockets, TLS and the event loop of the service."""
