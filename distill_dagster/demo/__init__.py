"""The synthetic data of `make demo` and the tests: the support desk of an invented online shop."""
