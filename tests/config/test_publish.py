"""`release.publish:` - the places, what they hash to, and that no secret gets in."""

import pytest

from distill_dagster.config import PublishConfig
from distill_dagster.config.reading import load_config
from distill_dagster.errors import ConfigError
from testing.projects import write_project


def read(tmp_path, **places):
    return load_config(write_project(tmp_path, release={"publish": places}))


def test_the_folder_starts_from_the_files_folder(tmp_path):
    release = read(tmp_path, folder={"path": "models"}).release
    assert release is not None
    assert release.publish is not None
    assert release.publish.folder is not None
    assert release.publish.folder.path == str(tmp_path / "models")


def test_the_name_of_the_tokens_variable_publishes_nothing_again():
    first, second = (
        PublishConfig.model_validate({"hub": {"repo": "acme/x", "token_from": name}}) for name in ("HF_TOKEN", "OTHER")
    )
    assert first.shaping == second.shaping == {"hub": {"repo": "acme/x", "private": True}}


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ({}, "name at least one place: `folder`, `bucket`, `hub` or `mlflow`"),
        ({"hub": {"repo": "x"}}, "write the name on the hub with its owner"),
        ({"hub": {"repo": "acme/x", "token": "abcdefgh"}}, "the file must hold none"),
        ({"hub": {"repo": "acme/x", "token_from": "hf_" + "a1B2" * 9}}, "put the variable's NAME here, not its value"),
        ({"bucket": {"url": "file:///models"}}, "a local path is no bucket: give it as `folder.path`"),
        ({"bucket": {"url": "sftp://h/models"}}, "sftp is no object store, where a file appears whole or not at all"),
        ({"bucket": {"url": "memory://models"}}, "memory is no object store"),
        ({"bucket": {"url": "models"}}, "write a URL such as s3://models/support"),
        ({"mlflow": {"uri": "https://ada:secret-word@h/", "model": "x"}}, "a URL with a credential in it"),
        ({"mlflow": {"uri": "https://h"}}, "release.publish.mlflow.model: this field is required"),
        ({"s3": {"url": "s3://x"}}, "unknown field s3"),
    ],
)
def test_a_wrong_place_is_named_with_the_way_out(tmp_path, places, said):
    with pytest.raises(ConfigError) as error:
        read(tmp_path, **places)
    assert said in str(error.value)
    assert "a1B2a1B2" not in str(error.value)
    assert "secret-word" not in str(error.value)
