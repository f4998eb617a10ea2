"""Publish to an MLflow server: the files of a run, a version of the registered model, and the alias `champion`.

The run is found by its tag `distill.release`, so a run of the project that was killed goes on with it. The version is
made after all files are there, and the alias moves last: a reader of `models:/support-student@champion` gets either the
previous release or this one, complete. After a rollback the alias leads to the earlier version again. Each release has
a run of its own, so all its files are sent, weights included.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_dagster.config import MlflowPlaceConfig
from distill_dagster.errors import PublishError
from distill_dagster.release.publish.bundle import RECORD_FILE, Bundle
from distill_dagster.release.publish.messages import first_line
from distill_dagster.release.publish.mlflow_client import client_of, require_answer, require_installed, secrets_here
from distill_dagster.release.publish.specs import PublishedPlace

if TYPE_CHECKING:
    from mlflow import MlflowClient

ALIAS, FOLDER = "champion", "model"
RELEASE_TAG, PROJECT_TAG, STUDENT_TAG = "distill.release", "distill.project", "distill.student"


def publish_to_mlflow(place: MlflowPlaceConfig, bundle: Bundle) -> PublishedPlace:
    """Make the bundle the version of the registered model that `champion` leads to.

    Raises:
        PublishError: MLflow is not installed, its server cannot be reached or refuses, or the model belongs to another
            project, or to nobody and has versions.
    """
    with _explained(place):
        client = client_of(place.uri)
        _claim(client, place, bundle.project)
        version, uploaded = _version_of(client, place, bundle.release), 0
        if version is None:
            version, uploaded = _add_version(client, place, bundle)
        was_there = client.get_registered_model(place.model).aliases.get(ALIAS) == version
        if not was_there:
            client.set_registered_model_alias(place.model, ALIAS, version)
    url = f"{place.uri.rstrip('/')}/#/models/{place.model}/versions/{version}"
    return bundle.published("mlflow", place.model, url, is_new=not was_there, uploaded=uploaded, revision=version)


def look_at_mlflow(place: MlflowPlaceConfig, project: str, whole: bool) -> str:
    """What was found: that MLflow is installed, and with `whole`, that the server answers to these credentials.

    Raises:
        PublishError: as `publish_to_mlflow`.
    """
    require_installed(place.uri)
    if not whole:
        return "mlflow is installed"
    with _explained(place):
        client = client_of(place.uri)
        require_answer(place.uri)
        found = _own_model(client, place, project)
    return f"{place.uri} answers; {place.model} {'exists' if found else 'does not exist, and will be created'}"


def _model(client: "MlflowClient", name: str) -> Any | None:
    """The registered model; None if there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as e:
        if e.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _claim(client: "MlflowClient", place: MlflowPlaceConfig, project: str) -> None:
    """Make the registered model, or mark an empty one; PublishError if it belongs to somebody else."""
    found = _own_model(client, place, project)
    if found is None:
        client.create_registered_model(place.model, tags={PROJECT_TAG: project})
    elif PROJECT_TAG not in found.tags:
        client.set_registered_model_tag(place.model, PROJECT_TAG, project)


def _own_model(client: "MlflowClient", place: MlflowPlaceConfig, project: str) -> Any | None:
    """The registered model; None if there is none; PublishError if it belongs to somebody else."""
    found = _model(client, place.model)
    owner = found.tags.get(PROJECT_TAG) if found else None
    if owner not in (None, project):
        raise PublishError(
            f"the registered model {place.model} belongs to project {owner}, and this one is {project}: choose another "
            "`mlflow.model`"
        )
    if found and owner is None and client.search_model_versions(f"name='{place.model}'", max_results=1):
        raise PublishError(
            f"the registered model {place.model} has versions, and no tag {PROJECT_TAG}, so this project did not "
            "publish them: choose another `mlflow.model`"
        )
    return found


def _version_of(client: "MlflowClient", place: MlflowPlaceConfig, release: str) -> str | None:
    """The version that holds a release; None if there is none."""
    found = client.search_model_versions(f"name='{place.model}' and tags.`{RELEASE_TAG}`='{release}'")
    return next((str(version.version) for version in found if version.status == "READY"), None)


def _add_version(client: "MlflowClient", place: MlflowPlaceConfig, bundle: Bundle) -> tuple[str, int]:
    """Send the files of a run, then make a version of them; returns it with the number of files that were sent."""
    run = _run_of(client, place, bundle)
    uploaded = _send(client, run.info.run_id, bundle)
    client.set_terminated(run.info.run_id)
    version = client.create_model_version(
        place.model,
        source=f"{run.info.artifact_uri}/{FOLDER}",
        run_id=run.info.run_id,
        tags={RELEASE_TAG: bundle.release, STUDENT_TAG: bundle.student},
    )
    return str(version.version), uploaded


def _run_of(client: "MlflowClient", place: MlflowPlaceConfig, bundle: Bundle) -> Any:
    """The run that holds the files of this release, or is to hold them."""
    experiment = client.get_experiment_by_name(place.model)
    number = experiment.experiment_id if experiment else client.create_experiment(place.model)
    found = client.search_runs([number], f"tags.`{RELEASE_TAG}` = '{bundle.release}'", max_results=1)
    tags = {RELEASE_TAG: bundle.release, PROJECT_TAG: bundle.project, STUDENT_TAG: bundle.student}
    return found[0] if found else client.create_run(number, tags=tags, run_name=bundle.release)


def _send(client: "MlflowClient", run: str, bundle: Bundle) -> int:
    """Send the files that the run does not hold, the record last; returns how many, without the record."""
    there = dict(_listed(client, run, FOLDER))
    missing = [name for name, size in bundle.sizes.items() if there.get(f"{FOLDER}/{name}") != size]
    for name in missing:
        parent = str(Path(FOLDER, name).parent)
        if name == RECORD_FILE:
            client.log_text(run, bundle.record.text, f"{FOLDER}/{name}")
        else:
            client.log_artifact(run, str(bundle.folder / name), parent)
    return len(set(missing) - {RECORD_FILE})


def _listed(client: "MlflowClient", run: str, folder: str) -> Iterator[tuple[str, int | None]]:
    """Path and size of every file below a folder of a run."""
    for entry in client.list_artifacts(run, folder):
        if entry.is_dir:
            yield from _listed(client, run, entry.path)
        else:
            yield entry.path, entry.file_size


@contextlib.contextmanager
def _explained(place: MlflowPlaceConfig) -> Iterator[None]:
    """Turn the client's errors into a PublishError without credentials."""
    try:
        yield
    except PublishError:
        raise
    except Exception as e:  # noqa: BLE001 - MLflow's, those of requests, sockets, files; see hub.py
        raise PublishError(
            f"{place.uri}: {first_line(e, secrets_here())}; look at `mlflow.uri`, at the network, and at the "
            "credentials in the environment (MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD), and run again: what was sent is not sent again"
        ) from None
