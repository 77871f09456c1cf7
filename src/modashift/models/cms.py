"""Context-driven modality shifting (CMS): the non-verbal context of the whole utterance, added to every word.

Kim and Kim, *CMSBERT-CLR* (IJCNN 2022), equations (1)–(4). With X the hidden states that enter a layer and V, A the
visual and acoustic features,

    g_ij = σ(W_g [X_i ; V_j] + b)          a scalar gate for every pair of word i and non-verbal step j
    a_ij = g^v_ij W_v V_j + g^a_ij W_a A_j
    a_i  = (1/n) Σ_j a_ij                   the mean over the n real steps

Read literally this is an (N, T, H) tensor for each utterance. Because the gate's argument is a sum of a term in i and
a term in j, and W_m does not depend on i, it factorises without approximation:

    G = σ(X w_x + (V w_v)ᵀ + b)             (N, T)
    S = (1/n) (G V) W_vᵀ + …                (N, H), row i is a_i

so the cost is one (N, T) matrix for each modality and the largest tensor is the output itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

__all__ = ["ACTIVATIONS", "ModalityShift", "ShiftOptions"]

Activation = Literal["relu", "sigmoid", "tanh", "identity"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "identity": lambda x: x,
}


@dataclass(frozen=True)
class ShiftOptions:
    """The open points of the paper about the shift; the defaults are the literal or the likeliest reading.

    Attributes:
        activation: σ of equations (1)–(2).
        site: ``post_projection`` adds a_i to the queries, keys and values (equations 5–7); ``pre_projection`` adds it
            to the input of the three projections, as a gate before the layer would.
        residual: let the residual path carry X + a instead of X (what MAG-BERT does).
        context_window: None for the whole utterance; w for steps at most w positions away (0: the own step only).
        specials: ``shift`` also computes a_i for [CLS] and [SEP], which need the context too; ``keep`` leaves them.
        share_layers: one set of weights for all layers instead of one a layer.
        heads: ``split`` gives each head its part of a_i; ``shared`` learns one head-sized shift used by all heads.
        scale: attention logits divided by the root of the ``head`` size, as pre-trained weights expect, or of the
            ``hidden`` size, as equation (5) prints it.
        fixed_length: divide by this N instead of the number of real steps (the literal 1/N with padding counted).
        gate_bias: initial value of the gates' biases; raise it where ReLU gates die.
        initial_scale: standard deviation of the initial weights; 0 for the projections starts as exact BERT.
    """

    activation: Activation = "relu"
    site: Literal["post_projection", "pre_projection"] = "post_projection"
    residual: bool = False
    context_window: int | None = None
    specials: Literal["shift", "keep"] = "shift"
    share_layers: bool = False
    heads: Literal["split", "shared"] = "split"
    scale: Literal["head", "hidden"] = "head"
    fixed_length: int | None = None
    gate_bias: float = 0.0
    initial_scale: float = 0.02


class ModalityShift(nn.Module):
    """Equations (1)–(4): a_i for every word i from all non-verbal steps of the utterance.

    The modalities need not have as many steps as there are words: each may come with its own mask, so the module
    also serves sequences that are not aligned to words (then without `context_window`, which compares positions).

    Args:
        hidden_size: H, width of the words' hidden states.
        modality_sizes: width of the features of each modality, for example ``{"visual": 47, "acoustic": 74}``.
        activation: σ; one of `ACTIVATIONS`.
        context_window: None, or the largest distance |i − j| of a step that may shift word i.
        output_size: width of the shift; H where not given.
        fixed_length: divisor of the sum; the number of real steps within the window where not given.
        gate_bias: initial bias of the gates.
        initial_scale: standard deviation of the initial weights.

    Attributes:
        gate: by modality, ``weight`` (1, H + d_m) with the words' part first, ``bias`` (1,).
        project: by modality, ``weight`` (H, d_m); bias-free, so that zero features shift nothing.
    """

    def __init__(
        self,
        hidden_size: int,
        modality_sizes: Mapping[str, int],
        activation: str = "relu",
        *,
        context_window: int | None = None,
        output_size: int | None = None,
        fixed_length: int | None = None,
        gate_bias: float = 0.0,
        initial_scale: float = 0.02,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation {activation!r} is not one of {', '.join(ACTIVATIONS)}")
        if context_window is not None and context_window < 0:
            raise ValueError(f"context_window must be None or ≥ 0, got {context_window}")
        self.hidden_size = hidden_size
        self.activation = activation
        self.context_window = context_window
        self.fixed_length = fixed_length
        self.gate = nn.ModuleDict({m: nn.Linear(hidden_size + d, 1) for m, d in modality_sizes.items()})
        self.project = nn.ModuleDict(
            {m: nn.Linear(d, output_size or hidden_size, bias=False) for m, d in modality_sizes.items()}
        )
        for m in modality_sizes:
            nn.init.normal_(self.gate[m].weight, std=initial_scale)  # type: ignore[arg-type]
            nn.init.constant_(self.gate[m].bias, gate_bias)  # type: ignore[arg-type]
            nn.init.normal_(self.project[m].weight, std=initial_scale)  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        """Options shown by ``print(model)``."""
        return f"activation={self.activation}, context_window={self.context_window}"

    def forward(
        self,
        hidden: Float[Tensor, "B N H"],
        features: Mapping[str, Tensor],
        mask: Bool[Tensor, "B T"] | Mapping[str, Tensor],
    ) -> Float[Tensor, "B N O"]:
        """Compute a_i of equation (4).

        Args:
            hidden: X, the hidden states of the words.
            features: by modality (B, T, d_m). A modality may be left out: it then shifts nothing.
            mask: True at real steps; one for all modalities, or one for each.

        Returns:
            S, whose row i is a_i; zero where an utterance has no real step.
        """
        shift: Tensor | None = None
        for m, values in features.items():
            weights, count = self._weights(m, hidden, values, mask)
            pooled = torch.bmm(weights, values) / count  # (B, N, d_m): first G V, then W_m: the narrow product first
            term: Tensor = self.project[m](pooled)  # (B, N, O)
            shift = term if shift is None else shift + term
        if shift is None:
            return hidden.new_zeros(*hidden.shape[:2], self._output_size())
        return shift

    def maps(
        self,
        hidden: Float[Tensor, "B N H"],
        features: Mapping[str, Tensor],
        mask: Bool[Tensor, "B T"] | Mapping[str, Tensor],
    ) -> dict[str, Float[Tensor, "B N T"]]:
        """CMS maps (Figure 1 of the paper), one a modality: the mean over the H entries of a_ij, signed.

        The paper does not say how a vector became a brightness; the mean is linear, so the maps of the modalities add
        up, and the mean of row i over the real steps is the mean entry of a_i.
        """
        result = {}
        for m, values in features.items():
            weights, _ = self._weights(m, hidden, values, mask)
            direction = self.project[m].weight.mean(0)  # type: ignore[operator]  # (d_m,)
            result[m] = weights * (values @ direction).unsqueeze(1)  # (B, N, T)
        return result

    def gates(
        self, hidden: Float[Tensor, "B N H"], features: Mapping[str, Tensor], mask: Tensor | Mapping[str, Tensor]
    ) -> dict[str, Float[Tensor, "B N T"]]:
        """Gates g_ij by modality, zero at masked steps: their share of zeros tells whether ReLU gates have died."""
        return {m: self._weights(m, hidden, values, mask)[0] for m, values in features.items()}

    def _weights(
        self, m: str, hidden: Tensor, values: Tensor, mask: Tensor | Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Masked gates (B, N, T) and the divisor of their sum, (B, N, 1) or (B, 1, 1)."""
        steps = mask[m] if isinstance(mask, Mapping) else mask  # (B, T)
        gate: Any = self.gate[m]
        weight, bias = gate.weight, gate.bias
        of_words, of_steps = weight[:, : self.hidden_size], weight[:, self.hidden_size :]
        from_words = hidden @ of_words.T  # (B, N, 1)
        from_steps = (values @ of_steps.T + bias).transpose(1, 2)  # (B, 1, T)
        gates = ACTIVATIONS[self.activation](from_words + from_steps)  # (B, N, T)
        allowed = steps.unsqueeze(1)  # (B, 1, T)
        if self.context_window is not None:
            allowed = allowed & self._window(hidden.shape[1], steps.shape[1], hidden.device)  # (B, N, T)
        if self.fixed_length is not None:
            count = gates.new_full((1, 1, 1), self.fixed_length)
        else:
            count = allowed.sum(-1, keepdim=True).clamp(min=1).to(gates.dtype)
        return gates * allowed, count

    def _window(self, words: int, steps: int, device: torch.device) -> Tensor:
        if words != steps:
            raise ValueError(
                f"context_window needs features aligned to the words, but there are {words} positions and {steps} "
                "steps; align the features or leave context_window at None"
            )
        position = torch.arange(words, device=device)
        return (position[:, None] - position[None, :]).abs() <= self.context_window  # type: ignore[operator]

    def _output_size(self) -> int:
        return next((int(p.out_features) for p in self.project.values()), self.hidden_size)  # type: ignore[arg-type]
