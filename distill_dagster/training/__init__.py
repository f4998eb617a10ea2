"""Fine-tuning of causal language models on answers, resumable at every checkpoint.

Dagster loads `specs` alone to show the graph; only workers load the other modules, and several of those import torch.
"""
