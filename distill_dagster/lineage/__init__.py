"""What each artefact is made from, and whether it is up to date."""
