"""What an error of Dagster's database means, and what helps; the kinds are SQLite's result codes.

SQLITE_FULL       "the disk is full: make room"
SQLITE_READONLY   "it cannot be written: check who owns the folder"
no such table     "it lacks a table: it belongs to another version of Dagster, or was copied in part"
"""

from pathlib import Path

from distill_dagster.errors import DataError

KEPT = "what was published and what was answered is kept"
MEANINGS = (  # the beginning of SQLite's name for the error, or of its text: what is wrong, and the way out
    ("SQLITE_FULL", "the disk is full: make room, and run again"),
    ("SQLITE_IOERR", "the disk cannot be read or written: make room or repair it, and run again"),
    ("SQLITE_READONLY", "it cannot be written: let this user write it, or choose another `store:`"),
    ("SQLITE_CANTOPEN", "it cannot be opened: let this user read and write the folder, or choose another `store:`"),
    ("SQLITE_PERM", "this user may not use it: let this user read and write it, or choose another `store:`"),
    ("SQLITE_BUSY", "another process holds it: let that process end, and run again"),
    ("SQLITE_LOCKED", "another process holds it: let that process end, and run again"),
    ("SQLITE_CORRUPT", "it is damaged: move the folder away, and run again; Dagster then starts with an empty history"),
    ("SQLITE_NOTADB", "it is no database: move the folder away, and run again; Dagster then starts an empty history"),
    ("table ", "another process created it at the same time: run again"),
    ("no such ", "it lacks a table or column: run `dagster instance migrate` there, or move the folder away"),
)
UNKNOWN = "run again; if it stays, move the folder away, and Dagster starts with an empty history"


def explained_error(home: Path, error: BaseException | None) -> DataError:
    """The user's error for what the database of the Dagster instance in `home` raised."""
    name, text = str(getattr(error, "sqlite_errorname", "")), str(error)
    meaning = next((says for key, says in MEANINGS if name.startswith(key) or text.startswith(key)), UNKNOWN)
    return DataError(f"Dagster's database in {home} cannot be used ({text}): {meaning}; {KEPT}")
