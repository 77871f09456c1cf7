"""Made answers of the engine, and an engine that gives them: for the page, without a model."""

import io
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modashift.app.facts import ModelFacts
from modashift.app.files import PrivateFiles
from modashift.app.jobs import Answer, ClassAnswer, Job, Refused
from modashift.app.limits import Limits, check_recording, check_utterances
from modashift.serve.illustrate import Illustration, Thumbnail
from modashift.serve.result import (
    ClipResult,
    Interval,
    ModalityResult,
    ModelInfo,
    ShiftMap,
    UtteranceResult,
    WordResult,
)
from modashift.serve.timeline import timeline

SAID = "I really did not like this movie but the ending was lovely"
INFO = ModelInfo("CMSBERT", "cmsbert", ("made",), "made data", ("visual", "acoustic"), "The range was made up.")


def made_result(
    sentences: Sequence[str] = (SAID,), words_from: str = "recognised", every: float = 0.3, notes: Sequence[str] = ()
) -> ClipResult:
    """A result with effects and maps: word k of an utterance is moved most by moment k + 1 of the face."""
    rng = np.random.default_rng(len(sentences))
    utterances, at = [], 0.2
    typed = words_from == "typed"
    for number, sentence in enumerate(sentences):
        said = sentence.split()
        times = [
            (float(k), k + 1.0) if typed else (at + every * k, at + every * k + 0.9 * every) for k in range(len(said))
        ]
        words = tuple(
            WordResult(w, a, b, 0.9, True, float(rng.normal() / 2), None if typed else 0.1 * (k + 1), 0.1)
            for k, (w, (a, b)) in enumerate(zip(said, times))
        )
        face = np.full((len(said), len(said)), 0.1)
        for k in range(len(said)):
            face[k, (k + 1) % len(said)] = 1.0
        maps = () if typed else tuple(ShiftMap(m, np.array(times), face) for m in ("visual", "acoustic"))
        score = float(np.clip(2.5 * np.sin(number + 1), -3, 3))
        parts = (
            ModalityResult("linguistic", True, 0.9, 1.0),
            ModalityResult("visual", not typed, None if typed else 0.3, 0.93, "a text has no face" if typed else ""),
            ModalityResult(
                "acoustic", not typed, None if typed else -0.12, 1.0, "a text has no voice" if typed else ""
            ),
        )
        range_ = Interval(score - 1, score + 1, 0.8, 1.0, 229, "made data")
        start, end = times[0][0], times[-1][1]
        utterances.append(
            UtteranceResult(f"c_{number}", start, end, sentence, score, (score,), range_, words, parts, maps, 0.2)
        )
        at = end + 0.5
    return ClipResult(
        "clip",
        "clip.mp4",
        "ab" * 32,
        at,
        words_from,
        {} if typed else {"visual": "face", "acoustic": "covarep"},
        INFO,
        tuple(utterances),
        timeline(utterances),
        tuple(notes),
    )


def made_seen(seconds: float) -> Illustration:
    """Eight pictures and a sound."""
    from PIL import Image

    pictures = []
    for k in range(8):
        file = io.BytesIO()
        Image.new("RGB", (88, 66), (30 * k, 80, 120)).save(file, "JPEG")
        pictures.append(Thumbnail(k * seconds / 8, file.getvalue(), 88, 66))
    wave = np.abs(np.sin(np.linspace(0, 60, 400)))
    return Illustration(tuple(pictures), -wave, wave)


class MadeEngine:
    """An engine without models.

    Args:
        classes: of the model it stands for; scores where there are none.
        limits: that are checked as by the real one.
        slow: seconds of each stage.

    Attributes:
        sentences: of the recordings that are answered.
        asked: what was handed in: kind, and text or transcript.
    """

    def __init__(self, classes: Sequence[str] = (), limits: Limits | None = None, slow: float = 0.02) -> None:
        self.limits, self.slow = limits or Limits(), slow
        self.files = PrivateFiles()
        why = "it tells classes apart" if classes else ""
        sets = {"visual": "face", "acoustic": "covarep"}
        self.facts = ModelFacts(INFO, ("visual", "acoustic"), {}, {}, {}, sets, {}, tuple(classes), 50, why)
        self.sentences: Sequence[str] = (SAID,)
        self.asked: list[tuple[str, Any]] = []
        self.gone: list[str] = []
        self.called_off = 0

    def submit_recording(self, session: str, path: Path, name: str, transcript: str | None = None, **_: Any) -> Job:
        """Scored as `sentences`, or as the transcript, a line an utterance."""
        try:
            check_recording(path, name, self.limits)
        except Refused:
            self.files.remove(path.parent)
            raise
        return self._job(session, "recording", transcript)

    def rescore(self, session: str, recording: str, transcript: str, **_: Any) -> Job:
        """Scored as the transcript."""
        assert recording == "kept"
        return self._job(session, "rescore", transcript)

    def submit_texts(self, session: str, utterances: Sequence[Any], *, explain: bool = False) -> Job:
        """Scored word by word, or by class."""
        check_utterances(utterances, self.limits)
        return self._job(session, "texts", " ".join(utterances[0].words))

    def forget(self, session: str) -> None:
        """Note who left."""
        self.gone.append(session)
        self.files.forget(session)

    def close(self) -> None:
        """Delete the files."""
        self.files.close()

    def _job(self, session: str, kind: str, said: str | None) -> Job:
        self.asked.append((kind, said))
        job = Job(session, kind, ())
        threading.Thread(target=self._work, args=(job, kind, said), daemon=True).start()
        return job

    def _work(self, job: Job, kind: str, said: str | None) -> None:
        from modashift.app.jobs import JobError

        stages = ["scores"] if kind == "texts" else ["words", "acoustic", "face", "pictures", "scores"]
        job.begin(stages[0])
        for stage in stages:
            for done in (0.0, 0.5):
                job.tell(stage, done)
                time.sleep(self.slow / 2)
                if job.stop_reason:
                    self.called_off += 1
                    job.fail(JobError(job.stop_reason, "it was called off"))
                    return
        if kind != "texts":
            result = made_result(said.splitlines() if said else self.sentences)
            job.finish(Answer(result, made_seen(result.duration), "kept"))
        elif self.facts.classes:
            shares = {
                name: 0.7 if k == 1 else 0.3 / (len(self.facts.classes) - 1)
                for k, name in enumerate(self.facts.classes)
            }
            answer = ClassAnswer(str(said), self.facts.classes[1], shares)
            empty = made_result((), "typed")
            job.finish(Answer(empty, classes=(answer,)))
        else:
            job.finish(Answer(made_result([str(said)], "typed")))
