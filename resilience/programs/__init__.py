"""What runs in processes of its own while faults are played: publishers, subscribers, a service."""
