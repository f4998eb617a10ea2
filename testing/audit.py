"""Asks for known vulnerabilities of the packages that constraints.txt pins: `python -m testing.audit`.

pip-audit asks PyPI's JSON API, package by package. It counts a package that the service does not know as a note, so a
mirror without that API would pass for a clean bill. Here this is said, and has a status of its own:

    0   every package was audited, and none has a vulnerability that is not excepted
    1   vulnerabilities, or single packages that could not be audited
    3   the service cannot be reached: NOTHING was audited

With `--soft`, as in `make lint`, 3 becomes 0, and is said in the same words.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
UNREACHABLE = 3
EXCEPTIONS: dict[str, str] = {}  # id of a vulnerability -> why it does not touch this project
NOT_THERE = ("ConnectionError", "Connection refused", "Failed to connect", "timed out", "NameResolution")


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit says."""

    audited: int = 0
    skipped: list[str] = field(default_factory=list)
    vulnerable: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status, as above."""
        if not self.audited:
            return UNREACHABLE
        return 1 if self.vulnerable or self.skipped else 0


def read(document: dict[str, Any]) -> Audit:
    """The audit in pip-audit's JSON; excepted vulnerabilities are left out."""
    entries = document.get("dependencies", [])
    skipped = [f"{entry['name']}: {entry['skip_reason']}" for entry in entries if "skip_reason" in entry]
    vulnerable = [
        f"{entry['name']} {entry['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or 'none'}"
        for entry in entries
        for found in entry.get("vulns", [])
        if found["id"] not in EXCEPTIONS and not set(found.get("aliases", [])) & EXCEPTIONS.keys()
    ]
    return Audit(len(entries) - len(skipped), skipped, vulnerable)


def audit() -> Audit:
    """Run pip-audit over constraints.txt, whose versions are exact, so that nothing is resolved or installed."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / "constraints.txt"), "--no-deps"]
    asked = [*command, "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.stdout.startswith("{"):
        return read(json.loads(done.stdout))
    if any(word in done.stderr for word in NOT_THERE):
        return Audit()
    raise RuntimeError(f"pip-audit failed:\n{done.stderr[-2000:]}")


def main(arguments: list[str]) -> int:
    """Audit, and say what was found."""
    found = audit()
    for line in found.vulnerable:
        print(line)
    if found.status == UNREACHABLE:
        print(
            "NOT AUDITED: the service of known vulnerabilities cannot be reached from here, or does not answer for any"
        )
        print("package (a mirror without PyPI's JSON API). Run `make audit` where it can.")
        return 0 if "--soft" in arguments else UNREACHABLE
    for line in found.skipped:
        print(f"not audited: {line}")
    print(
        f"{found.audited} packages audited, {len(found.vulnerable)} vulnerabilities, {len(found.skipped)} not audited"
    )
    return found.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
