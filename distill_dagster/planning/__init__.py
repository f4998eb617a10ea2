"""What a run would make and what it would cost, before anything is spent."""
