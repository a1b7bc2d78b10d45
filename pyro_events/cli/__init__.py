"""What the commands share: options of the command line and how a command runs."""
