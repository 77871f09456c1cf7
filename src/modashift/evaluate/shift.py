"""What the shift did to one utterance: maps, gates and norms, layer by layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modashift.evaluate.perturb import step_numbers
from modashift.evaluate.subject import Subject
from modashift.models.cms import ModalityShift

__all__ = ["Inside", "has_shift", "look_inside"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Inside:
    """What the shift did to one utterance, layer by layer.

    Rows are positions of the text, special tokens included; columns are the steps of the data: a word that fills
    several positions is one column, the sum of theirs.

    Attributes:
        layers: L numbers, from 1.
        pieces: N names of the positions.
        words: (N,) word number of each, −1 for special tokens.
        steps: by modality, S names of the steps (words, or ``utterance``), or numbers from 1 for frames.
        maps: by modality (L, N, S), the CMS map: the mean entry of a_ij, signed.
        gates: by modality (L, N, P), gate of each pair of positions, NaN outside a context window.
        norms: (L, N) length of the shift of each position.
        zero_gates: by modality (L,), share of gates that are exactly 0 among pairs of word and step.
        relu: whether the gates can die (ReLU).
    """

    layers: list[int]
    pieces: list[str]
    words: NDArray[np.int64]
    steps: Mapping[str, list[str]]
    maps: Mapping[str, Floats]
    gates: Mapping[str, Floats]
    norms: Floats
    zero_gates: Mapping[str, Floats]
    relu: bool

    @property
    def real(self) -> NDArray[np.intp]:
        """Positions that are words."""
        return np.flatnonzero(self.words >= 0)

    def summed(self) -> Floats | None:
        """Sum of the modalities' maps (L, N, S), where there are several with the same steps; else None."""
        maps = list(self.maps.values())
        if len(maps) < 2 or len({tuple(s) for s in self.steps.values()}) > 1:
            return None
        return np.asarray(sum(maps))

    def warnings(self) -> list[str]:
        """Gates that never open, in words."""
        found = []
        for m, shares in self.zero_gates.items() if self.relu else ():
            dead = [str(n) for n, share in zip(self.layers, shares) if share >= 1]
            if dead:
                found.append(
                    f"All {m} gates of {'layer' if len(dead) == 1 else 'layers'} {', '.join(dead)} are zero for this "
                    "utterance: no shift comes from there. A ReLU closed for every utterance learns nothing "
                    "(train with a higher --model.shift.gate_bias, or another activation)."
                )
        return found


def has_shift(model: Any) -> bool:
    """Whether the model shifts words by non-verbal context."""
    return bool(getattr(getattr(model, "encoder", None), "shifted", None))


@torch.no_grad()
def look_inside(subject: Subject, layers: Sequence[int] = ()) -> Inside | None:
    """Maps, gates and shifts of the subject's only row; None where it has no non-verbal step.

    Args:
        subject: a model with a shift, and one row.
        layers: numbers from 1; all shifted layers where not given.

    Raises:
        ValueError: for a layer that is not shifted.
    """
    encoder: Any = subject.predictor.model.encoder
    shifted = sorted(n + 1 for n in encoder.shifted)
    wrong = [n for n in layers if n not in shifted]
    if wrong:
        raise ValueError(f"layers {wrong} have no shift; those that have are {', '.join(map(str, shifted))}")
    chosen = sorted(set(layers)) or shifted
    batch = next(subject.batches())
    positions = {
        m: torch.nonzero(step_numbers(subject, batch, m)[0] >= 0)[:, 0]
        for m in subject.dataset.features
        if m != "linguistic"
    }
    positions = {m: at for m, at in positions.items() if len(at)}
    if not positions:
        return None
    calls: list[tuple[Any, ...]] = []
    hooks = [m.register_forward_hook(lambda module, args, _: calls.append((module, *args))) for m in _modules(encoder)]
    try:
        details = encoder(batch, details=True)
    finally:
        for hook in hooks:
            hook.remove()
    text = batch.pieces()
    at_word = text.real[0]  # (N,)
    maps: dict[str, list[Floats]] = {m: [] for m in positions}
    gates: dict[str, list[Floats]] = {m: [] for m in positions}
    zeros: dict[str, list[float]] = {m: [] for m in positions}
    for number, (module, *arguments) in zip(shifted, calls, strict=True):
        if number not in chosen:
            continue
        opened = module.gates(*arguments)
        for m, at in positions.items():
            steps = step_numbers(subject, batch, m)[0, at]  # (P,)
            own = details.maps[number - 1][m][0][:, at]  # (N, P)
            grouped = own.new_zeros(len(own), int(steps.max()) + 1).index_add_(1, steps, own)
            maps[m].append(_numpy(grouped))
            gate = opened[m][0][:, at]
            window = module.context_window
            near = torch.ones_like(gate, dtype=torch.bool)
            if window is not None:
                near = (torch.arange(len(gate), device=at.device)[:, None] - at[None]).abs() <= window
            zeros[m].append(float((gate[at_word] == 0)[near[at_word]].double().mean()))
            gates[m].append(np.where(near.cpu().numpy(), _numpy(gate), np.nan))
    tokenizer: Any = subject.predictor.preprocessor.tokenizer
    pieces = [str(p).lstrip("Ġ▁") for p in tokenizer.convert_ids_to_tokens(text.ids[0].tolist())]
    return Inside(
        chosen,
        pieces,
        text.word[0].cpu().numpy(),
        {m: _step_names(subject, m, v[0].shape[1]) for m, v in maps.items()},
        {m: np.stack(v) for m, v in maps.items()},
        {m: np.stack(v) for m, v in gates.items()},
        np.stack([_numpy(details.shifts[n - 1][0].norm(dim=-1)) for n in chosen]),
        {m: np.array(v) for m, v in zeros.items()},
        encoder.options.activation == "relu",
    )


def _modules(encoder: Any) -> list[ModalityShift]:
    return [m for m in encoder.shift.values() if isinstance(m, ModalityShift)]


def _numpy(tensor: torch.Tensor) -> Floats:
    return tensor.double().cpu().numpy()


def _step_names(subject: Subject, modality: str, count: int) -> list[str]:
    alignment, words = subject.dataset.features[modality].alignment, subject.dataset.words[int(subject.rows[0])]
    if alignment == "utterance":
        return ["utterance"]
    if alignment == "word" and len(words) >= count:
        return list(words[:count])
    return [str(n + 1) for n in range(count)]
