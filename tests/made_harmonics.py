"""Harmonic frames for the tests of what is computed from them, and a frame's harmonics step by step."""

from typing import Any

import numpy as np

from modashift.extract.covarep import harmonics
from modashift.extract.covarep.grid import interpolate, positions
from modashift.extract.covarep.harmonics import HarmonicFrames
from modashift.extract.covarep.source import analyse_source

RATE, DFT = 16_000, 4096
KEEP: dict[str, HarmonicFrames] = {}


def nearest(value: float) -> int:
    """Round, halves up."""
    return int(np.floor(value + 0.5))


def naive_frame(x: np.ndarray, f0: float, n: int) -> dict[str, Any] | None:
    """One frame as the method's description reads, harmonic by harmonic; None if it does not fit."""
    half, centre = nearest(1.5 * RATE / f0), 800 + 160 * n
    width = 2 * half + 1
    if f0 == 1 or width > DFT or centre < half or centre + half >= len(x):
        return None
    window = np.blackman(width)
    spectrum = np.fft.fft(x[centre - half : centre + half + 1] * window / window.sum(), DFT)
    spectrum = (spectrum * np.exp(2j * np.pi * np.arange(DFT) * half / DFT))[: DFT // 2 + 1]
    level = np.log(np.abs(spectrum))
    unwrapped = np.unwrap(np.angle(spectrum))
    peaks = []
    for k in range(1, DFT // 2):
        if level[k - 1] < level[k] > level[k + 1]:
            parabola = np.polyfit([-1, 0, 1], level[k - 1 : k + 2], 2)
            top = -parabola[1] / (2 * parabola[0])
            peaks.append(((k + top) * RATE / DFT, np.polyval(parabola, top)))
    places, heights = [], []
    for h in range(1, nearest((RATE / 2 - f0 / 2) / f0) + 1):
        place, height = min(peaks, key=lambda peak: abs(peak[0] - h * f0), default=(np.inf, 0.0))
        if abs(place - h * f0) >= f0 / 2:
            place, height = h * f0, level[nearest(h * f0 * DFT / RATE)]
        places.append(place)
        heights.append(height)
    phases = np.interp(np.array(places) * DFT / RATE, np.arange(DFT // 2 + 1), unwrapped)
    spacing = float(np.median(np.diff([0.0, *places])))
    count = sum(h * spacing <= RATE / 2 for h in range(1, len(places) + 1))
    return {
        "n": n,
        "f0": f0,
        "level": level,
        "amplitudes": np.exp(heights[:count]),
        "phases": np.angle(np.exp(1j * phases[:count])),
        "spacing": spacing,
        "dropped": len(places) - count,
    }


def speech_like(seconds: float = 0.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A gliding buzz in noise, and a pitch for each frame that is sometimes right and sometimes far off."""
    rng = np.random.default_rng(seed)
    samples = int(RATE * seconds)
    pitch = np.linspace(130, 260, samples)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    x = sum(np.cos(h * phase + h**2) / h for h in range(1, 40)) + 0.3 * rng.standard_normal(samples)
    frames = (samples - 1599) // 160 + 1
    f0 = np.round(pitch[800 : 800 + 160 * frames : 160])
    wrong = rng.random(frames) < 0.5
    f0[wrong] = rng.integers(50, 501, wrong.sum())
    return 0.05 * x, f0


def frames_of(
    amplitudes: np.ndarray, phases: np.ndarray, f0: float = 200.0, count: np.ndarray | None = None
) -> HarmonicFrames:
    """Frames with given harmonics, without a spectrum."""
    rows, columns = amplitudes.shape
    count = np.full(rows, columns) if count is None else count
    inside = np.arange(1, columns + 1) <= count[:, None]
    return HarmonicFrames(
        kept=np.arange(rows),
        f0=np.full(rows, f0),
        log_spectrum=np.zeros((rows, harmonics.BINS)),
        count=count,
        log_amplitudes=np.where(inside, np.log(amplitudes), 0.0),
        phases=np.where(inside, np.angle(np.exp(1j * phases)), 0.0),
        spacing=np.full(rows, f0),
        silent=np.zeros(rows, dtype=bool),
    )


def part(frames: HarmonicFrames, rows: slice) -> HarmonicFrames:
    """Some of the frames."""
    return HarmonicFrames(**{name: value[rows] for name, value in vars(frames).items()})


def golden_frames(golden: dict[str, Any]) -> HarmonicFrames:
    """Harmonic frames of a reference recording."""
    if golden["name"] not in KEEP:
        source = analyse_source(golden["signal"], window="octave")
        KEEP[golden["name"]] = harmonics.analyse(source.signal, source.pitch.f0)
    return KEEP[golden["name"]]


def on_grid(golden: dict[str, Any], frames: HarmonicFrames, values: np.ndarray, *, phase: bool = False) -> np.ndarray:
    """Tracks of harmonic frames on the grid of a reference recording; `phase` for those of the phase distortion."""
    nodes = 800 + 160.0 * frames.kept
    grid = positions(len(golden["signal"])) - phase
    return np.nan_to_num(interpolate(nodes, values, grid, circular=phase and values.shape[1] == 25))
