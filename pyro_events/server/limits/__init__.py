"""What each client may use of the service: turns, connections, memory and time."""
