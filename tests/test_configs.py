"""Every shipped configuration parses and builds its model."""

import re
from pathlib import Path

import pytest

from modashift.train.options import train_parser
from modashift.train.setup import typed_options
from support import build

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


def test_there_are_configurations():
    assert len(CONFIGS) >= 7


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_configuration_parses_builds_and_has_its_header(path, tiny_config):
    text = path.read_text(encoding="utf-8")
    command = re.search(rf"#   modashift train (\S+) --config (?:configs/{path.name}|{path.stem}) ", text)
    assert command, "the header must show the command"
    assert "# Time:" in text
    assert "# Expected" in text
    name = command[1]
    config = train_parser(name).parse_args(["--config", str(path), "--data", "x", "--run", "y"]).as_dict()
    from modashift.models import get_model

    build(name, tiny_config, **typed_options(get_model(name), config.get("model") or {}))
