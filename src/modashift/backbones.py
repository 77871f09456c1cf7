"""Language backbones: a hub name, a local folder, the packaged MiniLM, or a tiny one made on the spot."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modashift.errors import ModashiftError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

__all__ = ["Backbone", "load_backbone"]


@dataclass(frozen=True)
class Backbone:
    """A pre-trained encoder with its tokenizer.

    Attributes:
        name: as the user named it.
        source: folder or hub id transformers loads it from.
        config: its configuration as a dict, enough to build the architecture anew without it.
        tokenizer: its tokenizer (a fast one, which knows the word of each piece).
    """

    name: str
    source: str
    config: dict[str, Any]
    tokenizer: "PreTrainedTokenizerBase"

    def model(self) -> Any:
        """The pre-trained model itself, in float32."""
        import torch
        from transformers import AutoModel

        with quiet_transformers():
            return AutoModel.from_pretrained(self.source, dtype=torch.float32)

    def state_dict(self) -> dict[str, "Tensor"]:
        """Pre-trained weights under transformers' names, pooler included where the checkpoint has one."""
        return dict(self.model().state_dict())


def load_backbone(name: str = "minilm") -> Backbone:
    """Find a backbone.

    Args:
        name: ``minilm`` (22.7 M parameters; fetched with pip and checked on first use), ``tiny`` (random weights, for
            made-up data), a folder as transformers saves it, or a name on the hub such as ``bert-base-uncased``.

    Raises:
        ModashiftError: where neither is found or the tokenizer cannot tell words from pieces.
    """
    from transformers import AutoConfig, AutoTokenizer

    if name == "minilm":
        from modashift.data.fetch import fetch_minilm

        source = str(fetch_minilm())
    elif name == "tiny":
        from modashift.tiny import tiny_backbone

        with quiet_transformers():
            source = str(tiny_backbone())
    else:
        source = name
    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(source)
            tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True)
    except (OSError, ValueError) as error:
        kind = "folder" if Path(name).exists() else "hub name"
        raise ModashiftError(
            f"cannot load backbone {name!r} as a {kind}: {str(error).splitlines()[0]}. Give a folder with config.json, "
            "model.safetensors and tokenizer.json, a name that is on the hub (with network), or `minilm`"
        ) from error
    if not tokenizer.is_fast:
        raise ModashiftError(f"backbone {name!r} has no fast tokenizer, which is needed to align pieces with words")
    return Backbone(name, source, config.to_diff_dict(), tokenizer)


class quiet_transformers:
    """Keep transformers' loading reports and bars off the screen; its errors still come through."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self.verbosity = logging.get_verbosity()
        self.bars = logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        from transformers.utils import logging

        logging.set_verbosity(self.verbosity)
        if self.bars:
            logging.enable_progress_bar()
