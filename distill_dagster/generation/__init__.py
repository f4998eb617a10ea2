"""Answers a shard's rows: which teacher is asked what, what the replies say, which answer is chosen."""
