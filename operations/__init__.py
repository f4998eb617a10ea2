"""What Dagster does by itself, and what runs it: observing, sensors, schedule, runner, instance, alerting."""
