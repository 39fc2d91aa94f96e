"""What goes between a command and the person who runs it: text without secrets or escapes, streams, signals."""
