"""Says what is wrong with Dagster's database, and the way out for each kind of error.

database or disk is full            the disk: make room
database is locked                  another process: wait, or find it
unable to open database file        rights, or a folder that is gone
no such table: runs                 a database of another version, or one that was not created to its end
file is not a database              damaged
connection refused                  a server that does not answer
"""

import re
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from distill_dagster.store.disk import file_system_of

KEPT = "what was published and what was answered is kept"
BEGIN_AGAIN = "move {home} away and run again: Dagster begins a new history, and " + KEPT
KINDS: tuple[tuple[str, str], ...] = (  # pattern of the database's message, and the way out
    (
        r"disk is full|no space left|disk quota|could not (?:extend|write)",
        "{file_system} is full: make room there and run again; " + KEPT,
    ),
    (r"disk i/o error", "{file_system} cannot be read or written: check the disk and its free space, and run again"),
    (r"is locked|deadlock", "another process holds it: wait until that ends, and run again"),
    (
        r"readonly|read-only|permission denied|unable to open",
        "check that the folder exists and that this user may write it",
    ),
    (
        r"no such (?:table|column)|has no column|already exists|undefined ?(?:table|column)|relation .* does not exist",
        "it was written by another version of Dagster, or not created to its end: run `DAGSTER_HOME={home} dagster "
        "instance migrate`; if that does not help, " + BEGIN_AGAIN,
    ),
    (r"not a database|malformed|corrupt", "the file is damaged: restore it from a backup, or " + BEGIN_AGAIN),
    (
        r"authentication|password|role .* does not exist|database .* does not exist",
        "the server refuses: check user, password and database name under `storage` in {home}/dagster.yaml",
    ),
    (
        r"connection|connect|timeout|timed out|could not translate host|server closed|starting up|too many clients",
        "the server does not answer: check that it runs, and its address under `storage` in {home}/dagster.yaml",
    ),
)


def explain_database(error: DBAPIError, home: Path) -> str:
    """What is wrong with the database that `home` configures, and what to do."""
    said = str(error.orig).strip().splitlines()[0] if error.orig and str(error.orig).strip() else type(error).__name__
    way_out = next((words for pattern, words in KINDS if re.search(pattern, said, re.IGNORECASE)), None)
    hint = (way_out or "see {home}/dagster.yaml for its settings").format(home=home, file_system=file_system_of(home))
    return f"Dagster's database in {home} cannot be used ({said}): {hint}"
