"""Causal language models: pin, build, load, render prompts, and generate answers."""
