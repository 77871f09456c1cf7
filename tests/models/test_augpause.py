"""AugPauseRoBERTa: pauses become marks, vary in training, and nothing of the sound is read."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import modashift
from modashift.batch import Batch, Pieces, Seq
from modashift.data.dataset import Feature
from modashift.errors import ModashiftError
from modashift.models.augpause import AugPause, insert_marks, marks_of
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train
from support import toy_dataset

FIRST = 60  # entry of the comma
COMMA, PERIOD, ELLIPSIS = FIRST, FIRST + 1, FIRST + 2


@pytest.fixture
def config(tiny_config):
    return {**tiny_config, "vocab_size": FIRST}


def make(config, **options):
    torch.manual_seed(0)
    return AugPause(config, {"linguistic": 1}, **{"classes": 4, **options}).double().eval()


def text_of(*words_of_pieces):
    """Texts, each a list of words with so many pieces; ids tell which piece it is."""
    rows = []
    for words in words_of_pieces:
        word = [-1] + [k for k, n in enumerate(words) for _ in range(n)] + [-1]
        rows.append((list(range(10, 10 + len(word))), word))
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([i + [0] * (longest - len(i)) for i, _ in rows])
    word = torch.tensor([w + [-1] * (longest - len(w)) for _, w in rows])
    mask = torch.tensor([[True] * len(i) + [False] * (longest - len(i)) for i, _ in rows])
    return Pieces(ids, mask, word)


def batch_of(text, pauses):
    """Pauses after each word, laid beside its pieces as the preprocessor does."""
    values = torch.zeros(*text.ids.shape, 1, dtype=torch.float64)
    for row, seconds in enumerate(pauses):
        for piece, word in enumerate(text.word[row].tolist()):
            if word >= 0:
                values[row, piece] = seconds[word]
    n = len(text.ids)
    return Batch(text, torch.arange(n) % 4 * 1.0, torch.arange(n), {"linguistic": Seq(values, text.real)})


def test_bins_are_the_authors():
    pauses = torch.tensor([0.0, 0.03, 0.05, 0.2, 0.49, 0.5, 1.0, 2.0, 2.01, 3.0])
    assert marks_of(pauses).tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3]


def literal_insertion(ids, mask, marks):
    rows = []
    for i, m, k in zip(ids.tolist(), mask.tolist(), marks.tolist()):
        row = []
        for piece, real, mark in zip(i, m, k):
            if real:
                row.append(piece)
                row += [FIRST - 1 + mark] if mark else []
        rows.append(row)
    return rows


def test_marks_are_inserted_behind_the_pieces():
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        text = text_of(*[torch.randint(1, 4, (int(torch.randint(1, 6, (), generator=generator)),)).tolist()
                         for _ in range(4)])  # fmt: skip
        marks = torch.randint(0, 4, text.ids.shape, generator=generator)
        found = insert_marks(text, marks, FIRST, 0)
        expected = literal_insertion(text.ids, text.mask, marks)
        assert [ids[mask].tolist() for ids, mask in zip(found.ids, found.mask)] == expected
        assert found.ids.shape[1] == max(map(len, expected))
        assert (found.ids[~found.mask] == 0).all()
        assert (found.mask.sort(1, descending=True).values == found.mask).all()  # padding comes last
        for b in range(4):
            kept = found.word[b][found.mask[b] & (found.ids[b] < FIRST)]
            assert kept.tolist() == text.word[b][text.mask[b]].tolist()
        assert (found.word[found.ids >= FIRST] == -1).all()


def seen_by(model, batch):
    """Texts that the encoder is given, one list for each time it is called."""
    calls, inner = [], model.encoder.forward

    def record(given, *rest, **more):
        calls.append([i[m].tolist() for i, m in zip(given.text.ids, given.text.mask)])
        assert not given.features  # no sound, and not even the pauses themselves
        return inner(given, *rest, **more)

    model.encoder.forward = record
    output = model(batch)
    model.encoder.forward = inner
    return calls, output


def test_pauses_are_written_after_words_of_several_pieces_and_never_at_the_end(config):
    batch = batch_of(text_of([1, 2, 1, 1], [2]), [[0.03, 0.2, 1.0, 3.0], [9.0]])
    calls, _ = seen_by(make(config, pauses="plain"), batch)
    assert calls == [[[10, 11, 12, 13, COMMA, 14, PERIOD, 15, 16], [10, 11, 12, 13]]]
    batch = batch_of(text_of([1, 1]), [[3.0, 0.0]])
    assert seen_by(make(config, pauses="plain"), batch)[0] == [[[10, 11, ELLIPSIS, 12, 13]]]
    assert seen_by(make(config, pauses="none"), batch)[0] == [[[10, 11, 12, 13]]]


def test_without_deviation_nothing_is_perturbed(config):
    batch = batch_of(text_of([1, 1, 1]), [[0.06, 0.5, 0.0]])
    plain = make(config, pauses="plain")(batch).prediction
    assert torch.equal(make(config, sigma=0.0)(batch).prediction, plain)
    assert torch.equal(make(config, draws=0)(batch).prediction, plain)
    model = make(config, sigma=0.0, dropout=0.0).train()
    assert seen_by(model, batch)[0] == [[[10, 11, COMMA, 12, PERIOD, 13, 14]]]


def test_evaluation_averages_the_draws_and_the_text_as_it_is(config):
    batch = batch_of(text_of([1, 1, 1], [1, 1]), [[0.05, 0.5, 0.0], [2.0, 0.0]])
    model = make(config, sigma=1.0, draws=5)
    calls, output = seen_by(model, batch)
    assert len(calls) == 6
    assert len({str(call) for call in calls}) > 2
    for draw, call in enumerate(calls[1:]):
        for row, pauses in enumerate([[0.05, 0.5, 0.0], [2.0, 0.0]]):
            expected = [10]
            for word, seconds in enumerate(pauses):
                expected.append(11 + word)
                varied = torch.tensor(seconds * math.exp(float(model.noise[draw, word])))
                if word < len(pauses) - 1 and marks_of(varied):
                    expected.append(FIRST - 1 + int(marks_of(varied)))
            assert call[row] == [*expected, 11 + len(pauses)]
    single = []
    for call in calls:
        rows = []
        for ids in call:
            pieces = Pieces(
                torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.bool), torch.full((1, len(ids)), -1)
            )
            one = Batch(pieces, batch.label[:1], batch.index[:1])
            rows.append(model._read(one, pieces).prediction)
        single.append(torch.cat(rows))
    torch.testing.assert_close(output.prediction, torch.stack(single).mean(0), atol=1e-12, rtol=0)
    assert torch.equal(model(batch).prediction, output.prediction)
    alone = torch.cat([model(batch.map(lambda t, i=i: t[i : i + 1])).prediction for i in range(2)])
    torch.testing.assert_close(alone, output.prediction, atol=1e-12, rtol=0)


def test_training_draws_anew_each_time(config):
    batch = batch_of(text_of([1, 1]), [[0.05, 0.0]])
    model = make(config, sigma=0.3, dropout=0.0).train()
    torch.manual_seed(0)
    marked = [len(seen_by(model, batch)[0][0][0]) - 4 for _ in range(200)]
    assert 0.4 < sum(marked) / 200 < 0.6  # half of the draws are longer than they were
    plain = make(config, pauses="plain").train()
    assert len({str(seen_by(plain, batch)[0]) for _ in range(5)}) == 1


def test_marks_start_from_punctuation_or_from_the_mean(config):
    for size, entries in ((30522, (1010, 1012, 1529)), (FIRST, None)):
        model = AugPause({**config, "vocab_size": size}, {"linguistic": 1}, classes=4)
        state = {k: v.clone() for k, v in model.encoder.backbone.state_dict().items()}
        table = torch.randn(size, config["hidden_size"])
        model.load_backbone({**state, "embeddings.word_embeddings.weight": table})
        own = model.encoder.backbone.embeddings.word_embeddings.weight
        assert torch.equal(own[:size], table)
        expected = table[list(entries)] if entries else table.mean(0).expand(3, -1)
        torch.testing.assert_close(own[size:], expected)


def test_the_entries_are_punctuation_in_the_packaged_vocabulary():
    from modashift.cache import cache_folder
    from modashift.models.augpause import PUNCTUATION

    if not any(cache_folder().glob("minilm-*")):
        pytest.skip(f"MiniLM is not in {cache_folder()}")
    from modashift.backbones import load_backbone

    tokenizer = load_backbone("minilm").tokenizer
    assert tokenizer.convert_ids_to_tokens(list(PUNCTUATION["bert", 30522])) == [",", ".", "…"]


def test_it_runs_on_roberta():
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = {"model_type": "roberta", "vocab_size": FIRST, "max_position_embeddings": 14, "pad_token_id": 1, **sizes}
    model = make(config, pauses="plain")
    batch = batch_of(text_of([1, 1, 1], [1]), [[1.0, 1.0, 0.0], [0.0]])
    batch.text.ids[~batch.text.mask] = 1
    assert model(batch).prediction.shape == (2, 4)
    ids = insert_marks(batch.text, marks_of(model._seconds(batch, batch.text)), FIRST, 1).ids
    assert ids[1].tolist() == [10, 11, 12, 1, 1, 1, 1]
    long = batch_of(text_of([1] * 8), [[1.0] * 8])
    with pytest.raises(ModashiftError, match="17 pieces with its pauses, and the backbone reads 12"):
        model(long)


def test_it_trains_scores_and_is_loaded_again(tiny_backbone, tmp_path):
    data = toy_dataset()
    refused = DataArgs("toy")
    args = TrainArgs(backbone=tiny_backbone, epochs=2, batch_size=16, lr=3e-3, tensorboard=False, average=0.0)
    with pytest.raises(ModashiftError, match="--features pauses"):
        train("augpause", refused, tmp_path / "none", args, silent=True, dataset=data)
    rng = np.random.default_rng(0)
    pauses = Feature.pack([rng.exponential(0.5, (len(w), 1)).astype(np.float32) for w in data.words], 1)
    classes = (data.labels > 0).astype(np.float64)
    data = replace(data, labels=classes, classes=("no", "yes"), features={"linguistic": pauses})
    results = train("augpause", refused, tmp_path / "run", args, silent=True, dataset=data)
    assert 0 <= results["splits"]["test"]["ua"] <= 1
    predictor = modashift.load(tmp_path / "run")
    rows = data.rows("test")
    right = (predictor.predict_dataset(data, rows).argmax(1) == classes[rows]).mean()
    assert right == pytest.approx(results["splits"]["test"]["wa"])


def test_wrong_data_and_options_are_refused(config):
    text = text_of([1, 1])
    with pytest.raises(ModashiftError, match="--features pauses"):
        make(config)(Batch(text, torch.zeros(1), torch.arange(1)))
    with pytest.raises(ModashiftError, match="word-aligned"):
        make(config)(Batch(text, torch.zeros(1), torch.arange(1),
                           {"linguistic": Seq(torch.zeros(1, 9, 1), torch.ones(1, 9, dtype=torch.bool))}))  # fmt: skip
    with pytest.raises(ValueError, match="the data have 300"):
        AugPause(config, {"linguistic": 300})
    with pytest.raises(ValueError, match="not be negative"):
        make(config, sigma=-1.0)
