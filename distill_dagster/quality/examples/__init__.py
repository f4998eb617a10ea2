"""What the student learns: examples, their labels and balance, and what is told of them."""
