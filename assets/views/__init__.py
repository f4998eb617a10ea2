"""What people read about an artefact in the Dagster UI."""
