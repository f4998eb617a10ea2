"""Which `store:` is a folder in a bucket: `s3://models/support`."""

import re

SCHEMES = ("s3", "gs", "az")
URL = re.compile(rf"(?:{'|'.join(SCHEMES)})://[^/#?@\s]+(?:/[^/#?@\s]+)*/?")


def is_bucket(store: str) -> bool:
    """Whether a store is a URL; a wrong one was refused when the config was read."""
    return "://" in store


def bucket_problem(store: str) -> str | None:
    """What is wrong with a URL as a store, with the way out; None if nothing is."""
    if URL.fullmatch(store):
        return None
    return (
        f"{store} is no place for a store: give a local path, or the URL of a folder in a bucket "
        f"({', '.join(f'{scheme}://bucket/folder' for scheme in SCHEMES)}) without `#`, `?` or `@`"
    )
