"""Windows over long sequences take every step once; states of speech and texts are the same however they are cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_encoders import random_model, save_encoder
from modashift.encoders import speech
from modashift.encoders.load import load_encoder
from modashift.encoders.windows import windows

RNG = np.random.default_rng(3)


@given(st.integers(0, 400), st.integers(2, 60), st.data())
def test_every_step_is_taken_once_and_far_from_an_edge(count, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    found = windows(count, size, overlap)
    taken = [step for w in found for step in range(w.first, w.last)]
    assert taken == list(range(count))
    for w in found:
        assert 0 <= w.start <= w.first <= w.last <= w.stop <= count
        assert w.stop - w.start <= size
        assert w.start == 0 or w.first - w.start == overlap - overlap // 2
        assert w.stop == count or w.stop - w.last == overlap // 2
    assert len(found) == bool(count) or count > size


def test_windows_that_would_not_advance_are_refused():
    with pytest.raises(ValueError, match="cannot share 5"):
        windows(10, 5, 5)


def all_of(encoder, sound, rate=None):
    parts = list(encoder.states(sound, rate))
    times = np.concatenate([p.times for p in parts])
    return times, np.concatenate([p.values for p in parts]), parts


@pytest.fixture(scope="module")
def wavlm(tmp_path_factory):
    return str(save_encoder("wavlm-large", tmp_path_factory.mktemp("m") / "wavlm"))


@pytest.fixture
def short_windows(monkeypatch):
    """Windows of 0.5 s that share 0.2 s, in place of 30 s and 4 s."""
    monkeypatch.setattr(speech, "WINDOW", 0.5)
    monkeypatch.setattr(speech, "OVERLAP", 0.2)


def test_one_in_ten_states_is_the_paper_s_rate(wavlm):
    sound = RNG.normal(size=16_000).astype(np.float32)
    encoder = load_encoder(wavlm, "acoustic")
    assert [encoder.every(r) for r in (5.0, 10.0, 3.0, 7.0, 50.0, 80.0, None)] == [10, 5, 17, 7, 1, 1, 1]
    times, every, _ = all_of(encoder, sound)
    thinned_times, thinned, _ = all_of(encoder, sound, 5.0)
    assert len(times) == 49
    np.testing.assert_array_equal(thinned_times, times[::10])
    np.testing.assert_array_equal(thinned, every[::10])


def test_a_long_recording_is_heard_in_windows(wavlm, short_windows):
    from modashift.encoders.base import Settings
    from modashift.encoders.sources import find
    from modashift.encoders.speech import SpeechEncoder

    sound = RNG.normal(size=27_000).astype(np.float32)
    encoder = SpeechEncoder(find(wavlm, "acoustic"), (1, 3), Settings())
    done = []
    parts = list(encoder.states(sound, progress=done.append))
    times = np.concatenate([p.times for p in parts])
    assert len(parts) == 6
    assert done == sorted(done)
    assert done[-1] == 1.0
    np.testing.assert_allclose(times, (np.arange(84) * 320 + 200) / 16_000)
    # A window is what transformers makes of its samples alone, once the whole recording is normalised.
    model, prepare = random_model("wavlm-large")
    ready = prepare(sound, sampling_rate=16_000, return_tensors="pt")["input_values"]
    start = 14 * 320  # the second window: 24 states of which 10 are shared with each neighbour
    hidden = model(ready[:, start : start + 8_000], output_hidden_states=True).hidden_states[1][0]
    np.testing.assert_allclose(parts[1].times, times[19:33])
    np.testing.assert_allclose(parts[1].values[:, 0], hidden[5:19].detach(), atol=2e-5, rtol=1e-4)
    # Away from the edges of windows the states are about those of the whole; thinning takes the same grid.
    thinned = np.concatenate([p.values for p in encoder.states(sound, 5.0)])
    np.testing.assert_allclose(thinned, np.concatenate([p.values for p in parts])[::10], atol=1e-6)


def test_windows_together_are_the_windows_one_by_one(wavlm, short_windows, monkeypatch):
    from modashift.encoders.base import Settings
    from modashift.encoders.sources import find
    from modashift.encoders.speech import SpeechEncoder

    sound = RNG.normal(size=31_000).astype(np.float32)
    encoder = SpeechEncoder(find(wavlm, "acoustic"), (0, 1, 2, 3), Settings())
    _, alone, _ = all_of(encoder, sound)
    monkeypatch.setattr(SpeechEncoder, "batch", property(lambda _: 4))
    _, together, parts = all_of(encoder, sound)
    assert len(parts) == 7
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_whisper_hears_its_own_window_and_its_silence_is_cut_off(tmp_path):
    encoder = load_encoder(str(save_encoder("whisper", tmp_path / "m")), "acoustic", "1,3")  # hears 1 s at a time
    sound = (0.1 * RNG.normal(size=36_100)).astype(np.float32)
    times, values, parts = all_of(encoder, sound)
    assert len(times) == 113  # ⌈36100 / 320⌉
    np.testing.assert_allclose(times, 0.02 * np.arange(113))
    model, prepare = random_model("whisper")
    last = parts[-1]
    start = (
        round(16_000 * last.times[0]) // 320 - 13
    )  # the last window begins half of the 25 states it shares before it
    ready = prepare(sound[start * 320 :][:16_000], sampling_rate=16_000, return_tensors="pt", max_length=16_000)
    hidden = model.encoder(**ready, output_hidden_states=True).hidden_states[1][0].detach()
    kept = slice(13, 13 + len(last.times))
    np.testing.assert_allclose(last.values[:, 0], hidden[kept], atol=2e-5, rtol=1e-4)
    rate, thinned, _ = all_of(encoder, sound, 5.0)
    np.testing.assert_allclose(rate, times[::10])
    np.testing.assert_allclose(thinned, values[::10], atol=1e-6)


@pytest.mark.parametrize("samples", [0, 1, 399])
def test_sound_too_short_for_a_state_has_none(wavlm, samples):
    assert list(load_encoder(wavlm, "acoustic").states(np.zeros(samples, np.float32), 5.0)) == []


def test_other_sample_rates_are_refused(tmp_path):
    from modashift.errors import ModashiftError

    folder = save_encoder("hubert", tmp_path / "m")
    settings = (folder / "preprocessor_config.json").read_text().replace("16000", "8000")
    (folder / "preprocessor_config.json").write_text(settings)
    with pytest.raises(ModashiftError, match="hears 8000 samples a second"):
        load_encoder(str(folder), "acoustic")


SAID = "the film was really good and so it goes on bad".split()


@pytest.mark.parametrize(("kind", "limit"), [("bert", 24), ("roberta", 38), ("deberta-v2", 24)])
def test_long_texts_are_read_in_windows(kind, limit, tmp_path):
    encoder = load_encoder(str(save_encoder(kind, tmp_path / "m")), "linguistic", "0-3")
    assert encoder.limit == limit
    words = [SAID[k % len(SAID)] for k in range(60)]
    (found,) = encoder.states([words])
    model, tokenizer = random_model(kind)
    ids = tokenizer(" ".join(words), add_special_tokens=False)["input_ids"]
    assert len(found.values) == len(ids) + 2
    assert found.special.sum() == 2
    assert found.special[[0, -1]].all()
    assert (np.diff(found.words) >= 0).all()
    assert set(found.words.tolist()) == set(range(60))
    # Each piece has its own embedding; the first window's own middle is what the encoder makes of that window.
    content = limit - 2
    begin, end = tokenizer(" ")["input_ids"][0], tokenizer(" ")["input_ids"][-1]
    import torch

    window = torch.tensor([[begin, *ids[:content], end]])
    with torch.no_grad():
        hidden = model(input_ids=window, attention_mask=torch.ones_like(window), output_hidden_states=True)
    overlap = content // 4
    kept = 1 + content - (overlap + 1) // 2
    np.testing.assert_allclose(found.values[:kept, 2], hidden.hidden_states[2][0, :kept], atol=2e-5, rtol=1e-4)
    second = content - overlap
    window = torch.tensor([[begin, *ids[second : second + content], end]])
    with torch.no_grad():
        hidden = model(input_ids=window, attention_mask=torch.ones_like(window), output_hidden_states=True)
    skipped = overlap - (overlap + 1) // 2
    np.testing.assert_allclose(found.values[kept, 2], hidden.hidden_states[2][0, 1 + skipped], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["bert", "roberta", "deberta-v2"])
def test_batch_mates_change_no_text(kind, tmp_path):
    encoder = load_encoder(str(save_encoder(kind, tmp_path / "m")), "linguistic", "1-3")
    texts = [SAID[: k % 7 + 1] for k in range(11)]
    together = encoder.states(texts)
    for text, own in zip(texts, together):
        (alone,) = encoder.states([text])
        np.testing.assert_allclose(own.values, alone.values, atol=1e-5)
        assert np.array_equal(own.words, alone.words)


def test_pieces_find_their_words_though_words_hold_strange_signs(tmp_path):
    encoder = load_encoder(str(save_encoder("bert", tmp_path / "m")), "linguistic")
    words = ["it's", "…", "goood!", "Ünd", "the"]
    (found,) = encoder.states([words])
    _, tokenizer = random_model("bert")
    pieces = tokenizer.convert_ids_to_tokens(tokenizer(" ".join(words))["input_ids"])
    by_word = {k: [p for p, w, s in zip(pieces, found.words, found.special) if w == k and not s] for k in range(5)}
    assert "".join(by_word[2]).replace("##", "").startswith("goood")
    assert by_word[3]
    assert by_word[4] == ["the"]
    assert encoder.states([["   "]])[0].values.shape == (0, 3, 16)
