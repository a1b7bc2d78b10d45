"""The limits of what each client may use of the service: turns, connections, memory and time."""
