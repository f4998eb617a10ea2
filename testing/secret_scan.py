"""Finds what looks like a secret in the repository, for `make lint`. By hand, `python -m testing.secret_scan` runs it.

detect-secrets knows the shapes of keys, and strings that look random. What it finds and is none has its reason below,
by file and kind, and how often it is there: one more is a finding again. An exception that no file needs is one too.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

HEX, BASE64, KEYWORD = "Hex High Entropy String", "Base64 High Entropy String", "Secret Keyword"
BASIC, PRIVATE, AWS, WEB = "Basic Auth Credentials", "Private Key", "AWS Access Key", "JSON Web Token"
NAME = "the name of an environment variable, not its value"
MADE = "made up, for a server of the tests or for what must be hidden"
ANY = None


class NoSecret(NamedTuple):
    """What is no secret."""

    files: str  # a pattern
    kind: str
    count: int | None  # in each file; ANY: any number, as of hashes
    reason: str


EXCEPTIONS = [
    NoSecret("tests/stores/version_0_1_0/*", HEX, ANY, "hashes of content"),
    NoSecret("tests/quality/golden_sets.json", HEX, ANY, "hashes of content"),
    NoSecret("tests/fuzz/targets.py", BASE64, 1, MADE),
    NoSecret("tests/models/test_pinning.py", HEX, 1, "a commit"),
    NoSecret("tests/sources/test_discovery.py", HEX, 1, "a hash"),
    NoSecret("distill_dagster/models/dates.py", BASE64, 1, "a chat template's letters"),
    NoSecret("tests/models/test_token_bytes.py", BASE64, 1, "an alphabet"),
    NoSecret("tests/quality/test_filters.py", BASE64, 1, "a made-up answer"),
    NoSecret("tests/tasks/test_thoughts.py", BASE64, 1, "a made-up answer"),
    NoSecret("distill_dagster/alerts/delivery.py", BASIC, 1, "a placeholder in a docstring"),
    NoSecret("distill_dagster/redaction.py", AWS, 1, "the key of AWS's own documentation"),
    NoSecret("distill_dagster/teachers/endpoint.py", KEYWORD, 1, NAME),
    NoSecret("deploy/k8s/values.yaml", KEYWORD, 1, "the name of a secret of the cluster, not its value"),
    NoSecret("docs/alerts.md", BASIC, 1, "a placeholder"),
    NoSecret("examples/api_to_*.yaml", KEYWORD, 1, NAME),
    NoSecret("examples/teachers/*.yaml", KEYWORD, 1, NAME),
    NoSecret("testing/object_store.py", KEYWORD, 1, MADE),
    NoSecret("tests/alerts/test_delivery.py", BASIC, 2, MADE),
    NoSecret("tests/alerts/test_message.py", PRIVATE, 1, MADE),
    NoSecret("tests/assets/test_endpoint_lineage.py", KEYWORD, 1, NAME),
    NoSecret("tests/config/test_credentials.py", KEYWORD, 6, MADE),
    NoSecret("tests/config/test_credentials.py", HEX, 1, MADE),
    NoSecret("tests/config/test_credentials.py", BASIC, 1, MADE),
    NoSecret("tests/config/test_publish.py", BASIC, 1, MADE),
    NoSecret("tests/deploy/test_login.py", KEYWORD, 1, MADE),
    NoSecret("tests/preflight/test_licences.py", KEYWORD, 1, NAME),
    NoSecret("tests/resources/k8s/test_settings.py", KEYWORD, 1, NAME),
    NoSecret("tests/resources/ray/test_places.py", KEYWORD, 1, NAME),
    NoSecret("tests/teachers/batching/test_provider.py", KEYWORD, 1, MADE),
    NoSecret("tests/teachers/batching/test_results.py", KEYWORD, 1, MADE),
    NoSecret("tests/teachers/test_causes.py", KEYWORD, 1, NAME),
    NoSecret("tests/teachers/test_headers.py", KEYWORD, 2, MADE),
    NoSecret("tests/teachers/test_secrets.py", KEYWORD, 1, NAME),
    NoSecret("tests/teachers/test_secrets.py", BASIC, 1, MADE),
    NoSecret("tests/telemetry/test_off.py", KEYWORD, 1, MADE),
    NoSecret("tests/telemetry/test_requests.py", BASE64, 1, MADE),
    NoSecret("tests/telemetry/test_requests.py", KEYWORD, 1, NAME),
    NoSecret("tests/telemetry/test_sent.py", KEYWORD, 1, NAME),
    NoSecret("tests/telemetry/test_sent.py", BASE64, 1, MADE),
    NoSecret("tests/test_redaction.py", PRIVATE, 2, MADE),
    NoSecret("tests/test_redaction.py", AWS, 1, MADE),
    NoSecret("tests/test_redaction.py", WEB, 1, MADE),
    NoSecret("tests/test_redaction.py", BASIC, 1, MADE),
    NoSecret("tests/test_redaction.py", KEYWORD, 1, MADE),
]


def found_in(files: Iterable[str]) -> dict[tuple[str, str], list[int]]:
    """(file, kind) -> lines with what looks like a secret."""
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import default_settings

    found: dict[tuple[str, str], list[int]] = {}
    with default_settings():
        for file in files:
            secrets = SecretsCollection()
            secrets.scan_file(file)
            for _, secret in secrets:
                found.setdefault((file, secret.type), []).append(secret.line_number)
    return found


def problems_of(
    found: dict[tuple[str, str], list[int]], exceptions: Iterable[NoSecret] = tuple(EXCEPTIONS)
) -> list[str]:
    """What is found and has no reason, and exceptions that nothing needs."""
    problems, used = [], Counter[NoSecret]()
    for (file, kind), lines in sorted(found.items()):
        fits = next((e for e in exceptions if e.kind == kind and fnmatch(file, e.files)), None)
        if fits is None or fits.count not in (ANY, len(lines)):
            expected = f", and {fits.count} is expected" if fits else ""
            problems.append(f"{file}, line {', '.join(map(str, sorted(lines)))}: {kind} ({len(lines)}{expected})")
        if fits:
            used[fits] += 1
    return problems + [f"{e.files}: no {e.kind} is there: remove the exception" for e in exceptions if not used[e]]


def main() -> int:
    """Search the files that git knows; 1 if there is a problem."""
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()
    problems = problems_of(found_in(file for file in listed if Path(file).is_file() and not Path(file).is_symlink()))
    for problem in problems:
        print(problem)
    if problems:
        print("if it is no secret, give the reason in testing/secret_scan.py; if it is one, revoke it first")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
