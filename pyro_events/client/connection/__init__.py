"""Calls to the service: finds it, connects, calls, and connects again."""
