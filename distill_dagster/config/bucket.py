"""Which `store:` is a folder in a bucket: `s3://models/support`."""

import hashlib
import re

SCHEMES = ("s3", "gs", "az")
URL = re.compile(rf"(?:{'|'.join(SCHEMES)})://[^/#?@\s]+(?:/[^/#?@\s]+)*/?")


def is_bucket(store: str) -> bool:
    """Whether a store is a URL; a wrong one was refused when the config was read."""
    return "://" in store


def folder_name(store: str) -> str:
    """The name of the local folder beside a store, such as `s3-models-support-1a2b3c4d`: no two stores share one."""
    digest = hashlib.sha256(store.encode()).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9.]+', '-', store)[:80]}-{digest[:8]}"


def bucket_problem(store: str) -> str | None:
    """What is wrong with a URL as a store, with the way out; None if nothing is."""
    if URL.fullmatch(store):
        return None
    return (
        f"{store} is no place for a store: give a local path, or the URL of a folder in a bucket "
        f"({', '.join(f'{scheme}://bucket/folder' for scheme in SCHEMES)}) without `#`, `?` or `@`"
    )
