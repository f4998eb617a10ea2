"""What the teacher thought of every next token: measured in a second pass, packed, stored and read back."""
