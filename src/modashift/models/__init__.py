"""Every model, one line each. A new model is one file and one line here."""

from importlib import import_module
from typing import TYPE_CHECKING

from modashift.errors import ModashiftError

if TYPE_CHECKING:
    from modashift.models.base import Model

__all__ = ["ALIASES", "MODELS", "get_model"]

MODELS = {
    "bert": "modashift.models.bert:BERT",
    "tfn": "modashift.models.tfn:TFN",
    "mfn": "modashift.models.mfn:MFN",
    "raven": "modashift.models.raven:RAVEN",
    "mfm": "modashift.models.mfm:MFM",
    "mult": "modashift.models.mult:MulT",
    "misa": "modashift.models.misa:MISA",
    "mag-bert": "modashift.models.mag_bert:MAGBERT",
    "self-mm": "modashift.models.self_mm:SelfMM",
    "mha": "modashift.models.mha:MHA",
    "f3": "modashift.models.f3:F3",
    "augpause": "modashift.models.augpause:AugPause",
    "gated-encoders": "modashift.models.gated_encoders:GatedEncoders",
    "cmsbert-1": "modashift.models.cmsbert:CMSBERT1",
    "cmsbert": "modashift.models.cmsbert:CMSBERT",
    "cmsbert-clr": "modashift.models.cmsbert_clr:CMSBERTCLR",
}

ALIASES = {"ando2022": "gated-encoders"}  # other names `get_model` understands


def get_model(name: str) -> "type[Model]":
    """Class of a model by its name on the command line.

    Raises:
        ModashiftError: for an unknown name, listing those there are.
    """
    name = ALIASES.get(name, name)
    if name not in MODELS:
        raise ModashiftError(f"there is no model {name!r}; choose from {', '.join(MODELS)}")
    module, _, attribute = MODELS[name].partition(":")
    found: type[Model] = getattr(import_module(module), attribute)
    return found
