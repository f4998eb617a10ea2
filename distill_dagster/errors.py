"""The errors that a user can cause. Their messages say what is wrong, name the two values, and show the way out.

All are `ValueError`s. A bug in this package raises something else, so that a caller can tell the two apart.
`distill-dagster` prints these errors without a traceback; an asset turns them into a `dagster.Failure`.
"""

from collections.abc import Iterator


class UserError(ValueError):
    """The base of all errors that a user can cause and repair."""


class ConfigError(UserError):
    """`distill.yaml` is missing, is not YAML, or has a wrong field; the message names the file and the field."""


class DataError(UserError):
    """A source file, a table or the store cannot be read, written or used."""


class ModelError(UserError):
    """A model cannot be found, or lacks a capability that the config needs."""


class NotPublishedError(UserError):
    """An artefact that this step reads has not been made yet; `title` names it."""

    def __init__(self, message: str, title: str = "") -> None:
        super().__init__(message)
        self.title = title

    @classmethod
    def of(cls, title: str, store: object) -> "NotPublishedError":
        """The error for an artefact that a store does not hold."""
        return cls(f"{title} is not in {store} yet: materialize it first (`distill-dagster run` does)", title)


class ComputeError(UserError):
    """This machine lacks the devices that a step needs."""


class PreflightError(UserError):
    """A run cannot work; found before anything was made or spent."""

    @classmethod
    def of(cls, found: list[str]) -> "PreflightError":
        """The error for everything that is missing."""
        return cls(f"the run cannot work, and nothing was made or asked; {len(found)} problem(s):\n" + "\n".join(found))


class TrainingError(UserError):
    """A model cannot be trained on these rows with these settings."""


class DivergedError(TrainingError):
    """The loss of a training is no longer finite."""


class TeacherError(UserError):
    """A teacher cannot be reached, or too many of its requests fail."""


class EndpointError(TeacherError):
    """No request to an endpoint can work: its URL, the network, the key or the account is wrong."""


class PublishError(UserError):
    """A place where a release is published cannot be reached, read or written."""


class BudgetError(UserError):
    """The teacher's budget is spent; the replies received so far are kept."""


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that led to it, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
