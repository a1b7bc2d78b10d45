"""The log: written in the background, so that it can neither raise, block nor decide."""
