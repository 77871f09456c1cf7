"""MHA against its equations: one utterance, one step, one frame at a time."""

import pytest
import torch

from literal_rnn import literal_encoder
from modashift.batch import Batch
from modashift.models.mha import MHA, hop
from support import scattered

SIZES = {"linguistic": 7, "acoustic": 3}
LENGTHS = {"linguistic": [4, 1, 6, 0, 3], "acoustic": [9, 12, 2, 5, 0]}


def make(**options):
    torch.manual_seed(0)
    return MHA(SIZES, **{"hidden_size": 4, "classes": 4, **options}).double().eval()


def batch_of(lengths=LENGTHS, padding=2, seed=0):
    """Utterances of given lengths; masked steps lie anywhere and hold garbage."""
    generator = torch.Generator().manual_seed(seed)
    features = scattered(lengths, SIZES, padding, generator)
    n = len(lengths["linguistic"])
    return Batch(None, torch.arange(n) % 4 * 1.0, torch.arange(n), features)


def literal_hop(query, states):
    total, result = 0.0, torch.zeros_like(query)
    for state in states:
        total = total + torch.exp(query @ state)
    for state in states:
        result = result + torch.exp(query @ state) / total * state
    return result


def literal(model, batch):
    rows = []
    for b in range(len(batch)):
        x = {m: batch.features[m].values[b][batch.features[m].mask[b]] for m in SIZES}
        text, _ = literal_encoder(model.words, x["linguistic"])
        sound, last = literal_encoder(model.voice, x["acoustic"][: model.longest])
        found = [last]
        for number in range(model.hops):
            found.append(literal_hop(found[-1], sound if number % 2 else text))
        rows.append(model.head.weight @ torch.cat(found[-2:]) + model.head.bias)
    return torch.stack(rows)


@pytest.mark.parametrize("rnn", ["lstm", "gru"])
@pytest.mark.parametrize("hops", [1, 2, 3, 4])
def test_equals_the_loop(hops, rnn):
    model, batch = make(hops=hops, rnn=rnn), batch_of()
    torch.testing.assert_close(model(batch).prediction, literal(model, batch), atol=1e-12, rtol=0)


def test_frames_beyond_the_longest_are_cut_off():
    model, batch = make(longest=4), batch_of()
    torch.testing.assert_close(model(batch).prediction, literal(model, batch), atol=1e-12, rtol=0)
    assert not torch.allclose(model(batch).prediction[0], make()(batch).prediction[0])


def test_masked_steps_have_no_weight():
    generator = torch.Generator().manual_seed(0)
    query, states = torch.randn(2, 4, generator=generator), torch.randn(2, 5, 4, generator=generator)
    mask = torch.tensor([[True, True, False, False, False], [False] * 5])
    found = hop(query, states, mask)
    torch.testing.assert_close(found[:1], hop(query[:1], states[:1, :2], mask[:1, :2]))
    assert (found[1] == 0).all()
    states[0, 2:] = 1e6
    torch.testing.assert_close(hop(query, states, mask), found)


def test_one_hop_knows_of_the_voice_its_last_states_alone():
    """The states of all other frames enter from the second hop on."""
    batch = batch_of({"linguistic": [4], "acoustic": [6]}, padding=0)
    for hops, same in ((1, True), (2, False)):
        model = make(hops=hops)
        inner = model.voice.forward

        def garbled(seq, inner=inner):
            states, last = inner(seq)
            return states + 5 * torch.randn(states.shape, dtype=torch.float64), last

        before = model(batch).prediction
        model.voice.forward = garbled
        assert torch.equal(model(batch).prediction, before) == same


def test_permuting_the_batch_permutes_the_outputs():
    model, batch = make(), batch_of()
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(model(batch.map(lambda t: t[order])).prediction, model(batch).prediction[order])


def test_widths_are_the_papers():
    model = MHA({"linguistic": 300, "acoustic": 120}, classes=4)
    assert model.head.in_features == 800
    assert model.head.out_features == 4
    assert model.voice.ahead.hidden_size == 200

    def recurrent(size):
        return 2 * 4 * (200 * size + 200 * 200 + 2 * 200)

    assert sum(p.numel() for p in model.parameters()) == recurrent(300) + recurrent(120) + 800 * 4 + 4


def test_wrong_data_and_options_are_refused():
    with pytest.raises(ValueError, match="no acoustic features"):
        MHA({"linguistic": 7})
    with pytest.raises(ValueError, match="at least 1"):
        MHA(SIZES, hops=0)
