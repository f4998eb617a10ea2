"""What leaves the project: the student in the formats of other runtimes, checked against the checkpoint."""
