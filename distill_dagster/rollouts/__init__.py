"""The student's own samples, and the teacher's distributions over them, for a round of on-policy training."""
