"""Put files of one published version into another without a second copy: as hard links.

Published files never change, so two versions can share them. Each version keeps its files when the other is deleted.
Where the file system has no hard links, the files are copied.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path


def share(source: Path, target: Path, names: Iterable[str]) -> None:
    """Put the files and folders of `source` with these names, as far as they exist, into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    for path in (source / name for name in names):
        if path.is_dir():
            shutil.copytree(path, target / path.name, copy_function=link_or_copy)
        elif path.exists():
            link_or_copy(path, target / path.name)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Make `target` the same file as `source`, or a copy of it."""
    real = os.path.realpath(source)
    try:
        os.link(real, target)
    except OSError:
        shutil.copyfile(real, target)


def replace_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Write these files into `folder`; one that is shared stays as it is in other versions."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")
