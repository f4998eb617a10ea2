"""The teacher's next-token distributions: captured in a second pass, packed, stored and read back."""
