"""What each artefact is made of, and whether it still is."""
