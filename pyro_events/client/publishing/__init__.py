"""Publishing in order, one event at a time or in batches."""
