"""The order of what is published, and its batches."""
