"""Connections out: one delivery for each subscriber."""
