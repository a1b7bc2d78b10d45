"""How many subscriptions there may be, and the memory that they count for. Pure."""
