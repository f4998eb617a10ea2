"""`alerts:` - who is alerted when a check or run fails."""

from typing import Literal

from pydantic import Field, field_validator

from distill_dagster.config.section import Section


class AlertsConfig(Section):
    """Who is alerted when a check or run fails, see docs/alerts.md.

    The file never holds an address: `urls_from` is the name of an environment variable that does.
    """

    enabled: bool = Field(default=True, description="Send alerts if the variable holds an address.")
    urls_from: str = Field(
        default="DISTILL_ALERT_URLS",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Name of the environment variable with the Apprise URLs, separated by spaces, commas or line "
        "breaks.",
    )
    severity: Literal["warn", "error"] = Field(
        default="warn",
        description="Least severity that sends an alert. A failed run has severity `error`. A decision about a release "
        "is always sent.",
    )
    repeat_hours: float = Field(
        default=24.0,
        ge=0,
        le=8760,
        description="Hours after which the same failure of the same check and shard is sent again.",
    )
    ui_url: str = Field(
        default="http://127.0.0.1:3000",
        pattern=r"^https?://[^/@\s]+(/\S*)?$",
        description="URL at which people reach the Dagster UI, for links to runs.",
    )

    @field_validator("ui_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")
