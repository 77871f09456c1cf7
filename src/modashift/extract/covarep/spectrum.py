"""Finely sampled spectra of short frames.

The published methods read spectra at every hertz, from frames a tenth as long as such a spectrum needs: nine tenths of
the transform's input would be zeros, and most of its output is never looked at. A frame's spectrum is band limited, so
it can be read between the bins of a short transform by a short interpolation.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from scipy.special import i0

__all__ = ["low_power"]

TAPS = 14  # bins of the short transform that one bin of the fine spectrum is read from
REFINEMENTS = (20, 10, 5)  # bins of the fine spectrum for each bin of the short transform
ROWS = 16  # frames at a time, so that their spectra stay in the processor's cache


def low_power(frames: Float[np.ndarray, "rows n"], bins: int, size: int) -> Float[np.ndarray, "rows bins"]:
    """Squared modulus of the lowest bins of a DFT of `size` points, frames padded with zeros.

    Where `size` allows, the frames are transformed by a DFT of only twice their length or more, after being divided by
    the transform of a Kaiser–Bessel kernel, with which the result is then convolved at the bins wanted (J. I. Jackson,
    C. H. Meyer, D. G. Nishimura and A. Macovski, "Selection of a convolution function for Fourier inversion using
    gridding", IEEE Transactions on Medical Imaging 10(3), 1991). The error is about 1e-13 of the largest modulus.

    Args:
        frames: one frame a row.
        bins: how many bins, from 0 on; up to `size`.
        size: length of the transform.
    """
    length = frames.shape[1]
    refinement = next((q for q in REFINEMENTS if size % (2 * q) == 0 and 2 * q * length <= size), 1)
    power = np.empty((len(frames), bins))
    for start in range(0, len(frames), ROWS):
        some = slice(start, start + ROWS)
        if bins > size // 2:
            spectrum = fft.fft(frames[some], size)[:, :bins]
            power[some] = spectrum.real**2 + spectrum.imag**2
        elif refinement == 1:
            spectrum = fft.rfft(frames[some], size)[:, :bins]
            power[some] = spectrum.real**2 + spectrum.imag**2
        else:
            power[some] = _interpolated_power(frames[some], bins, size // refinement, refinement)
    return power


def _interpolated_power(
    frames: Float[np.ndarray, "rows n"], bins: int, size: int, refinement: int
) -> Float[np.ndarray, "rows bins"]:
    """Power at every 1/`refinement` of a bin of a DFT of `size` points, at least twice the frames' length."""
    length = frames.shape[1]
    centre = length // 2
    weights, kernel = _kaiser_bessel(size, refinement)
    middle = len(weights) // 2
    weighted = frames * weights[middle - centre : middle - centre + length]
    around = np.zeros((len(frames), size))  # the frame's centre at time 0
    around[:, : length - centre] = weighted[:, centre:]
    around[:, size - centre :] = weighted[:, :centre]
    coarse = -(-bins // refinement)
    before = TAPS // 2 - 1
    half = fft.rfft(around)
    # The bins of negative frequency before bin 0, and the half spectrum continued beyond its end where it must be.
    parts = [half[:, before:0:-1].conj(), half[:, : coarse + TAPS // 2]]
    if coarse + TAPS // 2 > half.shape[1]:
        parts.append(half[:, -2 : -2 - (coarse + TAPS // 2 - half.shape[1]) : -1].conj())
    spectrum = np.concatenate(parts, 1)
    power = np.zeros((len(frames) * coarse, refinement))
    for part in (spectrum.real, spectrum.imag):
        around_bin = sliding_window_view(part, TAPS, axis=1)  # (rows, coarse, TAPS)
        power += (around_bin.reshape(-1, TAPS) @ kernel) ** 2
    return power.reshape(len(frames), -1)[:, :bins]


@lru_cache
def _kaiser_bessel(size: int, refinement: int) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "taps refinement"]]:
    """Reciprocal transform of the kernel over −size/4 … size/4 samples, and the kernel at each fraction of a bin."""
    shape = 0.98 * np.pi * TAPS * 0.75  # the best for frames of half the transform's length
    time = np.arange(-(size // 4), size // 4 + 1) / size
    root = np.sqrt(shape**2 - (np.pi * TAPS * time) ** 2)
    weights = root / (TAPS * np.sinh(root))
    distance = np.arange(refinement) / refinement - np.arange(1 - TAPS // 2, TAPS // 2 + 1)[:, None]
    kernel = i0(shape * np.sqrt(np.maximum(1 - (2 * distance / TAPS) ** 2, 0.0)))
    return weights, kernel
