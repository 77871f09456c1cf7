"""MulT against its equations: every head, query and key in a loop, every utterance without padding."""

import math

import pytest
import torch

from modashift.batch import Batch, Seq
from modashift.models import attention
from modashift.models.attention import Sight, attend, blockwise, fused
from modashift.models.mult import CrossmodalEncoder, MulT
from support import build, scattered

SIZES = {"linguistic": 7, "visual": 5, "acoustic": 3}
QUERIES, KEYS = [7, 3, 0, 5, 1], [4, 4, 3, 0, 6]


def make(sizes=SIZES, **options):
    torch.manual_seed(0)
    small = {"hidden_size": 6, "heads": 2, "layers": 2, "linguistic_kernel": 1}
    return MulT(sizes, **{**small, **options}).double().eval()


def batch_of(lengths, seed=0, padding=2):
    """Utterances of given lengths of each modality; masked steps lie anywhere and hold garbage."""
    generator = torch.Generator().manual_seed(seed)
    features = scattered(lengths, SIZES, padding, generator)
    n = len(lengths["linguistic"])
    return Batch(None, torch.randn(n, generator=generator, dtype=torch.float64), torch.arange(n), features)


LENGTHS = {"linguistic": [4, 1, 6, 3], "visual": [9, 12, 2, 0], "acoustic": [7, 3, 8, 5]}


def literal_attention(query, key, value, future_mask):
    """(heads, Tq, d) over (heads, Tk, d), all real."""
    heads, queries, size = query.shape
    keys = key.shape[1]
    out = torch.zeros_like(query)
    for h in range(heads):
        for i in range(queries):
            seen = [j for j in range(keys) if not future_mask or j < i + 1 + abs(queries - keys)]
            scores = [torch.exp(query[h, i] @ key[h, j] / math.sqrt(size)) for j in seen]
            for j, score in zip(seen, scores):
                out[h, i] += score / sum(scores) * value[h, j]
    return out


def literal_encoder(encoder, target, source=None):
    """One utterance of real steps only: (T, width) → (T, width)."""

    def embed(x):
        half = x.shape[1] // 2
        rows = []
        for t, row in enumerate(x, start=1):
            rate = [10000 ** (-k / (half - 1)) for k in range(half)]
            sinusoid = [math.sin(t * r) for r in rate] + [math.cos(t * r) for r in rate]
            rows.append(math.sqrt(x.shape[1]) * row + torch.tensor(sinusoid, dtype=x.dtype))
        return torch.stack(rows) if rows else x

    def norm(module, x):
        centred = x - x.mean(-1, keepdim=True)
        scale = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return centred / scale * module.weight + module.bias

    x, first = embed(target), None if source is None else embed(source)
    width = target.shape[1]
    for layer in encoder.layers:
        q = norm(layer.norm, x)
        kv = q if first is None else norm(layer.norm, first)
        w, b = layer.into.weight, layer.into.bias
        parts = [
            t @ w[k * width : (k + 1) * width].T + b[k * width : (k + 1) * width] for k, t in enumerate((q, kv, kv))
        ]
        split = [p.reshape(len(p), layer.heads, width // layer.heads).transpose(0, 1) for p in parts]
        attended = literal_attention(*split, encoder.future_mask).transpose(0, 1).reshape(len(x), width)
        x = x + attended @ layer.out.weight.T + layer.out.bias
        inner = (norm(layer.feed_norm, x) @ layer.widen.weight.T + layer.widen.bias).clamp(min=0)
        x = x + inner @ layer.narrow.weight.T + layer.narrow.bias
    return norm(encoder.norm, x)


def literal_convolution(module, x):
    """Windows of one utterance; shorter ones are padded with zeros to the kernel."""
    kernel = module.kernel_size[0]
    if not len(x):
        return x.new_zeros(0, module.out_channels)
    x = torch.cat([x, x.new_zeros(max(kernel - len(x), 0), x.shape[1])])
    steps = range(len(x) - kernel + 1)
    return torch.stack([sum(module.weight[:, :, k] @ x[t + k] for k in range(kernel)) for t in steps])


def literal(model, batch):
    scores = []
    for b in range(len(batch)):
        x = {}
        for m in model.sizes:
            values = batch.features[m].values[b][batch.features[m].mask[b]]
            x[m] = literal_convolution(model.convolution[m], values) if m in model.convolution else values
        ends = []
        for m in model.sizes:
            others = [s for s in model.sizes if s != m]
            crossed = torch.cat([literal_encoder(model.crossmodal[f"{m}_from_{s}"], x[m], x[s]) for s in others], 1)
            ends.append(
                literal_encoder(model.memory[m], crossed)[-1] if len(crossed) else crossed.new_zeros(crossed.shape[1])
            )
        h = torch.cat(ends)
        h = h + model.second.weight @ (model.first.weight @ h + model.first.bias).clamp(min=0) + model.second.bias
        scores.append(model.head.weight[0] @ h + model.head.bias[0])
    return torch.stack(scores)


def case(seed=0, size=5):
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (
        torch.randn(5, 3, n, size, dtype=torch.float64, generator=generator, requires_grad=True) for n in (8, 6, 6)
    )
    return q, k, v


@pytest.mark.parametrize("future_mask", [True, False])
@pytest.mark.parametrize("way", [blockwise, fused])
@pytest.mark.parametrize("block", [1, 2, 128])
def test_attention_equals_the_loop(way, future_mask, block, monkeypatch):
    monkeypatch.setattr(attention, "BLOCK", block)
    q, k, v = case()
    sight = Sight(torch.tensor(QUERIES), torch.tensor(KEYS), (8, 6), future_mask)
    out = way(q, k, v, sight, 0.0)
    for b, (queries, keys) in enumerate(zip(QUERIES, KEYS)):
        expected = literal_attention(q[b, :, :queries], k[b, :, :keys], v[b, :, :keys], future_mask)
        torch.testing.assert_close(out[b, :, :queries], expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("future_mask", [True, False])
def test_both_ways_have_the_same_gradient(future_mask, monkeypatch):
    monkeypatch.setattr(attention, "BLOCK", 2)
    sight = Sight(torch.tensor(QUERIES), torch.tensor(KEYS), (8, 6), future_mask)
    real = torch.arange(8) < torch.tensor(QUERIES)[:, None]
    gradients = []
    for way in (blockwise, fused):
        inputs = case()
        gradients.append(torch.autograd.grad((way(*inputs, sight, 0.0).sin() * real[:, None, :, None]).sum(), inputs))
    for a, b in zip(*gradients):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)
        assert a.abs().max() > 1e-3


def test_future_mask_is_the_rule_over_real_lengths():
    for future_mask in (True, False):
        mask = Sight(torch.tensor(QUERIES), torch.tensor(KEYS), (8, 6), future_mask).mask
        for b, (queries, keys) in enumerate(zip(QUERIES, KEYS)):
            for i in range(queries):
                for j in range(6):
                    seen = j < keys and (not future_mask or j < i + 1 + abs(queries - keys))
                    assert mask[b, 0, i, j] == (seen or j == 0)  # key 0 of nothing is zeroed afterwards


def test_dropout_of_attention_differentiates_as_it_was_drawn(monkeypatch):
    monkeypatch.setattr(attention, "BLOCK", 2)
    sight = Sight(torch.tensor([3, 2]), torch.tensor([2, 4]), (3, 4), True)
    inputs = [torch.randn(2, 2, n, 3, dtype=torch.float64, requires_grad=True) for n in (3, 4, 4)]

    def function(q, k, v):
        torch.manual_seed(5)
        return attend(q, k, v, sight, 0.4)

    assert not torch.allclose(function(*inputs), attend(*inputs, sight, 0.0))
    assert torch.autograd.gradcheck(function, inputs)


def test_dropout_of_attention_drops_its_share_and_keeps_the_mean():
    q, k = torch.zeros(1, 4, 40, 5), torch.zeros(1, 4, 50, 5)
    sight = Sight(torch.tensor([40]), torch.tensor([50]), (40, 50), False)
    torch.manual_seed(0)
    v = torch.zeros(1, 4, 50, 5)
    v[:, :, 0] = 50.0  # every weight is 1/50, so the result is 0 or 1 / (1 − p)
    out = torch.cat([attend(q, k, v, sight, 0.25) for _ in range(50)])[..., 0]  # (50, 4, 40)
    assert out[out > 0].tolist() == pytest.approx([1 / 0.75] * int((out > 0).sum()))
    assert (out == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)  # 4.1 standard deviations
    assert torch.equal(attend(q, k, v, sight, 0.0)[..., 0], torch.ones(1, 4, 40))


@pytest.mark.parametrize("future_mask", [True, False])
@pytest.mark.parametrize("modalities", [("visual",), ("acoustic",), ("visual", "acoustic")])
def test_equals_the_loop_over_utterances_heads_queries_and_keys(modalities, future_mask):
    sizes = {m: SIZES[m] for m in ("linguistic", *modalities)}
    model = make(sizes, future_mask=future_mask)
    batch = batch_of({m: LENGTHS[m] for m in sizes})
    assert len(model(batch).embeddings) == len(sizes)
    torch.testing.assert_close(model(batch).prediction, literal(model, batch), atol=1e-10, rtol=0)


def test_utterances_shorter_than_the_kernel_are_as_if_padded_to_it():
    model = make(linguistic_kernel=5, visual_kernel=5, acoustic_kernel=5)
    batch = batch_of({"linguistic": [3, 2, 6], "visual": [4, 1, 9], "acoustic": [2, 3, 4]}, padding=0)
    torch.testing.assert_close(model(batch).prediction, literal(model, batch), atol=1e-10, rtol=0)


def test_padding_anywhere_is_invisible():
    model = make()
    results = [model(batch_of(LENGTHS, padding=0)).prediction]
    wide = batch_of(LENGTHS, padding=0)
    for m, seq in wide.features.items():
        extra = {"linguistic": 1, "visual": 13, "acoustic": 4}[m]
        front = torch.full((4, extra, SIZES[m]), 1e3, dtype=torch.float64)
        hidden = torch.zeros(4, extra, dtype=torch.bool)
        wide.features[m] = Seq(torch.cat([front, seq.values, front], 1), torch.cat([hidden, seq.mask, hidden], 1))
    torch.testing.assert_close(model(wide).prediction, results[0], atol=1e-12, rtol=0)


def test_crossmodal_attention_is_causal_when_aligned():
    torch.manual_seed(0)
    for future_mask in (True, False):
        encoder = CrossmodalEncoder(6, 3, 2, future_mask, (0.0, 0.0, 0.0, 0.0)).double()
        full = torch.ones(1, 8, dtype=torch.bool)
        target, source = (torch.randn(1, 8, 6, dtype=torch.float64) for _ in range(2))
        before = encoder(Seq(target, full), Seq(source, full))
        source[:, 5] += torch.randn(6, dtype=torch.float64)
        moved = (encoder(Seq(target, full), Seq(source, full)) - before)[0].abs().amax(-1)
        assert (moved[5:] > 1e-9).all()
        assert (moved[:5] == 0).all() == future_mask


def test_last_step_alone_is_that_of_the_whole():
    torch.manual_seed(0)
    for future_mask in (True, False):
        encoder = CrossmodalEncoder(6, 3, 2, future_mask, (0.0, 0.0, 0.0, 0.0)).double()
        mask = torch.arange(8) < torch.tensor([8, 3, 1])[:, None]
        seq = Seq(torch.randn(3, 8, 6, dtype=torch.float64) * mask.unsqueeze(-1), mask)
        whole = encoder(seq)[torch.arange(3), torch.tensor([7, 2, 0])]
        torch.testing.assert_close(encoder(seq, last=True)[:, 0], whole, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("layers", "expected"), [(1, 15), (2, 21), (4, 36)])
def test_number_of_layers(layers, expected):
    model = make(layers=layers)
    assert sum(len(e.layers) for e in [*model.crossmodal.values(), *model.memory.values()]) == expected


def test_a_modality_of_the_models_width_is_not_convolved():
    model = make({"linguistic": 7, "visual": 6, "acoustic": 3})
    assert list(model.convolution) == ["linguistic", "acoustic"]
    seq = Seq(torch.randn(2, 4, 6, dtype=torch.float64), torch.ones(2, 4, dtype=torch.bool))
    assert torch.equal(model._convolved("visual", seq).values, seq.values)


@pytest.mark.parametrize(
    ("options", "kernels"),
    [
        ({}, {"linguistic": 1, "visual": 3, "acoustic": 3}),
        (
            {"hidden_size": 50, "linguistic_kernel": 5, "visual_kernel": 5, "acoustic_kernel": 5},
            {"linguistic": 5, "visual": 5, "acoustic": 5},
        ),
    ],
)
def test_parameters_are_those_of_the_published_sizes(options, kernels):
    sizes, d, n = {"linguistic": 300, "visual": 20, "acoustic": 5}, options.get("hidden_size", 40), 4

    def encoder(width, layers):
        attention = 3 * width * width + 3 * width + width * width + width
        feed = 2 * 4 * width * width + 4 * width + width
        return layers * (attention + feed + 4 * width) + 2 * width

    expected = sum(kernels[m] * sizes[m] * d for m in sizes) + 6 * encoder(d, n) + 3 * encoder(2 * d, max(n, 3))
    expected += 2 * (6 * d * 6 * d + 6 * d) + 6 * d + 1
    assert sum(p.numel() for p in MulT(sizes, **options).parameters()) == expected


def test_recomputing_gives_the_same_gradient():
    batch, gradients = batch_of(LENGTHS), []
    for checkpoint in (False, True):
        model = make(checkpoint=checkpoint).train()
        torch.manual_seed(1)
        model.loss(model(batch), batch)["loss"].backward()
        gradients.append([p.grad for p in model.parameters()])
    for a, b in zip(*gradients):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=0)


def test_unaligned_lengths_of_the_data_are_taken():
    model = build("mult", {}, hidden_size=6, heads=2, layers=1).eval()
    features = {m: torch.randn(2, n, SIZES[m]) for m, n in (("linguistic", 50), ("acoustic", 375), ("visual", 500))}
    whole = {m: Seq(v, torch.ones(v.shape[:2], dtype=torch.bool)) for m, v in features.items()}
    output = model(Batch(None, torch.zeros(2), torch.arange(2), whole))
    assert output.prediction.shape == (2,)
    assert {m: tuple(z.shape) for m, z in output.embeddings.items()} == dict.fromkeys(SIZES, (2, 12))


def test_default_loss_is_the_absolute_error():
    model, batch = make(), batch_of(LENGTHS)
    output = model(batch)
    terms = model.loss(output, batch)
    assert terms["loss"] == (output.prediction - batch.label).abs().mean()
    assert terms["mse"] == (output.prediction - batch.label).square().mean()


def test_wrong_data_and_options_are_refused():
    with pytest.raises(ValueError, match="neither visual nor acoustic"):
        MulT({"linguistic": 7})
    with pytest.raises(ValueError, match="3 heads cannot share a width of 40"):
        MulT(SIZES, heads=3)
