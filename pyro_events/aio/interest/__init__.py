"""Publishers on an event loop that want to know whether somebody listens."""
