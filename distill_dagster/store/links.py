"""A stable name for the current version of an artefact: a symbolic link in the store that each publication moves.

    store/student -> student_checkpoint/versions/3f2a…-9c01/model

The link is relative, so that a store can be moved. It is replaced in one step, so a reader finds the old version or the
new one. Nothing in the store follows it: artefacts are found by their manifests.
"""

import os
import uuid
from pathlib import Path


def point(link: Path, target: Path) -> bool:
    """Make `link` lead to `target`.

    False if it cannot: the file system has no symbolic links, or something else has that name, which is left alone.
    """
    leads_to = os.path.relpath(target, link.parent)
    if leads(link, target):
        return True
    if link.exists() and not link.is_symlink():
        return False
    temporary = link.with_name(f".{link.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.symlink_to(leads_to, target_is_directory=True)
        os.replace(temporary, link)
    except OSError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def leads(link: Path, target: Path) -> bool:
    """Whether `link` is a symbolic link to `target`."""
    return link.is_symlink() and os.readlink(link) == os.path.relpath(target, link.parent)
