"""Which of the teacher's answers the student learns: row filters with reasons, and measures of the whole set."""
