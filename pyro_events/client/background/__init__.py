"""Publishing without waiting: what is published is queued here, and sent in the background."""
