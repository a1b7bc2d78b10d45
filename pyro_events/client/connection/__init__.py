"""Calls out: finds the service, connects, calls, connects again."""
