"""Full fine-tuning of causal language models on answers, resumable at every checkpoint."""
