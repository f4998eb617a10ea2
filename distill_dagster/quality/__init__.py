"""What a teacher's answers must be to train a student: row filters with reasons, and measures over the whole set."""
