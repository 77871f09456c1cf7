"""The 74 COVAREP acoustic features of speech, every 10 ms: one module a family, each readable beside its papers.

``pitch`` (F0, VUV), ``closure`` (instants of glottal closure), ``flow`` (inverse filtering), ``glottal`` (NAQ, QOQ,
H1H2, PSP), ``wavelet`` (MDQ, peakSlope), ``harmonics`` and on it ``lf`` (Rd), ``envelope`` (MCEP) and ``phase`` (HMPDM,
HMPDD). ``assemble`` puts them together.
"""

from modashift.extract.covarep.assemble import Features, covarep
from modashift.extract.covarep.grid import NAMES

__all__ = ["NAMES", "Features", "covarep"]
