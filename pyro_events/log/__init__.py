"""The log, written in the background, so that logging can neither raise nor block nor affect anything
else."""
