"""Alerts about failed checks and runs: the message, its delivery, and the record of what was sent already."""
