"""A shard's worth of teacher calls."""
