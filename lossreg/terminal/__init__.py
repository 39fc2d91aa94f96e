"""Input and output of commands: text without secrets and control characters, streams, signals."""
