"""The comparison of teacher, baseline and student: its document, words, plots and pages."""
