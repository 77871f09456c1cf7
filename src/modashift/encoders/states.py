"""From pictures, sound and words of a recording to hidden states as features."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from modashift.encoders.faces import FaceFinder, crop_face
from modashift.encoders.half import HalfPrecision
from modashift.encoders.pictures import PictureEncoder
from modashift.encoders.speech import SpeechEncoder
from modashift.encoders.texts import TextEncoder
from modashift.extract.recording import Frames, Span, TimedWord

__all__ = ["face_states", "sound_states", "text_states"]

Made = tuple[Frames, list[str]]
"""Features, and what is to be said about them."""


def face_states(
    shown: Iterable[tuple[float, NDArray[np.uint8]]], encoder: PictureEncoder, finder: FaceFinder, rate: float | None
) -> Made:
    """States of the largest face in each picture.

    Pictures are taken one after the other and faces in batches: memory grows by the states alone.

    Args:
        shown: time and (height, width, 3) RGB of each picture, in order of time.
        encoder: of pictures.
        finder: of faces.
        rate: pictures a second that were asked for, None for all; it becomes part of the name.

    Returns:
        A step a picture; pictures without a face are False in the mask, with zeros for values.
    """
    columns = encoder.columns(rate)
    half = HalfPrecision(encoder.layers, encoder.source.name)
    times: list[float] = []
    found: list[int] = []
    waiting: list[NDArray[np.uint8]] = []
    parts: list[NDArray[np.float16]] = []
    for time, picture in shown:
        crop = crop_face(picture, finder, encoder.margin)
        if crop is not None:
            found.append(len(times))
            waiting.append(crop)
        times.append(float(time))
        if len(waiting) == encoder.batch:
            parts.append(half(encoder.states(waiting)))
            waiting = []
    if waiting:
        parts.append(half(encoder.states(waiting)))
    values = np.zeros((len(times), len(columns)), dtype=np.float16)
    mask = np.zeros(len(times), dtype=bool)
    for begin, part in zip(np.cumsum([0, *(len(p) for p in parts)]), parts):
        values[found[begin : begin + len(part)]] = part
    mask[found] = True
    return Frames(encoder.source.name, columns, values, np.array(times, dtype=np.float64), mask), half.notes()


def sound_states(
    sound: NDArray[np.float32],
    encoder: SpeechEncoder,
    rate: float | None,
    progress: Callable[[float], None] | None = None,
) -> Made:
    """States of a recording's sound.

    Args:
        sound: (samples,) at 16 kHz.
        encoder: of speech.
        rate: states a second, see `SpeechEncoder.states`.
        progress: is told how much is done, from 0 to 1.
    """
    columns = encoder.columns(rate)
    half = HalfPrecision(encoder.layers, encoder.source.name)
    times, parts = [np.zeros(0)], [np.zeros((0, len(columns)), dtype=np.float16)]
    for part in encoder.states(sound, rate, progress):
        times.append(part.times)
        parts.append(half(part.values))
    at, values = np.concatenate(times), np.concatenate(parts)
    return Frames(encoder.source.name, columns, values, at, np.ones(len(at), dtype=bool)), half.notes()


def text_states(words: Sequence[TimedWord], spans: Sequence[Span], encoder: TextEncoder) -> Made:
    """States of the word pieces of each utterance on its own, special tokens included.

    Args:
        words: of the recording.
        spans: its utterances; those without words have no step.
        encoder: of texts.

    Returns:
        A step a piece at the middle of its word, special tokens at the utterance's ends; `Frames.words` says of which
        word each is.
    """
    columns = encoder.columns()
    half = HalfPrecision(encoder.layers, encoder.source.name)
    values = [np.zeros((0, len(columns)), dtype=np.float16)]
    times, owners = [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
    batch = max(1, encoder.batch)
    for begin in range(0, len(spans), batch):
        group = spans[begin : begin + batch]
        found = encoder.states([[w.text for w in words[s.first : s.stop]] for s in group])
        for span, own in zip(group, found):
            if not len(own.values):
                continue
            values.append(half(own.values))
            numbers = own.words + span.first
            owners.append(np.where(own.special, ~numbers, numbers))
            times.append(_times(words, span, own.words, own.special))
    frames = Frames(
        encoder.source.name,
        columns,
        np.concatenate(values),
        np.concatenate(times),
        np.ones(sum(map(len, times)), dtype=bool),
        np.concatenate(owners),
    )
    return frames, half.notes()


def _times(
    words: Sequence[TimedWord], span: Span, own: NDArray[np.int64], special: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Middle of each piece's word within the utterance, never falling; special tokens at its ends."""
    middles = np.array([(w.start + w.end) / 2 for w in words[span.first : span.stop]])
    times = np.clip(middles[own], span.start, span.end)
    content = np.flatnonzero(~special)
    first, last = (content[0], content[-1]) if len(content) else (len(own) // 2, len(own) // 2 - 1)
    times[:first], times[last + 1 :] = span.start, span.end
    return np.asarray(np.maximum.accumulate(times))
