"""Whether a row can be used: the rules, their verdicts, and the tables that are made of both."""
