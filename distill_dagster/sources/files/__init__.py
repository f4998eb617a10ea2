"""Finding source files, opening them, and reading their rows as numbered JSON text."""
