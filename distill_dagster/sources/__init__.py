"""Source files into raw rows: which files there are, how a line becomes a row, and why a row is refused."""
