"""The made world behind `make demo`, the tests and the examples: the support desk of an online shop."""
