"""Causal language models: pinned, built, loaded, rendered for, and asked."""
