"""The demo as a project folder: the packaged config, and the data of the support desk beside it.

.demo/distill.yaml     demo.yaml, without its exports if their packages are missing
.demo/data/            the rows that world.py writes
.demo/store/           what a run publishes
"""

from pathlib import Path

import yaml

from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import CONFIG_NAME, load_config
from distill_dagster.demo.world import write_dataset
from distill_dagster.errors import ConfigError
from distill_dagster.release.export.formats import missing_packages
from distill_dagster.store.disk import write_text

DEMO_CONFIG = Path(__file__).with_name("demo.yaml")
DEMO_FOLDER = Path(".demo")  # in the working directory
TARGETS_FOLDER = Path(".targets")


def write_demo(folder: Path = DEMO_FOLDER) -> Path:
    """Write distill.yaml and data/ into the folder and return the config's path; a second call changes nothing.

    Raises:
        ConfigError: the folder holds another project or other files, which the demo would replace.
    """
    config, text = folder / CONFIG_NAME, demo_text()
    if config.exists() and config.read_text(encoding="utf-8") != text:
        raise ConfigError(
            f"{config} differs from the demo's config: run it with `distill-dagster run --config {config}`, or choose "
            "another folder for the demo"
        )
    if folder != DEMO_FOLDER and not config.exists() and folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty and holds no demo: choose a new or empty folder; no file is replaced")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(config, text)
    write_dataset(folder / "data")
    return config


def demo_text() -> str:
    """The packaged config, without the exports if the packages that they need are not installed."""
    text = DEMO_CONFIG.read_text(encoding="utf-8")
    formats = yaml.safe_load(text)["export"]["formats"]
    sections = text.split("\n\n")
    return text if not any(map(missing_packages, formats)) else "\n\n".join(sections[:-1]) + "\n"


def demo_config() -> DistillConfig:
    """The config of the demo in the working directory, whether it is written already or not."""
    written = DEMO_FOLDER / CONFIG_NAME
    return load_config(written) if written.is_file() else load_config(DEMO_CONFIG, DEMO_FOLDER)


def write_targets(folder: Path = TARGETS_FOLDER) -> None:
    """Write the rows of examples/targets.yaml; a second call changes nothing."""
    rows = {"train_rows": 1600, "validation_rows": 60, "test_rows": 400, "shards": 4}
    write_dataset(folder / "data", tasks=("classification",), **rows)
