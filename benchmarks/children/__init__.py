"""Child processes: how they are started and ended, and what they do."""
