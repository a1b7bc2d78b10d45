"""Measurements of single parts of the service, without processes."""
