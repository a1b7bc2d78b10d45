"""A listener's own connection to the service, over which its events come (C31)."""
