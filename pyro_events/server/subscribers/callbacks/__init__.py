"""Subscribers that the service calls back: where they are, and how it connects to them."""
