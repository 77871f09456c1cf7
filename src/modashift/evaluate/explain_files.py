"""The files of `modashift explain`: pictures, arrays (``explanation.npz``) and words (``explanation.json``)."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modashift.atomic import write_atomic
from modashift.evaluate.explain import Explanation
from modashift.evaluate.explain_plots import plot_attribution, plot_last_map, plot_left_out, plot_maps, plot_shift

__all__ = ["write_explanation"]


def write_explanation(
    found: Explanation, folder: Path, title: str, suffix: str = ".png", about: dict[str, Any] | None = None
) -> list[Path]:
    """Write the pictures, ``explanation.npz`` and ``explanation.json``.

    Args:
        found: what to write.
        folder: where to; made where missing.
        title: of the pictures.
        suffix: of the pictures.
        about: what the JSON file says besides, such as the run and the id.

    Returns:
        The paths written.
    """
    paths = [plot_left_out(found, folder / f"left_out{suffix}", title)]
    inside, check = found.inside, found.check
    if inside is not None:
        paths += [
            plot_maps(inside, folder / f"maps{suffix}", title),
            plot_last_map(inside, folder / f"map_layer{inside.layers[-1]}{suffix}", title),
            plot_shift(inside, folder / f"shift{suffix}", title),
        ]
    if check is not None:
        paths.append(plot_attribution(found, check, folder / f"attribution{suffix}", title))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **_arrays(found))  # type: ignore[arg-type]
    write_atomic(folder / "explanation.npz", buffer.getvalue())
    content = {**(about or {}), **_summary(found), "files": [p.name for p in paths] + ["explanation.npz"]}
    write_atomic(folder / "explanation.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return [*paths, folder / "explanation.npz", folder / "explanation.json"]


def _arrays(found: Explanation) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"units": np.array(found.units), "word_changes": found.word_changes}
    if (inside := found.inside) is not None:
        arrays |= {"pieces": np.array(inside.pieces), "words": inside.words, "layers": np.array(inside.layers)}
        arrays["shift_norms"] = inside.norms
        for m in inside.maps:
            arrays |= {
                f"map_{m}": inside.maps[m],
                f"gates_{m}": inside.gates[m],
                f"steps_{m}": np.array(inside.steps[m]),
            }
    if (check := found.check) is not None:
        arrays |= {"step_changes": check.changes, "random_changes": check.random_changes}
        arrays |= {"step_modality": np.array([m for m, _ in found.items])}
        arrays |= {"step_number": np.array([s for _, s in found.items])}
    return arrays


def _summary(found: Explanation) -> dict[str, Any]:
    result: dict[str, Any] = {
        "prediction": found.prediction,
        "change_without_modality": found.modality_changes,
        "change_without_word": [
            {"word": w, "change": None if np.isnan(c) else float(c)} for w, c in zip(found.units, found.word_changes)
        ],
        "notes": found.notes,
    }
    if (inside := found.inside) is not None:
        result["zero_gates"] = {
            m: dict(zip(map(str, inside.layers), map(float, shares))) for m, shares in inside.zero_gates.items()
        }
    if (check := found.check) is not None:
        names = found.item_names
        result["attribution"] = {
            "top_steps": [names[j] for j in check.top],
            "top_change": check.top_change,
            "random_change_median": float(np.median(np.abs(check.random_changes))),
            "random_draws": len(check.random_changes),
            "all_choices": check.exact,
            "p": check.p,
            "rank_correlation": None if np.isnan(check.rank) else check.rank,
            "rank_p": None if np.isnan(check.rank_p) else check.rank_p,
            "sign_rank_correlation": None if np.isnan(check.sign_rank) else check.sign_rank,
            "sentences": check.sentences(),
        }
    return result
