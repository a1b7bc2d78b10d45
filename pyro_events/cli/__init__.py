"""What the commands share: options, and how a command runs."""
