"""MFN against its recursion, one utterance and one word at a time."""

import pytest
import torch

from modashift.batch import Batch, Seq
from modashift.models.layers import last_step
from modashift.models.mfn import MFN, MemoryOptions, Sizes, align, unroll

SIZES = {"linguistic": 7, "visual": 5, "acoustic": 3}
WIDTHS = {"linguistic": 6, "visual": 4, "acoustic": 3}
OPTIONS = MemoryOptions(size=5, attention=8, candidate=7, retain=6, update=9)


def small(sizes=SIZES) -> MFN:
    torch.manual_seed(0)
    model = MFN(sizes, Sizes(**WIDTHS), OPTIONS, head=4).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # far from the flat middle of the softmax and the gates
            parameter.mul_(2)
    return model


def scattered_batch(n=5, length=9, seed=0) -> Batch:
    """Word-aligned sequences, real steps anywhere; a word may lack face or voice, and the reverse."""
    generator = torch.Generator().manual_seed(seed)
    features = {}
    for m, size in SIZES.items():
        mask = torch.rand(n, length, generator=generator) < 0.6
        values = torch.randn(n, length, size, dtype=torch.float64, generator=generator)
        features[m] = Seq(values.masked_fill(~mask.unsqueeze(-1), 77.0), mask)
    return Batch(None, torch.rand(n, generator=generator) * 6 - 3, torch.arange(n), features)


def sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def net(layers, x):
    """Two layers with ReLU between, outside training."""
    return layers[3].weight @ (layers[0].weight @ x + layers[0].bias).clamp(min=0) + layers[3].bias


def literal(core, batch, row, sizes=SIZES):
    """Last hidden states, memory after each word, and attention at each word of one utterance."""
    h = {m: torch.zeros(WIDTHS[m], dtype=torch.float64) for m in sizes}
    c = dict(h)
    u = torch.zeros(OPTIONS.size, dtype=torch.float64)
    memories, attentions = [], []
    for t in range(next(iter(batch.features.values())).mask.shape[1]):
        there = {m: bool(batch.features[m].mask[row, t]) for m in sizes}
        if not any(there.values()):
            continue
        before = dict(c)
        for m, size in sizes.items():
            x = batch.features[m].values[row, t] if there[m] else torch.zeros(size, dtype=torch.float64)
            lstm = core.lstm[m]
            i, f, g, o = (lstm.weight_ih @ x + lstm.bias_ih + lstm.weight_hh @ h[m] + lstm.bias_hh).chunk(4)
            c[m] = sigmoid(f) * c[m] + sigmoid(i) * torch.tanh(g)
            h[m] = sigmoid(o) * torch.tanh(c[m])
        pair = torch.cat([*before.values(), *c.values()])
        scores = net(core.attention, pair)
        a = torch.exp(scores) / torch.exp(scores).sum()
        attended = a * pair
        proposal = torch.tanh(net(core.candidate, attended))
        both = torch.cat([attended, u])
        u = sigmoid(net(core.retain, both)) * u + sigmoid(net(core.update, both)) * proposal
        memories.append(u)
        attentions.append(a)
    return h, memories, attentions


def score(model, h, u):
    return net(model.head, torch.cat([*h.values(), u]))


def test_equals_the_recursion_with_masked_steps_anywhere():
    model, batch = small(), scattered_batch()
    output = model(batch)
    steps = align(batch, SIZES)
    _, memory = model.memory(steps)
    for row in range(len(batch)):
        h, memories, _ = literal(model.memory, batch, row)
        torch.testing.assert_close(output.prediction[row], score(model, h, memories[-1])[0], atol=1e-10, rtol=0)
        torch.testing.assert_close(memory[row], memories[-1], atol=1e-10, rtol=0)
        for m, state in h.items():
            torch.testing.assert_close(output.embeddings[m][row], state, atol=1e-10, rtol=0)


def test_gradients_equal_those_of_the_recursion():
    model, batch = small(), scattered_batch(n=3)
    fast = torch.autograd.grad(model(batch).prediction.square().sum(), list(model.parameters()))
    slow = 0
    for row in range(3):
        h, memories, _ = literal(model.memory, batch, row)
        slow = slow + score(model, h, memories[-1]).square().sum()
    for a, b in zip(fast, torch.autograd.grad(slow, list(model.parameters()))):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-10)


def test_attention_is_a_distribution_over_the_cells_before_and_after():
    model, batch = small(), scattered_batch()
    steps = align(batch, SIZES)
    cells = model.memory.system(steps)[1]
    weights, pair = model.memory.attend(cells)
    assert weights.shape == (5, 9, 2 * (6 + 4 + 3))
    torch.testing.assert_close(weights.sum(-1), torch.ones(5, 9, dtype=torch.float64))
    assert (pair[:, 0, :13] == 0).all()
    assert torch.equal(pair[:, 1:, :13], cells[:, :-1])
    assert torch.equal(pair[..., 13:], cells)
    for row in range(len(batch)):
        for t, expected in enumerate(literal(model.memory, batch, row)[2]):
            torch.testing.assert_close(weights[row, t], expected, atol=1e-10, rtol=0)


def test_memory_grows_by_less_than_one_a_word():
    model, batch = small(), scattered_batch()
    steps = align(batch, SIZES)
    weights, pair = model.memory.attend(model.memory.system(steps)[1])
    count = steps.real.sum(1)
    before = torch.zeros(5, OPTIONS.size, dtype=torch.float64)
    for t in range(1, int(count.max()) + 1):
        memory = model.memory.remember((weights * pair)[:, :t], steps.real[:, :t])
        assert (memory.abs() <= before.abs() + 1).all()
        changed = ((memory - before).abs() > 1e-9).any(1)
        assert torch.equal(changed, count >= t), "the memory changes with each real word and no other step"
        before = memory


def test_side_by_side_lstms_equal_torch():
    torch.manual_seed(0)
    lstms = [torch.nn.LSTM(d, w, batch_first=True).double() for d, w in ((4, 3), (2, 5))]
    inputs = [torch.randn(2, 6, d, dtype=torch.float64) for d in (4, 2)]
    drives = [x @ r.weight_ih_l0.T + r.bias_ih_l0 + r.bias_hh_l0 for x, r in zip(inputs, lstms)]
    hidden, cells = unroll(drives, [r.weight_hh_l0 for r in lstms])
    results = [r(x) for x, r in zip(inputs, lstms)]
    torch.testing.assert_close(hidden, torch.cat([states for states, _ in results], -1))
    torch.testing.assert_close(cells[:, -1], torch.cat([c[0] for _, (_, c) in results], -1))


@pytest.mark.parametrize("modality", list(SIZES))
def test_a_missing_modality_counts_as_zeros_and_its_words_stay(modality):
    model, batch = small(), scattered_batch()
    missing = batch.without(modality)
    absent = Batch(None, batch.label, batch.index, {m: s for m, s in batch.features.items() if m != modality})
    output = model(missing)
    for row in range(len(batch)):
        h, memories, _ = literal(model.memory, missing, row)
        torch.testing.assert_close(output.prediction[row], score(model, h, memories[-1])[0], atol=1e-10, rtol=0)
    single = absent.map(lambda t: t.float() if t.is_floating_point() else t)
    torch.testing.assert_close(model.float()(single).prediction.double(), output.prediction, atol=1e-5, rtol=0)


def test_sequences_cut_short_lack_their_last_words():
    model, batch = small(), scattered_batch()
    visual = batch.features["visual"]
    mask = visual.mask.clone()
    mask[:, 6:] = False
    padded = Batch(None, batch.label, batch.index, {**batch.features, "visual": Seq(visual.values, mask)})
    short = {**batch.features, "visual": Seq(visual.values[:, :6], mask[:, :6])}
    cut = Batch(None, batch.label, batch.index, short)
    torch.testing.assert_close(model(cut).prediction, model(padded).prediction, atol=1e-12, rtol=0)


def test_nothing_at_all_is_survived():
    model, batch = small().float(), scattered_batch()
    nothing = Batch(None, batch.label, batch.index, {})
    output = model(nothing)
    assert torch.isfinite(output.prediction).all()
    assert all((z == 0).all() for z in output.embeddings.values())


def test_align_keeps_the_modalities_of_a_word_together():
    mask = {"linguistic": [0, 1, 0, 1], "visual": [0, 0, 0, 1], "acoustic": [1, 0, 0, 0]}
    features = {}
    for m, row in mask.items():
        values = torch.arange(1.0, 5).view(1, 4, 1)
        features[m] = Seq(values, torch.tensor([row], dtype=torch.bool))
    steps = align(Batch(None, torch.zeros(1), torch.arange(1), features), dict.fromkeys(mask, 1))
    assert steps.real.tolist() == [[True, True, True, False]]
    assert {m: v.flatten().tolist() for m, v in steps.values.items()} == {
        "linguistic": [0, 2, 4, 0],
        "visual": [0, 0, 4, 0],
        "acoustic": [1, 0, 0, 0],
    }
    assert steps.masks["linguistic"].tolist() == [[False, True, True, False]]


def test_last_step():
    states = torch.arange(12.0).view(2, 3, 2)
    real = torch.tensor([[True, True, False], [False, False, False]])
    assert last_step(states, real).tolist() == [[2, 3], [0, 0]]


@pytest.mark.parametrize("kept", [("linguistic",), ("linguistic", "visual"), ("linguistic", "acoustic")])
def test_fewer_modalities_are_fewer_lstms(kept):
    sizes = {m: SIZES[m] for m in kept}
    model, batch = small(sizes), scattered_batch()
    batch = Batch(None, batch.label, batch.index, {m: batch.features[m] for m in kept})
    output = model(batch)
    assert set(output.embeddings) == set(kept)
    h, memories, _ = literal(model.memory, batch, 0, sizes)
    torch.testing.assert_close(output.prediction[0], score(model, h, memories[-1])[0], atol=1e-10, rtol=0)


def expected_count(d, h, size, attention, candidate, retain, update, head):
    def two(inputs, hidden, outputs):
        return inputs * hidden + hidden + hidden * outputs + outputs

    total = sum(h)
    lstms = sum(4 * w * (x + w + 2) for x, w in zip(d, h))
    nets = two(2 * total, attention, 2 * total) + two(2 * total, candidate, size)
    gates = two(2 * total + size, retain, size) + two(2 * total + size, update, size)
    return lstms + nets + gates + two(total + size, head, 1)


def test_parameters_are_those_of_the_published_sizes():
    with torch.device("meta"):
        best = MFN({"linguistic": 300, "visual": 20, "acoustic": 5})
        mmsa = MFN(
            {"linguistic": 768, "visual": 20, "acoustic": 5},
            Sizes(linguistic=256, visual=256, acoustic=32),
            MemoryOptions(size=400, attention=32, candidate=64, retain=256, update=32),
            head=128,
        )
    expected = expected_count((300, 20, 5), (88, 16, 48), 128, 128, 64, 256, 64, 64)
    assert sum(p.numel() for p in best.parameters()) == expected == 454_193
    expected = expected_count((768, 20, 5), (256, 256, 32), 400, 32, 64, 256, 32, 128)
    assert sum(p.numel() for p in mmsa.parameters()) == expected


def test_loss_is_the_mean_absolute_error():
    model, batch = small(), scattered_batch()
    output = model(batch)
    losses = model.loss(output, batch)
    off = [abs(p - y) for p, y in zip(output.prediction.tolist(), batch.label.double().tolist())]
    assert losses["loss"].item() == pytest.approx(sum(off) / 5)
