"""Groups: which member's delivery sends which event."""
