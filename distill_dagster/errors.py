"""The named errors that a user can cause, each with what is wrong, the two values, and the way out.

All are `ValueError`s: a bug in this package raises something else, so a caller can tell the two apart.
`distill-dagster` prints them without a traceback, an asset turns them into a `dagster.Failure`.
"""


class UserError(ValueError):
    """Something that a user gave cannot work; the message says what, and what to do."""


class ConfigError(UserError):
    """`distill.yaml` is missing, is no YAML, or has a field that is wrong; the message carries its path."""


class DataError(UserError):
    """A source file, or every row in it, cannot be used."""


class ModelError(UserError):
    """A model is not there, or cannot do what is asked of it."""


class NotPublishedError(UserError):
    """An artefact that this step reads has not been made yet."""


class ComputeError(UserError):
    """The devices that a step declares it needs are not on this machine."""


class TrainingError(UserError):
    """A model cannot be trained on these rows with these settings."""


class TeacherError(UserError):
    """A teacher cannot be asked, or fails at too many requests."""


class BudgetError(UserError):
    """What may be spent on the teacher is spent; what was answered is kept."""
