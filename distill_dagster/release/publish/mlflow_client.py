"""The client of an MLflow server, and a short question whether the server answers."""

import os
from typing import TYPE_CHECKING, Any

from distill_dagster.errors import PublishError

if TYPE_CHECKING:
    from mlflow import MlflowClient

ANSWERS_S = 10.0
SECRETS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD")
SILENCED = (  # it would report each use to its makers, and print on standard output
    "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT",
)


def client_of(uri: str) -> "MlflowClient":
    """The client.

    Raises:
        PublishError: MLflow is not installed.
    """
    require_installed(uri)
    for name in SILENCED:
        os.environ.setdefault(name, "true")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def require_installed(uri: str) -> None:
    """PublishError if the package is not there."""
    import importlib.util

    if importlib.util.find_spec("mlflow") is None:
        raise PublishError(f"{uri}: mlflow is not installed: install `distill-dagster[mlflow]`")


def require_answer(uri: str) -> None:
    """Send one request as the client does, but without retries: the client retries for minutes.

    An answer such as 404 is fine: a proxy in front of the server may not pass `/health` on.
    """
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    server = get_default_host_creds(uri)
    answer: Any = http_request(server, "/health", "GET", max_retries=0, timeout=ANSWERS_S, raise_on_status=False)
    if answer.status_code >= 500:
        raise ConnectionError(f"/health answers {answer.status_code} {answer.reason}")


def secrets_here() -> list[str]:
    """The credentials in the environment, which no message may show."""
    return [line for name in SECRETS for line in os.environ.get(name, "").splitlines()]
