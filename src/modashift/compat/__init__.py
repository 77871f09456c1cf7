"""For people coming from MMSA: the call and the command they know, run by modashift.

``MMSA_run`` takes MMSA's arguments, reads its pickles and writes its table of results. What is not as there: the
checkpoint and the tuned parameters are chosen on the validation split alone, padding is masked out, and every seed
leaves a run folder that ``modashift.load`` reads.
"""

from modashift.compat.mmsa import MODELS, MMSA_run

__all__ = ["MODELS", "MMSA_run"]
