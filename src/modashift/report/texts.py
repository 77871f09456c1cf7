"""Words of the utterances that runs were measured on, where their data can still be opened."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modashift.errors import ModashiftError
from modashift.evaluate.results import Run

__all__ = ["Texts", "find_texts"]


@dataclass(frozen=True)
class Texts:
    """Texts and numbers of words by id, and why there are none."""

    texts: dict[str, str] = field(default_factory=dict)
    words: dict[str, int] = field(default_factory=dict)
    missing: str = ""


def find_texts(runs: Sequence[Run], split: str) -> Texts:
    """Look the utterances up in the data that the runs name; nothing is fetched from elsewhere."""
    from modashift.data.open import PLANTED, read

    wanted = set(runs[0].scores[split].ids)
    reasons = []
    for path in sorted({str(run.config["data"]) for run in runs if run.config.get("data")}):
        if not Path(path).exists() and path not in PLANTED:
            reasons.append(f"{path} is not there")
            continue
        try:
            dataset = read(Path(path))
        except (ModashiftError, OSError) as error:
            reasons.append(str(error))
            continue
        rows = [k for k, i in enumerate(dataset.ids) if i in wanted]
        texts = {dataset.ids[k]: dataset.texts[k] or " ".join(dataset.words[k]) for k in rows}
        if len(rows) == len(wanted) and any(texts.values()):
            words = {dataset.ids[k]: len(dataset.words[k]) or len(dataset.texts[k].split()) for k in rows}
            return Texts(texts, words)
        reasons.append(f"{path} has no words" if len(rows) == len(wanted) else f"{path} lacks utterances of these runs")
    return Texts(missing="; ".join(reasons) or "the runs do not say what data they were trained on")
