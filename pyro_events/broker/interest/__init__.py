"""Who wants a subject: how many listeners it has, and who is told of the first and the last."""
