"""Subscribers that have made the connection for their events themselves."""
