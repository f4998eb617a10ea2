"""Telling people what failed: the message, how it is delivered, and the memory of what was told already."""
