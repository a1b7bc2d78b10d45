"""Publishers that want to know whether somebody listens: the service's side of it."""
