"""Small folders in the corpora's layouts, made by hand: none of it is real data."""

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

WriteSound = Callable[[Path, float], None]


@pytest.fixture
def write_sound() -> WriteSound:
    """Function that writes a vowel-like sound of some seconds at 16 kHz."""

    def write(path: Path, seconds: float = 0.5, pitch: float = 120.0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(int(16000 * seconds)) / 16000
        signal = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 20))
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes((8000 * signal / np.abs(signal).max()).astype("<i2").tobytes())

    return write


TURNS = {
    "Session1": {
        "Ses01F_impro01": [
            ("F000", "neu", "Excuse me."),
            ("M000", "fru", "Do you have your forms?"),
            ("F001", "xxx", "Yeah."),
            ("F002", "exc", "[LAUGHTER] We're going -- to Rome!"),
            ("M001", "hap", "Oh, the best."),
        ],
        "Ses01M_script01_1b": [("FXX0", "ang", "No."), ("M000", "sur", "What?"), ("M001", "sad", "I see.")],
    },
    "Session2": {"Ses02M_impro02": [("F000", "sad", "She left."), ("M000", "ang", "Get out!"), ("M001", "oth", "Hm.")]},
}
"""Dialogues by session: turn, majority label, transcript."""

ALIGNED = {
    "Ses01F_impro01_F000": ["0 10 -1 <s>", "11 40 -99 EXCUSE", "41 60 -7 ME(2)", "61 80 -2 </s>"],
    "Ses01F_impro01_F002": [
        "0 9 -1 <s>", "10 19 -1 ++LAUGHTER++", "20 39 -1 WE'RE", "40 49 -1 <sil>", "50 69 -1 GOING",
        "90 129 -1 ROME", "130 140 -1 </s>",
    ],
    "Ses01F_impro01_M001": [
        "0 5 -1 <s>", "odd", "6 9 x OH extra words", "6 9 -1 OH", "10 20 -1 THE", "21 40 -1 BEST",
    ],
    "Ses01M_script01_1b_FXX0": ["0 20 -1 <s>", "21 50 -1 NO(3)", "51 55 -1 </s>"],
    "Ses02M_impro02_F000": ["0 20 -1 <s>", "21 50 -1 SHE", "51 80 -1 LEFT"],
}  # fmt: skip


@pytest.fixture
def iemocap(tmp_path: Path, write_sound: WriteSound) -> Path:
    """A folder like IEMOCAP_full_release with two sessions, odd lines and turns without alignment included."""
    root = tmp_path / "IEMOCAP_full_release"
    for session, dialogues in TURNS.items():
        base = root / session
        for dialogue, turns in dialogues.items():
            labels = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
            spoken = ["A line without a name", "F: [BREATHING]"]
            for number, (turn, code, text) in enumerate(turns):
                name = f"{dialogue}_{turn}"
                start, end = 6.2901 + number, 7.1 + number
                labels += [f"[{start:.4f} - {end:.4f}]\t{name}\t{code}\t[2.5000, 2.5000, 2.5000]"]
                labels += ["C-E2:\tNeutral;\t()", "C-F1:\tAnger; Happiness;\t(ang hap)", "A-E3:\tval 3; act 2;\t()", ""]
                spoken.append(f"{name} [{start:08.4f}-{end:08.4f}]: {text}")
                write_sound(base / "sentences" / "wav" / dialogue / f"{name}.wav", 1.5)
                if name in ALIGNED:
                    path = base / "sentences" / "ForcedAlignment" / dialogue / f"{name}.wdseg"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    lines = [
                        "\t SFrm  EFrm    SegAScr Word",
                        *("\t" + line.replace(" ", "\t") for line in ALIGNED[name]),
                    ]
                    path.write_text("\n".join([*lines, "Total score:   -12345"]) + "\n", encoding="utf-8")
            evaluation, transcription = base / "dialog" / "EmoEvaluation", base / "dialog" / "transcriptions"
            for folder, lines in ((evaluation, labels), (transcription, spoken)):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{dialogue}.txt").write_text("\n".join(lines) + "\n", encoding="latin-1")
                (folder / f"._{dialogue}.txt").write_bytes(b"\x00\x05\x16\x07 [1.0 - 2.0]\tSes09F_x_F000\tneu")
            deeper = evaluation / "Categorical"
            deeper.mkdir(exist_ok=True)
            (deeper / f"{dialogue}_e2_cat.txt").write_text(f"{dialogue}_F000 :Anger; ()\n", encoding="utf-8")
    return root
