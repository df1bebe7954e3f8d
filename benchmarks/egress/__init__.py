"""What the way out adds to the time until a server's first byte."""
