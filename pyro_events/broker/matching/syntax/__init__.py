"""The syntax of patterns: Python's regular expressions, read and written again for RE2."""
