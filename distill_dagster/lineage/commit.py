"""Which commit of the project's own repository a report was made at.

commit_of(config)     "3f2a…", "3f2a…-dirty" if a tracked file differs from it, None outside of a repository
"""

import subprocess

from distill_dagster.config import DistillConfig

DESCRIBE = (  # the whole hash and never a tag; only reads
    *("git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"),
)
PATIENCE_S = 30


def commit_of(config: DistillConfig) -> str | None:
    """The commit of the repository in which distill.yaml is; None if that is not known."""
    if config.folder is None:
        return None
    try:
        said = subprocess.run(
            DESCRIBE, cwd=config.folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # no git on this machine, the folder is gone, or a stuck file system
        return None
    return said.stdout.strip() or None if said.returncode == 0 else None
