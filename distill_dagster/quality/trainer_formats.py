"""The names of what `export.py` can write, apart from it: the command line reads them without loading pyarrow."""

from typing import Literal

TrainerFormat = Literal["trl", "openai", "sharegpt"]
ExportSplit = Literal["train", "validation", "all"]
