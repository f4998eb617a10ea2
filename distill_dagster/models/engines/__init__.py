"""Ways to turn prompts into answers with the same weights: `batched` and `continuous`. Which is faster is measured."""
