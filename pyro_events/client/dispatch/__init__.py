"""Which thread runs `event`, and when."""
