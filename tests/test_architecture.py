"""The rules of the house that no linter knows: private names stay at home, and the front hall stays empty."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("distill_dagster", "assets", "operations", "resources")
INTERNALS = ["distill_dagster/training/memory/torch_internals.py", "operations/dagster_internals.py"]
MOST_LOOSE_MODULES = 7
NAMED_TUPLE = {"_make", "_replace", "_asdict", "_fields"}  # its public names
LEAST_FILES = 200  # that the walk must see, or it looks in the wrong place


def modules() -> Iterator[Path]:
    """Every module of the package, once: the links in distill_dagster/ lead to the other three folders."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if not any(parent.is_symlink() for parent in path.parents):
                yield path


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_uses(tree: ast.Module) -> Iterator[str]:
    """Underscore names that a module takes from elsewhere: imported, or as attributes of something imported."""
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = [alias.name for alias in node.names]
            for full in [f"{module}.{name}".strip(".") for name in names]:
                if any(map(is_private, full.split("."))):
                    yield full
            imported |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in NAMED_TUPLE:
            base = node.value
            while isinstance(base, ast.Attribute | ast.Call):
                base = base.value if isinstance(base, ast.Attribute) else base.func
            if isinstance(base, ast.Name) and base.id in imported:
                yield ast.unparse(node)


def test_no_module_takes_a_private_name_from_another():
    seen, found = 0, {}
    for path in modules():
        seen += 1
        if used := sorted(set(private_uses(ast.parse(path.read_text())))):
            found[str(path.relative_to(ROOT))] = used
    assert seen > LEAST_FILES
    assert list(found) == INTERNALS, found


def test_few_modules_stand_loose():
    entries = ("__init__.py", "__main__.py")
    loose = [path.name for path in (ROOT / "distill_dagster").glob("*.py") if path.name not in entries]
    assert len(loose) <= MOST_LOOSE_MODULES, loose


def test_no_two_classes_share_a_name():
    where: dict[str, list[str]] = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                where.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in where.items() if len(paths) > 1} == {}


def test_names_that_say_nothing_are_not_used():
    empty = {"helper", "helpers", "utils", "util", "common", "manager", "misc"}
    assert [str(path) for path in modules() if path.stem in empty or path.parent.name in empty] == []


def test_no_json_holds_nan():
    """Python writes NaN, which is no JSON, unless it is forbidden: `json.dumps(…, allow_nan=False)` raises instead."""
    seen, lenient = 0, []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("json.dumps", "json.dump"):
                seen += 1
                allows = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}.get("allow_nan")
                if allows != "False":
                    lenient.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert seen > 20
    assert lenient == []
