"""What can be set about training and about the data it sees; the names are the command line's."""

from dataclasses import dataclass
from typing import Literal

from modashift.errors import ModashiftError

__all__ = ["DataArgs", "TrainArgs"]


@dataclass(frozen=True)
class DataArgs:
    """Which data, which splits, which features.

    Attributes:
        data: a store, or a file or folder in any layout `modashift data inspect` recognises.
        validation: share of the training split to carve out as validation (0.15, say); needed where the data have no
            dev split, and whenever dev_as_test is set.
        group: what must not be divided between training and validation: the video, or nothing.
        dev_as_test: use the dev split as the test split.
        split_seed: of the choice of groups, apart from the training seed: runs of several seeds share their splits.
        folds: cross-validation in so many parts over all utterances, whatever their splits; see fold.
        fold: which part is the test split, from 1; validation (0.15 where not given) is carved out of the rest.
        leave_out: name of the group (video, speaker) that is the test split, all others being trained on.
        normalise: features as delivered, standardised by the training split's statistics, or within each segment.
        features: modalities to use (visual, acoustic); all the data have where not given.
        replace_nonfinite: replace NaN and infinite feature values by 0 instead of refusing the file.
        max_length: most word pieces of an utterance, special tokens included.
    """

    data: str
    validation: float | None = None
    group: Literal["video", "none"] = "video"
    dev_as_test: bool = False
    split_seed: int = 0
    folds: int | None = None
    fold: int = 1
    leave_out: str | None = None
    normalise: Literal["none", "train", "segment"] = "none"
    features: list[str] | None = None
    replace_nonfinite: bool = False
    max_length: int = 50


@dataclass(frozen=True)
class TrainArgs:
    """How to train. The defaults are the quick recipe; ``configs/`` holds the paper's.

    Attributes:
        backbone: minilm, a folder, or a hub name such as bert-base-uncased.
        init: run folder to start the weights from (warm start).
        seed: of initial weights, dropout and batch order.
        epochs: passes over the training split.
        batch_size: utterances in a step, over all processes.
        accumulate: batches whose gradients are averaged before a step; pairs for the contrastive losses are still
            only found within one batch.
        lr: learning rate of new parts.
        lr_backbone: learning rate of pre-trained parts; null for that of new parts.
        weight_decay: AdamW's, on matrices only.
        warmup: share of all steps over which the rate rises linearly, before it falls linearly to zero.
        clip: largest norm of the gradient; 0 for no clipping.
        average: decay of a moving average of the weights over steps; the averaged weights are then validated and
            kept. 0 for none.
        select: dev metric that chooses the checkpoint to keep: mse (the task loss), mae, corr, or an accuracy.
        patience: stop after this many epochs without improvement of it.
        precision: fp32, or autocast in bf16 or fp16.
        compile: run the model through torch.compile.
        device: auto, cpu, cuda or cuda:N.
        threads: CPU threads of torch; its own choice where not given.
        save_every: also save the state every so many steps within an epoch (each epoch is saved anyhow).
        tensorboard: write TensorBoard logs beside metrics.jsonl.
    """

    backbone: str = "minilm"
    init: str | None = None
    seed: int = 1111
    epochs: int = 10
    batch_size: int = 32
    accumulate: int = 1
    lr: float = 5e-4
    lr_backbone: float | None = 2e-4
    weight_decay: float = 1e-3
    warmup: float = 0.1
    clip: float = 1.0
    average: float = 0.97
    select: Literal["mse", "mae", "corr", "acc2_has0", "acc2_non0", "acc7"] = "mse"
    patience: int | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    device: str = "auto"
    threads: int | None = None
    save_every: int | None = None
    tensorboard: bool = True

    def __post_init__(self) -> None:
        positive = {k: getattr(self, k) for k in ("epochs", "batch_size", "accumulate", "lr")}
        for key, value in positive.items():
            if value <= 0:
                raise ModashiftError(f"{key} must be positive, got {value}")
        if self.batch_size < 2:
            raise ModashiftError("batch_size must be at least 2: contrastive losses compare utterances of a batch")
        if not 0 <= self.average < 1:
            raise ModashiftError(f"average is a decay in [0, 1), got {self.average}")
        if not 0 <= self.warmup < 1:
            raise ModashiftError(f"warmup is a share of the steps in [0, 1), got {self.warmup}")
