"""Two revisions of the package, measured in turns."""
