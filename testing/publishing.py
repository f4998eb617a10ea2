"""Released students of a few small files, and ways to publish them: here, in another process, or killed on the way."""

import subprocess
import sys
from pathlib import Path

from distill_dagster.config import PublishConfig
from distill_dagster.release.publish.bundle import RECORD_FILE, Bundle
from distill_dagster.release.publish.publishing import publish_student
from distill_dagster.release.publish.specs import PublishedPlace, PublishResult, PublishSpec
from distill_dagster.store.disk import file_sha256

PROJECT = "support"
CARD = "---\nlicense: apache-2.0\n---\n# The student\n"


class ReleasedFiles:
    """The folder of a released student: two large files, and small ones beside them."""

    def __init__(self, folder: Path, student: str, **texts: str) -> None:
        self.folder, self.student = folder, student.ljust(64, "0")
        made = {
            "config.json": "{}",
            "model-00001-of-00002.safetensors": f"the first weights of {student}",
            "model-00002-of-00002.safetensors": f"the second weights of {student}",
            "tokenizer.json": "{}",
            "README.md": CARD,
            "NOTICE": "a notice",
            ".eval_results/support.yaml": "score: 1",
        }
        self.contents = {name: text.encode() for name, text in {**made, **texts}.items()}
        for name, content in self.contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    @property
    def bundle(self) -> Bundle:
        """What is published of it."""
        files = {name: file_sha256(self.folder / name) for name in self.contents}
        return Bundle(PROJECT, self.student, self.folder, files)

    @property
    def published(self) -> dict[str, bytes]:
        """Path -> bytes of what a place holds of it."""
        return {**self.contents, RECORD_FILE: self.bundle.record.text.encode()}

    def spec(self, out: Path, **places: dict) -> PublishSpec:
        """The spec that publishes it at these places."""
        out.mkdir(exist_ok=True)
        bundle = self.bundle
        return PublishSpec(
            project=PROJECT,
            student=self.student,
            folder=str(self.folder),
            files=bundle.files,
            places=PublishConfig.model_validate(places),
            out=str(out),
        )


def publish(spec: PublishSpec) -> PublishedPlace:
    """Publish at the spec's only place, in this process."""
    (place,) = publish_student(spec, "cpu").places
    return place


def publish_elsewhere(spec: PublishSpec) -> PublishedPlace:
    """The same in a process of its own."""
    ran = _run([sys.executable, "-m", "distill_dagster.workers", "publish_student"], spec)
    assert ran.returncode == 0, ran.stderr
    (place,) = PublishResult.model_validate_json(ran.stdout).places
    return place


def publish_until(spec: PublishSpec, target: str, number: int = 1) -> None:
    """Publish in a process that is killed at a call of a function, see killed_at.py."""
    ran = _run([sys.executable, "-m", "testing.killed_at", "publish_student", target, str(number)], spec)
    assert ran.returncode == -9, (ran.returncode, ran.stderr)


def _run(command: list[str], spec: PublishSpec) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=spec.model_dump_json(), capture_output=True, text=True, timeout=600)


def tree(folder: Path) -> dict[str, bytes]:
    """Path -> bytes of every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
