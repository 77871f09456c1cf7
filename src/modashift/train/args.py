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
        protocol: cross-validation by a named protocol instead of folds: speaker10, session5, actors6, random10, …;
            fold says which part is the test split, the protocol also which is dev.
        leave_out: name of the group (video, speaker) that is the test split, all others being trained on.
        normalise: features as delivered, standardised by the training split's statistics, or within each segment.
        features: modalities to use (visual, acoustic; and linguistic, for models that can do without words); all the
            data have where not given.
        layers: of hidden states of encoders, by modality, the layer to use, or several for a model that weighs them:
            ``{acoustic: 13}``; all the data hold where not given.
        replace_nonfinite: replace NaN and infinite feature values by 0 instead of refusing the file.
        max_length: most word pieces of an utterance, special tokens included.
        plain_words: give word pieces the words as speech has them: lower case, without punctuation, contractions with
            their apostrophe (DIDNT becomes didn't), so that transcripts and written sentences look alike.
        text: where word vectors come from, for models that read the words as vectors: ``encoder`` (states of the
            backbone, frozen), ``glove`` (a file of word vectors), ``given`` (linguistic features of the data), or
            ``auto`` (given where the data have them, glove where a file is named, else encoder).
        glove: file of word vectors in GloVe's text format: a word and its numbers a line.
        text_layer: layer of the backbone whose states are taken, from 0 (the embeddings); −1 is the last.
    """

    data: str
    validation: float | None = None
    group: Literal["video", "none"] = "video"
    dev_as_test: bool = False
    split_seed: int = 0
    folds: int | None = None
    fold: int = 1
    protocol: str | None = None
    leave_out: str | None = None
    normalise: Literal["none", "train", "segment"] = "none"
    features: list[str] | None = None
    layers: dict[str, int | list[int]] | None = None
    replace_nonfinite: bool = False
    max_length: int = 50
    plain_words: bool = False
    text: Literal["auto", "encoder", "glove", "given"] = "auto"
    glove: str | None = None
    text_layer: int = -1


@dataclass(frozen=True)
class TrainArgs:
    """How to train. The defaults are the quick recipe; ``configs/`` holds the paper's.

    Attributes:
        backbone: minilm, a folder, or a hub name such as bert-base-uncased.
        init: run folder to start the weights from (warm start).
        seed: of initial weights, dropout and batch order.
        epochs: passes over the training split.
        batch_size: utterances in a step, over all processes.
        drop_last: leave out, in each epoch anew, the utterances that do not fill a last batch.
        accumulate: batches whose gradients are averaged before a step; pairs for the contrastive losses are still
            only found within one batch.
        lr: learning rate of new parts.
        lr_backbone: learning rate of pre-trained parts; null for that of new parts.
        optimizer: adamw; or adam or adamax, whose weight decay is part of the gradient.
        weight_decay: on matrices only.
        schedule: linear (after the warm-up the rate falls linearly to zero), constant, plateau (the rate is
            multiplied by plateau_factor after plateau_patience epochs without improvement on dev), or warm-cosine (the
            rate changes by epochs: it rises linearly from rate_floor of it, then falls towards that by half a cosine
            as long as all epochs).
        warmup: share of all steps over which the rate rises linearly; of all epochs with warm-cosine.
        rate_floor: see schedule.
        plateau_factor: see schedule.
        plateau_patience: see schedule.
        clip: largest norm of the gradient; 0 for no clipping.
        clip_value: largest absolute value of an entry of the gradient, clipped before the norm; 0 for no such clipping.
        skip_nonfinite: pass over steps with a loss that is NaN or infinite, which are counted and reported, instead of
            ending the run.
        feature_dropout: probability that a column of face or voice is set to zero for an utterance in a training step,
            the others being scaled up; for wide features of few speakers, standardised first.
        modality_dropout: probability that face or voice is made missing for an utterance in a training step, drawn
            for each of them; the model learns to do without.
        average: decay of a moving average of the weights over steps; the averaged weights are then validated and
            kept. 0 for none.
        select: dev metric that chooses the checkpoint to keep: mse (the task loss: the cross-entropy where labels are
            classes); for scores also mae, corr, or an accuracy; for classes ce (the cross-entropy too), wa, ua,
            f1_weighted or f1_macro.
        class_weights: weights of the classes in the cross-entropy: none, or balanced (each class counts alike, by its
            share of the training split).
        patience: stop after this many epochs without improvement of it.
        precision: fp32, or autocast in bf16 or fp16.
        compile: run the model through torch.compile.
        device: auto, cpu, cuda or cuda:N.
        threads: CPU threads of torch; its own choice where not given.
        save_every: also save the state every so many steps within an epoch (each epoch is saved anyhow); 0 never
            saves it, so that a short run wastes no time on it and starts over where it is interrupted.
        tensorboard: write TensorBoard logs beside metrics.jsonl.
    """

    backbone: str = "minilm"
    init: str | None = None
    seed: int = 1111
    epochs: int = 10
    batch_size: int = 32
    drop_last: bool = False
    accumulate: int = 1
    lr: float = 5e-4
    lr_backbone: float | None = 2e-4
    optimizer: Literal["adamw", "adam", "adamax"] = "adamw"
    weight_decay: float = 1e-3
    schedule: Literal["linear", "constant", "plateau", "warm-cosine"] = "linear"
    warmup: float = 0.1
    rate_floor: float = 0.1
    plateau_factor: float = 0.1
    plateau_patience: int = 20
    clip: float = 1.0
    clip_value: float = 0.0
    skip_nonfinite: bool = False
    feature_dropout: float = 0.0
    modality_dropout: float = 0.0
    average: float = 0.97
    select: Literal[
        "mse", "mae", "corr", "acc2_has0", "acc2_non0", "acc7", "ce", "wa", "ua", "f1_weighted", "f1_macro"
    ] = "mse"
    class_weights: Literal["none", "balanced"] = "none"
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
        for key in ("feature_dropout", "modality_dropout"):
            if not 0 <= getattr(self, key) < 1:
                raise ModashiftError(f"{key} is a probability in [0, 1), got {getattr(self, key)}")
        if not 0 <= self.warmup < 1:
            raise ModashiftError(f"warmup is a share of the steps in [0, 1), got {self.warmup}")
        if not 0 <= self.rate_floor <= 1:
            raise ModashiftError(f"rate_floor is a share of the learning rate in [0, 1], got {self.rate_floor}")
