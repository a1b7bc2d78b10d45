"""Instances of classes, exceptions and Pyro objects as state that the codec can carry, and back."""
