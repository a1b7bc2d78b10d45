"""Streams: events over a program's own connection, which the program takes one by one."""
