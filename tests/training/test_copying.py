"""The student of a sweep's best trial is published as it is, adapters included, with a card that names the sweep."""

from pathlib import Path

import pytest

from distill_dagster.errors import DataError
from distill_dagster.models.ref import read_ref
from distill_dagster.store import files
from distill_dagster.store.disk import file_sha256
from distill_dagster.training.specs import BestTrial, TrainSpec
from distill_dagster.training.student import train_student
from testing.models_tiny import write_examples, write_model
from testing.sweeps import TRAINING

pytestmark = pytest.mark.processes
POINT = {"learning_rate": 0.005, "lora.rank": 2}
SETTINGS = {**TRAINING.model_dump(), "epochs": 1, "learning_rate": 0.005, "lora": {"rank": 2}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The student of a trial, and the spec that publishes it into a folder of that name."""
    folder = tmp_path_factory.mktemp("trained")
    base, examples = write_model(folder / "base"), write_examples(folder / "examples.parquet")
    training = TRAINING.model_validate(SETTINGS)

    def spec(name: str, **changes) -> TrainSpec:
        out = folder / name
        out.mkdir(exist_ok=True)
        own = {"student_base": base, "teacher": base, "training": training, "examples": examples, "trial": 3}
        return TrainSpec(**{**own, "name": "tiny", "task": "qa", "out": str(out), "work": str(folder), **changes})

    result = train_student(spec("trial"), "cpu")
    best = BestTrial(number=3, of=7, point=POINT, result=result, folder=str(folder / "trial"))
    return best, spec


def hashes(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix in (".safetensors", ".json")]
    return {str(path.relative_to(folder)): file_sha256(path) for path in paths}


def test_the_files_are_those_of_the_trial_and_nothing_is_trained(trained):
    best, spec = trained
    published = spec("published", best_trial=best, training=best.training)
    assert not published.needs_device
    result = train_student(published, "cpu")
    out = Path(published.out)
    assert hashes(out) == hashes(Path(best.folder))
    assert (out / files.ADAPTER_FOLDER / "adapter_model.safetensors").is_file()
    assert read_ref(out).path == str(out / files.WEIGHTS_FOLDER)
    assert result.data_version == best.result.data_version == read_ref(out).revision
    assert (result.found, result.steps, result.history) == (POINT, best.result.steps, best.result.history)
    assert best.training == TRAINING.model_validate(SETTINGS)
    card = (out / files.WEIGHTS_FOLDER / "README.md").read_text()
    assert "## Sweep\n\n| | |\n| --- | --- |\n| trials | 7 |\n| best | trial 3 |\n| learning\\_rate | 0.005 |" in card


def test_a_trial_whose_files_are_gone_is_named_by_its_stage(trained, tmp_path):
    best, spec = trained
    gone = best.model_copy(update={"folder": str(tmp_path / "gone")})
    (tmp_path / "gone").mkdir()
    with pytest.raises(DataError, match="is gone: materialize student_sweep again"):
        train_student(spec("nothing", best_trial=gone), "cpu")
