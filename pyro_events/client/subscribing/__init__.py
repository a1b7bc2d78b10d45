"""What a subscriber is subscribed to, here and at the service, and its `listen`."""
