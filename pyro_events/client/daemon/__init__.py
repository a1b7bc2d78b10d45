"""What arrives at the subscriber's own port."""
