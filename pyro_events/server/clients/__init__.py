"""Connections of clients: their handshake and their calls."""
