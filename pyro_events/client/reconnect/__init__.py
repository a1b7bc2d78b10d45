"""When a subscriber tries again to reach its service."""
