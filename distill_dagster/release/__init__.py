"""What leaves the project: whether the licences allow it, its model card, and the student in other formats."""
