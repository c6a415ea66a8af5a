"""Work that runs for longer than a request."""
