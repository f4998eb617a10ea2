"""Finds the files with the rows of a folder that `datasets.save_to_disk` wrote, and their order.

    train/
      data-00000-of-00002.arrow     an Arrow stream
      data-00001-of-00002.arrow
      dataset_info.json
      state.json                    {"_data_files": [{"filename": "data-00000-of-00002.arrow"}, …], …}

The folder is one shard. A folder with dataset_dict.json holds several such folders, one for each split.
"""

import json
from typing import Any

from distill_dagster.errors import DataError
from distill_dagster.sources.files.opening import opened, reading

STATE_FILE = "state.json"
SPLITS_FILE = "dataset_dict.json"


def is_saved_dataset(filesystem: Any, path: str) -> bool:
    """Whether `path` of an fsspec filesystem is such a folder.

    Raises:
        DataError: it holds several splits, and the config must name one of them.
    """
    if filesystem.isfile(f"{path}/{SPLITS_FILE}"):
        splits = sorted(json.loads(filesystem.cat_file(f"{path}/{SPLITS_FILE}"))["splits"])
        raise DataError(
            f"{path} is a saved dataset of {len(splits)} splits; name the folder of one: {', '.join(splits)}"
        )
    return filesystem.isfile(f"{path}/{STATE_FILE}")


def data_files(url: str) -> list[str]:
    """URLs of the Arrow files, in the order of the rows.

    Raises:
        DataError: the folder's state.json is missing, or `datasets` did not write it.
    """
    folder = url.rstrip("/")
    with opened(f"{folder}/{STATE_FILE}") as stream, reading(f"{folder}/{STATE_FILE}"):
        state = json.loads(stream.read())
        names = [file["filename"] for file in state["_data_files"]]
    if state.get("_indices_data_files") or any("/" in name for name in names):
        raise DataError(f"{folder} has indices or files in other folders; load it with `datasets` and save it again")
    return [f"{folder}/{name}" for name in names]
