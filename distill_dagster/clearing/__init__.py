"""What a project can do without: old versions, replies to rows that are gone. `distill-dagster gc` deletes it."""
