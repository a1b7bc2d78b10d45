"""Last values: the newest retained event of each subject, and how a new subscriber gets them."""
