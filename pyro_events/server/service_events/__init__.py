"""What the service tells of itself, as events whose subjects begin with `$ES.`."""
