"""What is subscribed, here and at the service, and who handles it."""
