"""Connections in: their handshake and their calls."""
