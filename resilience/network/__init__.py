"""Networks of several machines on this one."""
