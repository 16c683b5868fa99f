"""What crosses a process: names, events, feature rows, the envelope, the public request and response."""
