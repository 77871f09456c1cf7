"""Units and meanings of the 74 COVAREP columns; `modashift.extract.covarep` computes them."""

from modashift.extract.covarep.grid import NAMES
from modashift.extract.sets import Column, FeatureSet

__all__ = ["COLUMNS", "COVAREP"]

_VOICE = {
    "F0": ("Hz", "pitch, also in unvoiced frames; 1 means none (0 in repaired mode)"),
    "VUV": ("0, 1", "1 where the frame is voiced"),
    "NAQ": ("–", "normalised amplitude quotient of the glottal flow; small for a pressed voice"),
    "QOQ": ("0…1", "quasi-open quotient: share of the period in which the glottal flow is above half its height"),
    "H1H2": ("dB", "first minus second harmonic of the glottal flow derivative; large for a breathy voice"),
    "PSP": ("–", "parabolic spectral parameter: curvature of the glottal flow's spectrum at its lower end"),
    "MDQ": ("share of a period", "distance of wavelet maxima from the glottal closure; large for a breathy voice"),
    "peakSlope": ("log10 an octave", "slope of the peaks over octave bands; −∞ beside digital silence"),
    "Rd": ("0.3…2.5", "shape of the LF glottal pulse, from pressed to breathy"),
    "Rd_conf": ("0…1", "how far the phases of the harmonics confirm Rd"),
    "creak": ("0", "probability of creaky voice in the original; always 0 here, see docs/covarep.md"),
}


def _spectral(name: str) -> tuple[str, str]:
    family, _, index = name.partition("_")
    if family == "MCEP":
        return "ln amplitude", f"coefficient {index} of the mel cepstrum of the True Envelope"
    if family == "HMPDM":
        return "rad", f"mean phase distortion, band {index} of 0 to 24 from low to high frequencies"
    return "ln rad", f"coefficient {index} of the cepstrum of the phase distortion's deviation"


COLUMNS: tuple[Column, ...] = tuple(Column(name, *(_VOICE.get(name) or _spectral(name))) for name in NAMES)

COVAREP = FeatureSet(
    name="covarep",
    modality="acoustic",
    columns=COLUMNS,
    rate=100.0,
    source="this package, after COVAREP (Degottex et al., ICASSP 2014)",
    needs="",
)
