"""`tracking:` - an experiment tracker that shows trainings and scores beside those of other projects.

    tracking:
      mlflow: {uri: https://mlflow.example.com}

It shapes no artefact: turning it on or off makes nothing stale.
"""

from pydantic import Field

from distill_dagster.config.section import Section


class MlflowTrackingConfig(Section):
    """An MLflow server. Its own environment variables hold the credentials, such as MLFLOW_TRACKING_TOKEN."""

    uri: str = Field(pattern=r"^https?://[^/@\s]+(/\S*)?$", description="URL of the tracking server.")
    experiment: str | None = Field(
        default=None,
        min_length=1,
        max_length=250,
        description="The experiment, which is created if it does not exist. If left out, it has the project's name.",
    )


class TrackingConfig(Section):
    """Where losses, scores, parameters and models are shown too, see docs/tracking.md."""

    mlflow: MlflowTrackingConfig = Field(description="An MLflow server; needs `distill-dagster[mlflow]`.")
