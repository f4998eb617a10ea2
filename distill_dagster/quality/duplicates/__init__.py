"""Prompts that ask the same: within the training rows, and between them and held-out rows."""
