"""Faces cut out, half precision, and states of a recording as features with times and masks."""

from types import SimpleNamespace

import numpy as np
import pytest

from made_clips import clip
from made_encoders import save_encoder
from modashift.encoders.faces import SIDE, crop_face, square
from modashift.encoders.half import HalfPrecision
from modashift.encoders.load import load_encoder
from modashift.encoders.states import face_states, sound_states, text_states
from modashift.errors import DataError
from modashift.extract.clip_file import read_clip, write_clip
from modashift.extract.dataset import clips_dataset
from modashift.extract.recording import Span, TimedWord


class Finder:
    """Finds faces where it is told: boxes in pixels by the red of the picture's first pixel."""

    def __init__(self, boxes):
        self.boxes = boxes

    def faces(self, picture):
        height, width = picture.shape[:2]
        found = []
        for left, top, right, bottom in self.boxes.get(int(picture[0, 0, 0]), ()):
            points = np.zeros((478, 3), np.float32)
            points[:, 0] = np.linspace(left, right, 478) / width
            points[:, 1] = np.linspace(top, bottom, 478) / height
            found.append(SimpleNamespace(landmarks=points))
        return found


def picture(first, height=120, width=160):
    rgb = np.random.default_rng(first).integers(0, 256, (height, width, 3), dtype=np.uint8)
    rgb[0, 0, 0] = first
    return rgb


def test_boxes_become_squares_about_their_middle():
    assert square(np.array([10.0, 20.0, 50.0, 100.0])) == (-10, 20, 80)
    assert square(np.array([10.0, 20.0, 50.0, 100.0]), 0.25) == (-30, 0, 120)
    assert square(np.array([10.0, 20.0, 10.0, 20.0])) == (10, 20, 1)


def test_the_largest_face_is_cut_out_and_edges_are_repeated():
    rgb = picture(1)
    rgb[30:70, 40:80] = (200, 10, 10)
    rgb[80:90, 100:110] = (10, 200, 10)
    finder = Finder({1: [(100, 80, 109, 89), (40, 30, 79, 69)]})
    crop = crop_face(rgb, finder)
    assert crop.shape == (SIDE, SIDE, 3)
    assert crop.dtype == np.uint8
    assert (crop[4:-4, 4:-4] == (200, 10, 10)).all()  # the larger one, whole
    corner = crop_face(picture(2), Finder({2: [(-40, -40, 39, 39)]}))
    assert (corner[:100, :100] == picture(2)[0, 0]).all()  # beyond the edge
    assert crop_face(picture(3), finder) is None


@pytest.fixture(scope="module")
def vision(tmp_path_factory):
    return load_encoder(str(save_encoder("clip", tmp_path_factory.mktemp("m") / "clip")), "visual", "1,3")


def test_pictures_without_a_face_are_masked(vision):
    finder = Finder({k: [(10, 10, 100, 90)] for k in (1, 2, 4, 5)})
    shown = [(k / 3, picture(k)) for k in range(7)]
    frames, notes = face_states(shown, vision, finder, 3.0)
    assert notes == []
    assert frames.values.dtype == np.float16
    assert frames.values.shape == (7, 2 * 16)
    assert frames.mask.tolist() == [False, True, True, False, True, True, False]
    np.testing.assert_allclose(frames.times, np.arange(7) / 3)
    assert (frames.values[~frames.mask] == 0).all()
    for k in (1, 5):
        alone = vision.states([crop_face(picture(k), finder)])
        np.testing.assert_allclose(frames.values[k], alone.reshape(-1), atol=2e-2, rtol=2e-3)
    assert frames.columns.encoder == f"{vision.source.name}#{vision.source.mark}"
    assert frames.columns.layers == (1, 3)
    assert face_states(shown, vision, finder, 8.0)[0].columns.encoder.endswith("@8")
    nothing, _ = face_states([(0.0, picture(0))], vision, finder, 3.0)
    assert not nothing.mask.any()


def test_batches_of_faces_are_the_faces_one_by_one(vision, monkeypatch):
    finder = Finder({k: [(10, 10, 100, 90)] for k in range(9) if k != 4})
    shown = [(k / 3, picture(k)) for k in range(9)]
    together, _ = face_states(shown, vision, finder, 3.0)
    monkeypatch.setattr(type(vision), "batch", property(lambda _: 3))
    threes, _ = face_states(shown, vision, finder, 3.0)
    monkeypatch.setattr(type(vision), "batch", property(lambda _: 1))
    single, _ = face_states(shown, vision, finder, 3.0)
    for other in (threes, single):
        np.testing.assert_allclose(other.values, together.values, atol=2e-2, rtol=2e-3)
        assert np.array_equal(other.mask, together.mask)


def test_an_encoder_may_want_more_of_the_picture_than_the_face(vision, monkeypatch):
    seen = []
    monkeypatch.setattr(type(vision), "states", lambda self, crops: seen.extend(crops) or np.zeros((len(crops), 2, 16)))
    monkeypatch.setattr(vision, "margin", 0.25)
    finder = Finder({1: [(40, 30, 79, 69)]})
    face_states([(0.0, picture(1))], vision, finder, 3.0)
    assert np.array_equal(seen[0], crop_face(picture(1), finder, 0.25))
    assert not np.array_equal(seen[0], crop_face(picture(1), finder))


def test_the_packaged_network_of_faces_is_shown_its_margin():
    encoder = load_encoder("mediapipe-face", "visual", "0,19")
    assert encoder.margin == 0.25
    found = encoder.states([crop_face(picture(1), Finder({1: [(40, 30, 79, 69)]}), encoder.margin)])
    assert found.shape == (1, 2, 128)
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 0


def test_values_beyond_half_precision_are_clipped_and_told():
    half = HalfPrecision((3, 7), "x")
    states = np.ones((2, 2, 4), np.float32)
    states[0, 1, :3] = [7e4, -np.inf, 65504]
    states[1, 0, 0] = 65510  # rounds to the largest
    kept = half(states)
    assert kept.dtype == np.float16
    assert np.isfinite(kept).all()
    assert kept[0].tolist() == [1, 1, 1, 1, 65504, -65504, 65504, 1]
    assert half.clipped == {3: 1, 7: 2}
    assert half.notes()[0].startswith("x: 3 values beyond ±65504")
    assert "(layers 3, 7)" in half.notes()[0]
    assert HalfPrecision((1,), "x").notes() == []
    with pytest.raises(DataError, match="not numbers"):
        half(np.full((1, 2, 4), np.nan, np.float32))


def test_states_of_sound_are_noted_when_they_are_clipped(tmp_path):
    encoder = load_encoder(str(save_encoder("wavlm-large", tmp_path / "m")), "acoustic", "1,3")
    with_bias = encoder._model.encoder.layers[2].feed_forward.output_dense.bias
    with_bias.data[0] = 1e6  # only layer 3 is after it
    frames, notes = sound_states(np.random.default_rng(0).normal(size=8_000).astype(np.float32), encoder, 5.0)
    assert np.isfinite(frames.values).all()
    assert frames.mask.all()
    assert "were set to it (layers 3)" in notes[0]
    assert len(frames.times) == 3


WORDS = tuple(TimedWord(w, k * 0.5, k * 0.5 + 0.4, 0.9) for k, w in enumerate("the goood film was really bad".split()))
SPANS = (Span(0.0, 1.5, 0, 3), Span(1.5, 1.6, 3, 3), Span(1.5, 3.0, 3, 6))


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return load_encoder(str(save_encoder("bert", tmp_path_factory.mktemp("m") / "bert")), "linguistic", "0,3")


def test_pieces_stand_at_their_words_and_specials_at_the_utterances_ends(bert):
    frames, notes = text_states(WORDS, SPANS, bert)
    assert notes == []
    pieces = ["CLS", "the", "g", "o", "o", "o", "d", "film", "SEP", "CLS", "was", "really", "bad", "SEP"]
    assert len(frames.values) == len(pieces)
    assert frames.words.tolist() == [~0, 0, 1, 1, 1, 1, 1, 2, ~2, ~3, 3, 4, 5, ~5]
    middles = [0, 0.2, *[0.7] * 5, 1.2, 1.5, 1.5, 1.7, 2.2, 2.7, 3.0]
    np.testing.assert_allclose(frames.times, middles)
    alone = bert.states([[w.text for w in WORDS[3:6]]])[0].values
    np.testing.assert_allclose(frames.values[9:], alone.reshape(5, -1), atol=1e-2)


@pytest.mark.parametrize("alignment", ["frame", "word"])
def test_a_data_set_keeps_half_precision_and_layers(bert, alignment, tmp_path):
    pieces, _ = text_states(WORDS, SPANS, bert)
    made = clip("a")
    rng = np.random.default_rng(0)
    columns = pieces.columns
    sound = made.features["acoustic"]
    own = type(sound)(
        "w",
        type(columns)("w", (1, 2), 3),
        rng.normal(size=(6, 6)).astype(np.float16),
        np.arange(6) / 2 + 0.1,
        np.array([1, 1, 0, 0, 1, 1], bool),
    )
    made = type(made)(
        **{**vars(made), "words": WORDS, "spans": SPANS, "features": {"acoustic": own, "linguistic": pieces}}
    )
    write_clip(tmp_path / "c", made, {}, {})
    stored = read_clip(tmp_path / "c").clip
    assert np.array_equal(stored.features["linguistic"].words, pieces.words)
    assert stored.features["acoustic"].words is None
    found = clips_dataset([stored], alignment=alignment, scratch=tmp_path)
    text, voice = found.features["linguistic"], found.features["acoustic"]
    assert text.alignment == "frame"  # pieces are no words
    assert text.lengths.tolist() == [9, 0, 5]
    assert np.array_equal(text[2], pieces.values[9:])
    assert text.columns == pieces.columns
    assert voice.alignment == alignment
    assert voice.values.dtype == text.values.dtype == np.float16
    assert voice.columns == own.columns
    if alignment == "frame":
        assert np.array_equal(voice[0], own.values[:2])
        assert np.array_equal(voice[2], own.values[4:])
    else:
        assert voice.lengths.tolist() == [3, 0, 3]
        assert np.array_equal(voice[0][:2], own.values[:2])
        assert np.array_equal(voice[2][:2], own.values[[4, 4]])  # 0.2 s from the fourth word, within the fifth
        # The third word's own state is not valid, and the valid ones are more than 0.25 s away.
        np.testing.assert_allclose(voice[0][2], own.values[:2].astype(float).mean(0), atol=1e-3)
        assert (
            found.provenance["notes"]
            == [
                "acoustic: 1 of 6 words had no valid frame and stand at the mean of their utterance's other words",
                "1 utterances without words have no features either; alignment frame keeps them",
            ][::-1]
        )


def test_a_word_between_two_states_takes_the_nearest():
    made = clip("a", words=2)
    columns = type(load_columns())("w", (1,), 2)
    own = type(made.features["visual"])(
        "w", columns, np.arange(8, dtype=np.float16).reshape(4, 2), np.arange(4) / 3, np.ones(4, bool)
    )
    words = (TimedWord("a", 0.10, 0.15), TimedWord("b", 0.36, 0.5))  # the nearest states stand at 0 and 1/3
    made = type(made)(**{**vars(made), "words": words, "spans": (Span(0, 1, 0, 2),), "features": {"visual": own}})
    found = clips_dataset([made]).features["visual"][0]
    assert np.array_equal(found, own.values[:2])


def load_columns():
    from modashift.data.states import StateColumns

    return StateColumns("x", (1,), 1)


def test_statistics_of_states_stand_within_their_layers():
    from modashift.data.states import StateColumns, choose_layers
    from modashift.serve.needs import frame_columns

    made = clip("a", words=2)
    rng = np.random.default_rng(1)
    values = rng.normal(size=(20, 2 * 3)).astype(np.float16)
    columns = StateColumns("/models/w:x#01234567@10", (4, 9), 3)
    own = type(made.features["visual"])("w", columns, values, np.arange(20) / 20, np.ones(20, bool))
    made = type(made)(**{**vars(made), "features": {"acoustic": own}})
    found = clips_dataset([made], statistics=("mean", "sd"))
    feature = found.features["acoustic"]
    assert feature.columns == StateColumns("/models/w:x#01234567@10:mean+sd", (4, 9), 6)
    assert frame_columns(feature.columns) == (columns, ("mean", "sd"))
    inside = values[:8].astype(np.float64)  # the first word lasts to 0.4 s
    later = choose_layers(found, {"acoustic": 9}).features["acoustic"]
    expected = np.concatenate([inside[:, 3:].mean(0), inside[:, 3:].std(0)])
    np.testing.assert_allclose(later[0][0], expected, atol=2e-3)


def test_memory_holds_one_recording_while_a_store_is_made(tmp_path, monkeypatch):
    import tracemalloc

    monkeypatch.setattr("modashift.data.validate.CHUNK", 1 << 20)  # of values that are checked at a time

    from modashift.data.states import StateColumns
    from modashift.data.store import open_store, write_store

    base, columns = clip("a", words=2), StateColumns("w", tuple(range(1, 25)), 256)
    own = type(base.features["visual"])

    def recordings(count):
        for k in range(count):
            values = np.full((100, 24 * 256), k / 10, np.float16)  # 1.2 MB
            frames = own("w", columns, values, np.arange(100) / 100, np.ones(100, bool))
            yield type(base)(**{**vars(base), "name": f"c{k}", "features": {"acoustic": frames}})

    def peak(count):
        folder = tmp_path / str(count)
        folder.mkdir()
        tracemalloc.start()
        write_store(clips_dataset(recordings(count), alignment="frame", scratch=folder), folder / "x.store")
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        stored = open_store(folder / "x.store").features["acoustic"]
        assert stored.values.nbytes == count * stored.values.nbytes // count > count * 1e6
        assert stored[2 * count - 2][0, 0] == np.float16((count - 1) / 10)
        return found

    assert peak(40) < 1.2 * peak(20)  # 20 recordings more are 24 MB more


def test_lower_precision_is_near_and_says_nothing_of_the_device(vision):
    from modashift.encoders.base import Settings

    crops = [picture(k, 256, 256) for k in range(3)]
    rough = load_encoder(vision.source.name, "visual", "1,3", Settings("cpu", "bf16"))
    exact, near = vision.states(crops), rough.states(crops)
    assert near.dtype == np.float32
    assert not np.array_equal(exact, near)
    np.testing.assert_allclose(near, exact, atol=0.1 * np.abs(exact).max())
    assert load_encoder(vision.source.name, "visual", [3, 1]) is vision  # loaded once a process
