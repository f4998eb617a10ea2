"""The search for secrets finds one, and the audit tells a clean bill from a service that knows nothing."""

import pytest

from testing.audit import UNREACHABLE, Audit, read
from testing.secret_scan import AWS, EXCEPTIONS, NoSecret, found_in, problems_of

KNOWN = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "b", "skip_reason": "not found"}
HOLED = {"name": "c", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"], "aliases": []}]}


def test_a_key_is_found_unless_its_exception_counts_it(tmp_path):
    made, line = "AKIA" + "QWERTYUIOPASDFGH", tmp_path / "a.py"
    line.write_text(f"key = '{made}'\n")
    found = found_in([str(line)])
    assert found[str(line), AWS] == [1]
    one = {(str(line), AWS): [1]}
    allowed = NoSecret(f"{tmp_path}/*", AWS, 1, "made up")
    assert problems_of(one, [allowed]) == []
    assert problems_of({(str(line), AWS): [1, 2]}, [allowed]) == [f"{line}, line 1, 2: {AWS} (2, and 1 is expected)"]
    assert problems_of(one, []) == [f"{line}, line 1: {AWS} (1)"]
    assert problems_of({}, [allowed]) == [f"{tmp_path}/*: no {AWS} is there: remove the exception"]
    assert all(exception.reason for exception in EXCEPTIONS)


@pytest.mark.parametrize(
    ("entries", "status"),
    [([KNOWN], 0), ([KNOWN, UNKNOWN], 1), ([UNKNOWN], UNREACHABLE), ([], UNREACHABLE), ([KNOWN, HOLED], 1)],
)
def test_the_status_of_an_audit(entries, status):
    assert read({"dependencies": entries}).status == status
    assert Audit().status == UNREACHABLE


def test_a_vulnerability_is_named_with_its_fix():
    assert read({"dependencies": [HOLED]}).vulnerable == ["c 1: X-1, fixed in 2"]
