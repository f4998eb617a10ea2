"""What the student learns: examples, their labels and balance, and the facts of the set."""
