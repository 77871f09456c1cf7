"""The contract of a model: what it is built from, what it returns, its losses and its parameter groups."""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from modashift.batch import Batch
from modashift.models.layers import TaskLoss, class_loss, task_loss

__all__ = ["FROM_DATA", "Model", "Output"]

FROM_DATA = ("backbone", "modality_sizes", "classes", "state_layers")  # arguments of models that the user does not set


@dataclass
class Output:
    """What a model makes of a batch.

    Attributes:
        prediction: (B,) score; or (B, C) logits of the classes, where labels are classes.
        embeddings: by modality (B, d), what the contrastive losses compare and t-SNE pictures show.
        extra: whatever else the model's own loss needs, by name, with the batch first: (B, …).
    """

    prediction: Tensor
    embeddings: dict[str, Tensor] = field(default_factory=dict)
    extra: dict[str, Tensor] = field(default_factory=dict)


class Model(nn.Module, PyTorchModelHubMixin):
    """Base of all models; a new one overrides `forward`, and `loss` where it has terms of its own.

    The class signature is the configuration: the command line, the YAML files and ``config.json`` are read off it.
    Every argument must be JSON-able or a dataclass of such. `backbone`, `modality_sizes`, `classes` and `state_layers`
    come from the data and the chosen backbone, all others from the user.

    A model for classes too takes ``classes`` and hands it to ``Model.__init__``; its last layer has `outputs` columns,
    of which it squeezes the last dimension: (B, 1) becomes the (B,) of scores, and (B, C) stays the logits it is.

    Attributes:
        name: on the command line.
        title: in tables.
        paper: citation.
        modalities: non-verbal modalities the model can use; ``()`` for text only.
        text: ``pieces`` for models that fine-tune an encoder over word pieces (``batch.text``); ``vectors`` for models
            that read the words as one more sequence, ``batch.features["linguistic"]``.
        steps: whether word-aligned features are given to it one a ``piece`` or one a ``word``.
        aligned: whether it needs all sequences at the same steps, so that frames at rates of their own are refused.
        words_optional: of a model that reads words as ``vectors``, whether it can do without them: it then gets just
            the modalities that are chosen, of which ``linguistic`` may be one.
        layered: whether it takes several layers of hidden states of an encoder, (B, T, L · H); it is then given
            ``state_layers``, the number L by modality, of those modalities that are hidden states.
        scores_only: why the model can predict scores only and no classes; empty where it can do both.
        differs: what is not as in the published code, one sentence each.
        classes: number of classes, 0 for scores.
        class_weights: (C,) of the cross-entropy, None for 1 each; see `weigh_classes`. Not saved with the weights.
        task_loss: error of scores that is minimised.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    modalities: ClassVar[tuple[str, ...]] = ()
    text: ClassVar[Literal["pieces", "vectors"]] = "pieces"
    steps: ClassVar[Literal["piece", "word"]] = "piece"
    aligned: ClassVar[bool] = False
    words_optional: ClassVar[bool] = False
    layered: ClassVar[bool] = False
    scores_only: ClassVar[str] = ""
    differs: ClassVar[tuple[str, ...]] = ()
    task_loss: TaskLoss = "mse"
    class_weights: Tensor | None

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        if classes < 0 or classes == 1:
            raise ValueError(f"there must be two classes or more (or 0, for scores), got {classes}")
        self.classes = classes
        self.register_buffer("class_weights", None, persistent=False)
        given: Any = self._hub_mixin_config  # the arguments, as the mixin recorded them
        self._hub_mixin_config = {"model": self.name, **(given or {})}

    @classmethod
    def _from_pretrained(cls, **arguments: Any) -> "Model":
        # The mixin prints a line on standard output, where a command's results go.
        with redirect_stdout(io.StringIO()):
            model: Model = super()._from_pretrained(**arguments)
        return model

    @property
    def config(self) -> dict[str, Any]:
        """Arguments the model was built with, as saved in ``config.json``."""
        assert isinstance(self._hub_mixin_config, dict)
        return self._hub_mixin_config

    @property
    def outputs(self) -> int:
        """Columns of the last layer: one for a score, else one a class."""
        return max(1, self.classes)

    @property
    def task_term(self) -> str:
        """Name of the task's own term in the losses: ``mse`` of scores, ``ce`` (cross-entropy) of classes."""
        return "ce" if self.classes else "mse"

    def forward(self, batch: Batch) -> Output:
        """Score a batch."""
        raise NotImplementedError

    def answer(self, prediction: Tensor) -> Tensor:
        """What a prediction says to people: the score (B,) itself, or the probability of each class (B, C)."""
        return prediction.softmax(-1) if self.classes else prediction

    def task_terms(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """The part of the losses that every model has: ``loss`` and the `task_term`."""
        if self.classes:
            return class_loss(output.prediction, batch.label, self.class_weights)
        return task_loss(self.task_loss, output.prediction, batch.label)

    def weigh_classes(self, weights: Tensor | None) -> None:
        """Weigh the cross-entropy of each class, (C,), or no longer; called before training."""
        self.class_weights = weights

    def loss(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Named loss terms; ``loss`` is the one to minimise, and the `task_term` must be among them.

        Under data-parallel training `output` and the batch's labels hold the samples of all processes, so that terms
        over pairs of samples are exact.
        """
        return self.task_terms(output, batch)

    def start_training(self, labels: Tensor) -> None:
        """Called once before the first step, and before `load_training_state` where a run is resumed.

        Args:
            labels: (n,) score or class of every utterance of the data set, NaN for those that are not trained on;
                ``batch.index`` holds positions in it.
        """

    def after_backward(self, output: Output, batch: Batch, epoch: int) -> None:
        """Called after the backward pass of each training batch, with all processes' samples; epochs count from 1."""

    def training_state(self) -> dict[str, Tensor]:
        """What resuming needs beyond parameters and buffers (generated labels, for example)."""
        return {}

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `training_state` returned."""

    def wants_initial_losses(self) -> bool:
        """Whether `before_training` needs the dev losses of the untrained model, which cost a pass over dev."""
        return False

    def before_training(self, losses: Mapping[str, float]) -> None:
        """Called once before the first step, where `wants_initial_losses`, with the mean dev losses."""

    def after_validation(self, losses: Mapping[str, float]) -> dict[str, float]:
        """Called after each validation with the mean dev losses; returns values to log (loss weights, for example)."""
        return {}

    def pretrained_parameters(self) -> Sequence[nn.Parameter]:
        """Parameters that start from pre-trained weights and take the backbone's learning rate."""
        encoder = getattr(self, "encoder", None)
        return list(encoder.backbone.parameters()) if encoder is not None else []

    def param_groups(self, lr: float, lr_backbone: float, weight_decay: float) -> list[dict[str, Any]]:
        """Optimiser groups: the backbone at its own rate, no decay on biases and norms (anything below a matrix)."""
        pretrained = {id(p) for p in self.pretrained_parameters()}
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for parameter in self.parameters():
            if parameter.requires_grad:
                groups.setdefault((id(parameter) in pretrained, parameter.ndim >= 2), []).append(parameter)
        return [
            {
                "name": f"{'backbone' if old else 'new'}{'' if decays else ' (no decay)'}",
                "params": parameters,
                "lr": lr_backbone if old else lr,
                "weight_decay": weight_decay if decays else 0.0,
            }
            for (old, decays), parameters in sorted(groups.items(), key=lambda item: item[0])
        ]

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Take over the weights of a pre-trained backbone.

        Raises:
            ValueError: where the weights lack an entry of the model, so that nothing starts from noise unnoticed.
        """
        encoder: Any = self.encoder
        result = encoder.backbone.load_state_dict(dict(state), strict=False)
        if result.missing_keys:
            raise ValueError(f"backbone weights lack {', '.join(result.missing_keys[:5])} of {self.name}'s encoder")
