"""Encoders of speech: WavLM, HuBERT, wav2vec 2.0, and Whisper's encoder."""

from collections.abc import Callable, Iterator
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modashift.backbones import quiet_transformers
from modashift.encoders.base import Encoder, Settings, load_whole
from modashift.encoders.sources import Source
from modashift.encoders.windows import Window, windows
from modashift.errors import ModashiftError

__all__ = ["OVERLAP", "SAMPLE_RATE", "WINDOW", "SpeechEncoder", "SpeechStates"]

SAMPLE_RATE = 16_000
WINDOW = 30.0  # seconds: what Whisper hears at once; for the others, whose attention is quadratic, a bound
OVERLAP = 4.0  # seconds that neighbouring windows share, so that no state hears less than 2 s around it
WHISPER_STEP = 320  # samples between two states


class SpeechStates(NamedTuple):
    """States of a part of a recording: times (T,) in seconds, values (T, L, H)."""

    times: NDArray[np.float64]
    values: NDArray[np.float32]


class SpeechEncoder(Encoder):
    """States of a recording, at a rate of choice.

    Up to 30 s are heard as a whole, without any padding but Whisper's, whose part of the states is cut off. Longer
    recordings are heard in windows of 30 s that overlap by 4 s; each state is taken from the window in which it is
    farther from an edge, at least 2 s.

    Args:
        source: from `modashift.encoders.sources.find`.
        layers: numbers of the layers, rising.
        settings: device and precision.

    Attributes:
        step: samples between two states.
        field: samples that the first convolutions hear for a state; its time is their middle. 0 for Whisper, whose
            states stand at the middle of a spectrum's frame.

    Raises:
        ModashiftError: it cannot be loaded.
    """

    def __init__(self, source: Source, layers: tuple[int, ...], settings: Settings) -> None:
        from transformers import AutoFeatureExtractor

        self._whisper = source.model_type == "whisper"
        super().__init__(source, _load(source), layers, settings)
        try:
            with quiet_transformers():
                self._prepare: Any = AutoFeatureExtractor.from_pretrained(str(source.folder))
        except (OSError, ValueError, KeyError) as error:
            raise ModashiftError(
                f"{source.folder} does not say how sound is made ready (preprocessor_config.json): "
                f"{(str(error).strip().splitlines() or [''])[0]}"
            ) from error
        if self._prepare.sampling_rate != SAMPLE_RATE:
            raise ModashiftError(
                f"{source.name} hears {self._prepare.sampling_rate} samples a second; encoders of speech here hear "
                f"{SAMPLE_RATE}"
            )
        self.step, self.field = WHISPER_STEP, 0
        self._longest = round(WINDOW * SAMPLE_RATE)
        if self._whisper:
            self._longest = self._model.config.max_source_positions * WHISPER_STEP
        else:
            self.step, self.field = _reach(self._model.config)

    @property
    def batch(self) -> int:
        """Windows at a time: a minute of attention takes as much memory as a model."""
        return 4 if self.device.type == "cuda" else 1

    def every(self, rate: float | None) -> int:
        """One state in how many is kept, so that the rate is as near to the wanted one as a whole number allows."""
        return 1 if rate is None else max(1, round(SAMPLE_RATE / self.step / rate))

    def states(
        self,
        sound: NDArray[np.float32],
        rate: float | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Iterator[SpeechStates]:
        """States of a recording, a window after the other.

        Args:
            sound: (samples,) at 16 kHz.
            rate: states a second, the nearest that keeping one in so many gives, the first state being kept; all where
                None.
            progress: is told how much is done, from 0 to 1.

        Yields:
            Times and states (T, L, H) of the next part; none for a recording too short for a single state.
        """
        count = self._count(len(sound))
        sound = np.asarray(sound, dtype=np.float32)
        if not self._whisper and getattr(self._prepare, "do_normalize", False) and count:
            # Over the whole recording, as transformers does: a window of silence is not blown up.
            mean, deviation = _moments(sound)
            sound = (sound - mean) / deviation
        every = self.every(rate)
        size = self._longest // self.step if self._whisper else self._count(self._longest)
        parts = windows(count, size, min(round(OVERLAP * SAMPLE_RATE / self.step), size // 2))
        for begin in range(0, len(parts), self.batch):
            group = parts[begin : begin + self.batch]
            # Only windows of one length go together, so that nothing is ever padded.
            for same in _of_one_length(group):
                yield from self._heard(sound, same, every)
            if progress is not None:
                progress((begin + len(group)) / len(parts))

    def _heard(self, sound: NDArray[np.float32], parts: list[Window], every: int) -> Iterator[SpeechStates]:
        import torch

        cut = [self._samples(sound, part) for part in parts]
        if self._whisper:
            ready = self._prepare(cut, sampling_rate=SAMPLE_RATE, return_tensors="pt", max_length=self._longest)
            inputs = {"input_features": ready["input_features"]}
        else:
            inputs = {"input_values": torch.from_numpy(np.stack(cut))}
        numbers = [np.arange(p.first, p.last)[np.arange(p.first, p.last) % every == 0] for p in parts]
        wanted = np.unique(np.concatenate([n - p.start for n, p in zip(numbers, parts)]))
        at = torch.from_numpy(wanted).to(self.device)
        found = self.run(lambda state: state.index_select(1, at), **inputs).numpy()  # (B, L, T, H)
        for states, own, part in zip(found, numbers, parts):
            rows = np.searchsorted(wanted, own - part.start)
            times = (own * self.step + self.field / 2) / SAMPLE_RATE
            yield SpeechStates(times, states[:, rows].transpose(1, 0, 2))

    def _samples(self, sound: NDArray[np.float32], part: Window) -> NDArray[np.float32]:
        # All samples of the window, also those behind the last state's: norms over time in the convolutions count them.
        start = part.start * self.step
        return sound[start : start + self._longest]

    def _count(self, samples: int) -> int:
        """States of so many samples."""
        if self._whisper:
            return ceil(samples / self.step)
        return max(0, (samples - self.field) // self.step + 1)


def _load(source: Source) -> Any:
    import transformers

    if source.model_type == "whisper":
        from modashift.encoders.packaged_whisper import load_whisper_encoder

        return load_whisper_encoder(source.folder).float().requires_grad_(False)  # some are stored in half precision
    name = {"wavlm": "WavLMModel", "hubert": "HubertModel", "wav2vec2": "Wav2Vec2Model"}[source.model_type]
    # Masks are drawn in training only; what a final norm or adapter needs is not asked for either.
    return load_whole(getattr(transformers, name).from_pretrained, source, ("masked_spec_embed", "adapter."))


def _reach(config: Any) -> tuple[int, int]:
    """Samples between two states, and samples that one is made of, of a stack of convolutions."""
    step, field = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride):
        field += (kernel - 1) * step
        step *= stride
    return step, field


def _moments(sound: NDArray[np.float32]) -> tuple[np.float32, np.float32]:
    """Mean and deviation, with transformers' constant under the root."""
    return sound.mean(), np.sqrt(sound.var() + 1e-7)


def _of_one_length(parts: list[Window]) -> Iterator[list[Window]]:
    group: list[Window] = []
    for part in parts:
        if group and part.stop - part.start != group[0].stop - group[0].start:
            yield group
            group = []
        group.append(part)
    if group:
        yield group
