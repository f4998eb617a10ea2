"""`release.publish:` - the places outside the store where the released student is published.

    publish:
      folder: {path: /mnt/models/support}
      bucket: {url: s3://models/support}
      hub: {repo: acme/support-student}
      mlflow: {uri: https://mlflow.example.com, model: support-student}

Each kind of place has a section of its own, and a project takes one or several of them. No field holds a secret.
"""

from typing import Any

from pydantic import Field, field_validator, model_validator

from distill_dagster.config.section import Section

OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "oss")  # an object appears whole or not at all


class FolderPlaceConfig(Section):
    """A folder on this machine or on a network disk: `current` leads to the files of the released student."""

    path: str = Field(min_length=1, description="The folder. Nothing else should write into it.")


class BucketPlaceConfig(Section):
    """A folder of an object store: `current.json` names the prefix of the released student's files.

    The store's own environment variables hold the credentials, such as AWS_ACCESS_KEY_ID.
    """

    url: str = Field(
        pattern=r"^[a-z][a-z0-9+.-]*://[^@\s]+$",
        description=f"URL of the folder, such as s3://models/support. Object stores that fsspec knows: "
        f"{', '.join(OBJECT_STORES)}. `s3://` needs `distill-dagster[s3]`.",
    )

    @field_validator("url")
    @classmethod
    def _is_object_store(cls, value: str) -> str:
        protocol = value.partition("://")[0]
        if protocol in ("file", "local"):
            raise ValueError("a local path is no bucket: give it as `folder.path`")
        if protocol not in OBJECT_STORES:
            raise ValueError(
                f"{protocol} is no object store, where a file appears whole or not at all: use one of "
                f"{', '.join(OBJECT_STORES)}, or mount it and give `folder.path`"
            )
        return value.rstrip("/")


class HubPlaceConfig(Section):
    """A model repository of the Hugging Face hub, or of another server with its API."""

    repo: str = Field(
        pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$",
        description="The repository with its owner, such as acme/support-student. It is created if it does not exist.",
    )
    private: bool = Field(
        default=True,
        description="Only people with access see the repository. A repository that is public is then refused.",
    )
    token_from: str = Field(
        default="HF_TOKEN",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Name of the environment variable that holds a token with write access.",
    )
    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^/@\s]+(/\S*)?$",
        description="URL of another server with the hub's API. If left out, HF_ENDPOINT, or the hub itself.",
    )


class MlflowPlaceConfig(Section):
    """A registered model of an MLflow server; the alias `champion` leads to the released version.

    MLflow's own environment variables hold the credentials, such as MLFLOW_TRACKING_TOKEN.
    """

    uri: str = Field(
        pattern=r"^https?://[^/@\s]+(/\S*)?$",
        description="URL of the tracking server, which also holds the registry and the files.",
    )
    model: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$",
        description="The registered model. It is created if it does not exist.",
    )


class PublishConfig(Section):
    """The places where the released student is also published, see docs/release.md."""

    folder: FolderPlaceConfig | None = Field(default=None, description="A folder, with a link to the released student.")
    bucket: BucketPlaceConfig | None = Field(default=None, description="A folder of an object store.")
    hub: HubPlaceConfig | None = Field(default=None, description="A repository of the Hugging Face hub.")
    mlflow: MlflowPlaceConfig | None = Field(default=None, description="A registered model of an MLflow server.")

    @property
    def shaping(self) -> dict[str, Any]:
        """The places, without the names of variables: another name for the same token publishes nothing again."""
        return self.model_dump(exclude_none=True, exclude={"hub": {"token_from"}})

    @model_validator(mode="after")
    def _names_a_place(self) -> "PublishConfig":
        if not self.model_dump(exclude_none=True):
            raise ValueError("name at least one place: `folder`, `bucket`, `hub` or `mlflow`")
        return self
