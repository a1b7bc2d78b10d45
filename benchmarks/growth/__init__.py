"""How figures change with what grows: subjects, subscribers, messages, publishers."""
