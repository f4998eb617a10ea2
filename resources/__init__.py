"""What Dagster injects into assets: the project, devices, and the place where work runs."""
