"""Reads a YAML file together with where each value is written, and how.

    labels: [yes, 1.10]      values   {"labels": ["yes", 1.1]}
                             places   ("labels",) line 1; ("labels", 1) line 1, text "1.10"

Values have the types of YAML 1.2's core schema. In YAML 1.1, which PyYAML reads, `no` is false, `1:30` is 90 and
`2026-01-01` a date. A plain word that only YAML 1.1 reads as something else than text is marked, so that fields of any
type can refuse it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import yaml

from distill_dagster.config.key_shapes import name_shown

Location = tuple[str | int, ...]
TAG = "tag:yaml.org,2002:"
TEXT = f"{TAG}str"
PLAIN_TYPES = (  # YAML 1.2.2, section 10.3.2: tag, pattern, first characters
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
)
MOST_NODES = 100_000  # with aliases, a short file can stand for billions


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is written: the line of its key (in a list, its own), and a plain scalar's text."""

    line: int
    text: str | None = None
    is_other_in_1_1: bool = False  # YAML 1.1 reads this plain text as a boolean, a number or a date


@dataclass(frozen=True, slots=True)
class Written:
    """The documents of a file, or one of them: values, and the places of those that are written out."""

    value: Any
    places: Mapping[Location, Place]


class YamlError(ValueError):
    """The text is not YAML, or repeats a key; `line` is where."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Plain scalars have the types of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node)
        return int(text, 16) if text.startswith("0x") else int(text)


for _tag, _pattern, _first in PLAIN_TYPES:
    _Loader.add_implicit_resolver(TAG + _tag, re.compile(rf"(?:{_pattern})$"), _first)
_Loader.add_constructor(f"{TAG}int", _Loader.construct_yaml_int)
_yaml_1_1 = yaml.SafeLoader("")


def read_yaml(text: str) -> Written:
    """The only document of a YAML text.

    Raises:
        YamlError: the text is not YAML, has several documents, or repeats a key.
    """
    documents = read_documents(text)
    if len(documents) > 1:
        raise YamlError("the file holds several documents: keep one, and remove the `---` between them", None)
    return documents[0] if documents else Written(None, {})


def read_documents(text: str) -> list[Written]:
    """Every document of a YAML text; YamlError as above."""
    found = []
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = cast(yaml.Node, loader.get_node())
            places = dict(_places(node, (), Place(node.start_mark.line + 1), frozenset()))
            found.append(Written(loader.construct_document(node), places))
    except yaml.MarkedYAMLError as e:
        begun = e.context_mark if e.problem == "could not find expected ':'" else None  # a key without one
        mark = begun or e.problem_mark or e.context_mark
        raise YamlError(
            f"not valid YAML: {name_shown(e.problem or e.context or '')}", mark.line + 1 if mark else None
        ) from e
    except yaml.reader.ReaderError as e:
        raise YamlError(f"not valid YAML: {e.reason} (character {e.position})", None) from e
    return found


def _places(node: yaml.Node, path: Location, place: Place, above: frozenset[int]) -> Iterator[tuple[Location, Place]]:
    """The place of a node and of everything below it, refusing keys that come twice and aliases without an end."""
    if id(node) in above:
        raise YamlError("an alias stands for a part of the file that holds the alias itself", place.line)
    yield path, _scalar(node, place) if isinstance(node, yaml.ScalarNode) else place
    above = above | {id(node)}
    count = 0
    for part, line, child in _children(node):
        for found in _places(child, (*path, part), Place(line), above):
            count += 1
            if count > MOST_NODES:
                raise YamlError(f"more than {MOST_NODES:,} values, counting what aliases stand for", line)
            yield found


def _children(node: yaml.Node) -> Iterator[tuple[str | int, int, yaml.Node]]:
    """Key or index, line and node of each value of a list or mapping; a merged mapping (`<<`) gives its values too."""
    if isinstance(node, yaml.SequenceNode):
        for n, item in enumerate(node.value):
            yield n, item.start_mark.line + 1, item
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[str, int] = {}
    for key, value in node.value:
        line, name = key.start_mark.line + 1, str(key.value)
        if key.tag == f"{TAG}merge":
            for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                yield from _children(merged)
        elif name in first:
            raise YamlError(f"`{name_shown(name)}` is here and on line {first[name]}: remove one of the two", line)
        else:
            first[name] = line
    for key, value in node.value:
        if key.tag != f"{TAG}merge":
            yield str(key.value), key.start_mark.line + 1, value


def _scalar(node: yaml.ScalarNode, place: Place) -> Place:
    if node.style is not None:  # quoted, or a block of text
        return place
    before = _yaml_1_1.resolve(yaml.ScalarNode, node.value, (True, False))
    return Place(place.line, node.value, node.tag == TEXT and before != TEXT)
