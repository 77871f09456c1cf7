"""Experiment files: where the shipped ones lie, how they are read, and what is said where one is wrong."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from modashift.errors import ModashiftError

__all__ = ["find", "folder", "override", "read_yaml", "shipped", "unknown_keys"]


def folder() -> Path:
    """Folder of the shipped experiments: within the package when installed, at the root of a checkout."""
    package = Path(__file__).parent
    installed = package / "shipped"
    return installed if installed.is_dir() else package.parents[2] / "experiments"


def shipped() -> list[str]:
    """Names of the shipped experiments."""
    return sorted(p.stem for p in folder().glob("*.yaml"))


def find(name: str | Path) -> Path:
    """An experiment by path, or by the name of a shipped one (``table2``).

    Raises:
        ModashiftError: where there is neither, naming the shipped ones.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = folder() / f"{path.stem if path.suffix == '.yaml' else name}.yaml"
    if len(path.parts) == 1 and known.is_file():
        return known
    raise ModashiftError(
        f"there is no experiment {str(name)!r}, neither a file nor shipped; shipped are {', '.join(shipped())}"
    )


class _Loader(yaml.SafeLoader):
    """YAML as people write it: 1e-4 is a number, and a key given twice is an error instead of a lost row."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:float"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.(inf|nan))$"),
    list("-+0123456789."),
)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
    twice = sorted({str(k) for k in keys if keys.count(k) > 1})
    if twice:
        raise ModashiftError(f"line {node.start_mark.line + 1}: {', '.join(twice)} is given twice")
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file of keys and values.

    Raises:
        ModashiftError: where it cannot be read or is none.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except ModashiftError as error:
        raise ModashiftError(f"{path}: {error}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModashiftError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModashiftError(f"{path}: expected keys and values")
    result: dict[str, Any] = _unshared(content)
    return result


def _unshared(value: Any) -> Any:
    """A copy in which what YAML's anchors made one object is several, so that a change of one is none of another."""
    if isinstance(value, dict):
        return {k: _unshared(v) for k, v in value.items()}
    return [_unshared(v) for v in value] if isinstance(value, list) else value


def override(declaration: dict[str, Any], settings: Sequence[str], source: str) -> None:
    """Change a declaration by ``KEY=VALUE`` settings, in place; keys are dotted paths, values are YAML.

    Raises:
        ModashiftError: for a setting without a value, or whose path leads through something that has no keys.
    """
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ModashiftError(f"--set {setting}: expected KEY=VALUE, such as train.epochs=3")
        at: Any = declaration
        *path, last = _path(declaration, key)
        for part in path:
            if at.get(part) is None:
                at[part] = {}
            at = at[part]
            if not isinstance(at, dict):
                raise ModashiftError(f"--set {setting}: {part} of {source} has no keys of its own")
        at[last] = yaml.load(text, _Loader)


def _path(declaration: Mapping[str, Any], key: str) -> list[str]:
    """Parts of a dotted key; the name of a row may hold dots itself (``rows.clr,temperature=0.1.train.lr``)."""
    first, _, rest = key.partition(".")
    named = declaration.get(first)
    if first in {"rows", "data", "prepare"} and isinstance(named, Mapping):
        for name in sorted(map(str, named), key=len, reverse=True):
            if rest == name or rest.startswith(f"{name}."):
                return [first, name, *filter(None, rest[len(name) + 1 :].split("."))]
    return key.split(".")


def unknown_keys(where: str, given: Iterable[str], allowed: Iterable[str]) -> None:
    """Refuse keys that mean nothing.

    Raises:
        ModashiftError: naming the place, the key, what it may have meant, and what is allowed.
    """
    allowed = list(allowed)
    for key in given:
        if key not in allowed:
            near = difflib.get_close_matches(str(key), allowed, 1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise ModashiftError(f"{where}: there is no key {key!r}; {meant}allowed are {', '.join(allowed)}")
