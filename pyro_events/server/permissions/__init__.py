"""Permissions: which users there are, what each may do, and the file that says so."""
