"""Top-down pose networks: crops of people -> 2D joints."""
