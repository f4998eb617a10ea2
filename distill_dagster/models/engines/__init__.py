"""Two engines that answer prompts with the same weights: `batched` runs any model, `continuous` is faster."""
