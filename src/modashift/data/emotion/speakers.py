"""Features relative to a speaker's own: what is loud or high for him, rather than loud or high."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modashift.data.dataset import Dataset, Feature
from modashift.errors import DataError

__all__ = ["standardise_speakers"]

FEWEST = 2  # recordings of a speaker


def standardise_speakers(dataset: Dataset, speakers: Sequence[str] | None = None) -> Dataset:
    """Bring visual and acoustic features of each speaker to mean 0 and deviation 1, column by column.

    Means and deviations are taken over all steps of all recordings of the speaker, whatever their split and without
    looking at their classes: it is unsupervised, but it needs several recordings of a speaker before anything can be
    said about one of them, and it cannot be used on a single recording of a stranger. Word vectors and other linguistic
    features stay as they are; a column that is constant for a speaker becomes 0.

    Args:
        dataset: to standardise; it is not changed.
        speakers: (n,) who speaks; the groups of the data set where not given.

    Returns:
        The data set, with a note in its provenance.

    Raises:
        DataError: a speaker has one recording only with some modality, of which nothing would be left.
    """
    names = np.array(list(dataset.groups if speakers is None else speakers), dtype=str)
    if names.shape != (len(dataset),):
        raise DataError(f"{dataset.name}: {len(dataset)} recordings but {len(names)} speakers")
    features = {
        modality: feature if modality == "linguistic" else _standardised(dataset, modality, feature, names)
        for modality, feature in dataset.features.items()
    }
    said = "visual and acoustic features are standardised by each speaker's own mean and deviation over all recordings"
    notes = [*dataset.provenance.get("notes", ()), said]
    return replace(dataset, features=features, provenance={**dataset.provenance, "notes": notes})


def _standardised(dataset: Dataset, modality: str, feature: Feature, names: NDArray[np.str_]) -> Feature:
    of_step = np.repeat(names, feature.lengths)  # speaker of each step
    values = np.array(feature.values, dtype=np.float64)
    for name in np.unique(of_step):
        rows = of_step == name
        recordings = int(((names == name) & (feature.lengths > 0)).sum())
        if recordings < FEWEST:
            raise DataError(
                f"{dataset.name}: {name} has {recordings} recording with {modality} features; standardising by speaker "
                "needs several of each speaker"
            )
        own = values[rows]
        mean, deviation = own.mean(0), own.std(0)
        constant = deviation <= 1e-9 * np.maximum(1.0, np.abs(mean))
        values[rows] = np.where(constant, 0.0, (own - mean) / np.where(constant, 1.0, deviation))
    return replace(feature, values=values.astype(np.float32))
