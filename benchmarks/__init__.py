"""What measures speed and size: `make bench`, or `make bench ONLY=location`. Nothing here is a test."""
