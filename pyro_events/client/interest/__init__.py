"""Publishers that want to know whether somebody listens: the publisher's side of it."""
