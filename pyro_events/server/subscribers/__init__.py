"""Connections to subscribers: one delivery for each."""
