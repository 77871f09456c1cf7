"""Features from recordings.

``modashift.extract.covarep`` is the function; the modules behind it are imported as
``from modashift.extract.covarep import pitch``.
"""

from modashift.extract.covarep.assemble import Features, covarep

__all__ = ["Features", "covarep"]
