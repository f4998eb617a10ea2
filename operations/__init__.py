"""What Dagster does unattended, and what runs it: observing, sensors, schedule, runner, instance, alerting."""
