"""The ways by which events come: a daemon that the service calls back, or an own connection."""
