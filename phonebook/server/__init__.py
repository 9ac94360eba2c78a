"""The server: Twisted around the service. Knows transports and times, never how matching works."""
