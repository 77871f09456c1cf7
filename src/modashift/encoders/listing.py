"""The encoders that have names, for people and programs."""

from typing import Any

from modashift.encoders.names import ALIASES, KIND, MINILM, RATES, TINY

__all__ = ["encoders_json", "encoders_table"]


def encoders_json() -> list[dict[str, Any]]:
    """Each encoder with its modality, what it is, and where the name says it, its layers and their width."""
    from modashift.encoders.packaged import MODALITIES, PACKAGED

    found: list[dict[str, Any]] = []
    for name, alias in ALIASES.items():
        found.append(_entry(name, alias.modality, f"{alias.hub} on the hub", alias.layers, alias.size))
    for name, modality in MODALITIES.items():
        found.append(_entry(name, modality, f"packaged: {PACKAGED[name]}"))
    found.append(_entry(MINILM, "linguistic", "packaged: all-MiniLM-L6-v2, fetched by pip", 6, 384))
    found += [_entry(name, modality, "RANDOM weights, to try commands with") for name, modality in TINY.items()]
    return sorted(found, key=lambda each: list(KIND).index(each["modality"]))


def encoders_table() -> str:
    """The encoders by modality, a line each."""
    entries = encoders_json()
    width = max(len(each["name"]) for each in entries)
    lines = ["Encoders, for --visual, --acoustic and --linguistic; or a folder, or ORGANISATION/NAME on the hub", ""]
    for modality, kind in KIND.items():
        rate = f", {RATES[modality]:g} states a second" if modality in RATES else ", a state a word piece"
        lines.append(f"{modality}: encoders of {kind}{rate}")
        for each in entries:
            if each["modality"] == modality:
                size = f"{each['layers']} × {each['size']}, " if each["layers"] else ""
                lines.append(f"  {each['name']:<{width}}  {size}{each['source']}")
    return "\n".join(lines) + "\n"


def _entry(name: str, modality: str, source: str, layers: int | None = None, size: int | None = None) -> dict[str, Any]:
    rate = RATES.get(modality)
    return {"name": name, "modality": modality, "source": source, "layers": layers, "size": size, "rate": rate}
