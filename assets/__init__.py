"""What Dagster materializes: one file an asset or a family of them, the checks beside what they check."""
