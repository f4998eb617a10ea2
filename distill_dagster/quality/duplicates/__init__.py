"""Equal and nearly equal prompts, among the training rows and between training rows and held-out rows."""
