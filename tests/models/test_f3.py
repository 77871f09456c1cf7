"""F-III against its equations: samples, taps and steps in loops, one utterance without padding at a time."""

import math

import pytest
import torch

from literal_rnn import literal_encoder
from modashift.batch import Batch, Seq
from modashift.models.f3 import F3, RATE, AttentionPool, SincConvolution, masked_pool

SMALL = {"filters": 4, "filter_length": 9, "channels": 3, "hidden_size": 2, "width": 4, "classes": 4}
STEP = 5  # samples of a step


def make(acoustic=STEP, audio="waveform", **options):
    torch.manual_seed(0)
    return F3({"linguistic": 6, "acoustic": acoustic}, audio=audio, **{**SMALL, **options}).double().eval()


def batch_of(words=(4, 1, 6, 3), steps=(40, 61, 7, 20), acoustic=STEP, padding=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    features = {}
    for m, counts, size in (("linguistic", words, 6), ("acoustic", steps, acoustic)):
        mask = torch.arange(max(counts) + padding) < torch.tensor(counts)[:, None]
        values = torch.randn(len(counts), max(counts) + padding, size, generator=generator, dtype=torch.float64)
        features[m] = Seq(torch.where(mask.unsqueeze(-1), values, 77.0), mask)
    return Batch(None, torch.arange(len(words)) % 4 * 1.0, torch.arange(len(words)), features)


def literal_filters(module):
    low, high = module.edges()
    half = module.length // 2
    rows = []
    for f1, f2 in zip((low / RATE).tolist(), (high / RATE).tolist()):
        row = []
        for n in range(-half, half + 1):
            if n == 0:
                value = 2 * f2 - 2 * f1
            else:
                value = (math.sin(2 * math.pi * f2 * n) - math.sin(2 * math.pi * f1 * n)) / (math.pi * n)
            hamming = 0.54 - 0.46 * math.cos(2 * math.pi * (n + half) / (2 * half))
            row.append(value * hamming / (2 * (f2 - f1)))
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


def literal_convolution(x, weight, bias=None, stride=1):
    """x (T, D), weight (out, D, k) with zeros beyond the ends → (⌈T / stride⌉, out)."""
    half = weight.shape[2] // 2
    rows = []
    for t in range(0, len(x), stride):
        total = x.new_zeros(weight.shape[0]) if bias is None else bias.clone()
        for k in range(weight.shape[2]):
            if 0 <= t + k - half < len(x):
                total = total + weight[:, :, k] @ x[t + k - half]
        rows.append(total)
    return torch.stack(rows)


def literal_norm(module, x):
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * module.weight + module.bias
    return torch.where(scaled > 0, scaled, 0.2 * scaled)


def literal_sound(sound, given):
    """Samples (L,) or frames (T, D) → steps (T', width)."""
    if sound.waveform:
        x = literal_convolution(given[:, None], literal_filters(sound.first).unsqueeze(1)).abs()
    else:
        x = literal_convolution(given, sound.first.weight, sound.first.bias)
    for k, norm in enumerate(sound.norms):
        if k:
            x = literal_convolution(x, sound.middle[k - 1].weight, sound.middle[k - 1].bias)
        if sound.waveform:
            x = torch.stack([x[t : t + 3].amax(0) for t in range(0, len(x), 3)])
        x = literal_norm(norm, x)
    return literal_convolution(x, sound.last.weight, sound.last.bias, sound.last.stride[0])


def literal_attention(module, keys, values):
    scores = [torch.exp(module.score.weight[0] @ torch.tanh(module.project(key))) for key in keys]
    return sum(s / sum(scores) * value for s, value in zip(scores, values))


def literal_text(model, x):
    def branch(module, given):
        return torch.cat([literal_convolution(given, c.weight, c.bias).clamp(min=0) for c in module.convolutions], 1)

    first, second = branch(model.first, x), branch(model.second, literal_encoder(model.lstm, x)[0])
    if model.fusion == "f3":
        pooled = [literal_attention(model.over_second, second, first)]
        pooled += [literal_attention(model.over_first, first, second)]
    else:
        pooled = [first.mean(0), second.mean(0)]
    return torch.cat(pooled)


def literal_head(model, sound, text):
    if model.fusion == "f1":
        fused = torch.cat([sound, text])
    else:
        m = model.fuse
        tokens = [m.sound(sound), m.text(text)]
        parts = []
        for token in tokens:
            scores = [torch.exp(m.query(token) @ m.key(other) / math.sqrt(len(token))) for other in tokens]
            attended = sum(s / sum(scores) * m.value(other) for s, other in zip(scores, tokens))
            parts.append(token + torch.sigmoid(m.gate(token)) * attended)
        fused = torch.cat(parts)
    return model.head[3](model.head[0](fused).clamp(min=0))


def literal(model, batch):
    rows = []
    for b in range(len(batch)):
        x = {m: seq.values[b][seq.mask[b]] for m, seq in batch.features.items()}
        text = literal_text(model, x["linguistic"])
        parts = [x["acoustic"]]
        if model.waveform:
            wave = x["acoustic"].reshape(-1)
            longest, count = model.longest, max(1, math.ceil(len(wave) / model.longest))
            spare = max(len(wave) - longest, 0)
            parts = [wave[(s := spare * k // max(count - 1, 1)) : s + longest] for k in range(count)]
        logits = []
        for part in parts:
            steps = literal_sound(model.sound, part)
            pooled = literal_attention(model.over_sound, steps, steps) if model.fusion == "f3" else steps.mean(0)
            logits.append(literal_head(model, pooled, text))
        rows.append(sum(logits) / len(logits))
    return torch.stack(rows)


@pytest.mark.parametrize("fusion", ["f1", "f2", "f3"])
@pytest.mark.parametrize("audio", ["waveform", "features"])
def test_equals_the_loop(fusion, audio):
    model, batch = make(audio=audio, fusion=fusion), batch_of()
    torch.testing.assert_close(model(batch).prediction, literal(model, batch), atol=1e-10, rtol=0)


def test_a_long_waveform_is_read_in_parts():
    model, batch = make(seconds=100 / RATE), batch_of()  # of 200, 305, 35 and 100 samples: 2, 4, 1 and 1 parts
    assert model.longest == 100
    torch.testing.assert_close(model(batch).prediction, literal(model, batch), atol=1e-10, rtol=0)
    whole = make()(batch).prediction
    torch.testing.assert_close(model(batch).prediction[2:], whole[2:], atol=1e-10, rtol=0)
    assert not torch.allclose(model(batch).prediction[:2], whole[:2])


def test_in_training_one_part_is_drawn():
    model = make(seconds=100 / RATE, dropout=0.0, head_dropout=0.0).train()
    batch = batch_of()
    wave = batch.features["acoustic"].values[0, :40].reshape(-1)
    torch.manual_seed(0)
    starts = set()
    for _ in range(60):
        ((part, mask, counted),) = model._parts(
            Seq(batch.features["acoustic"].values * batch.features["acoustic"].mask.unsqueeze(-1),
                batch.features["acoustic"].mask)
        )  # fmt: skip
        assert counted.all()
        assert mask.sum(1).tolist() == [100, 100, 35, 100]
        found = [s for s in range(101) if torch.equal(part[0], wave[s : s + 100])]
        starts.update(found)
    assert len(starts) > 30
    assert min(starts) >= 0
    assert max(starts) <= 100


def test_filters_are_bands():
    module = SincConvolution(80, 251).double()
    filters = module.filters()
    torch.testing.assert_close(filters, literal_filters(module), atol=1e-12, rtol=0)
    torch.testing.assert_close(filters, filters.flip(1), atol=1e-12, rtol=0)
    assert torch.isfinite(filters).all()
    low, high = module.edges()
    middle, taps = (low + high) / 2 / RATE, torch.arange(-125, 126)
    angles = 2 * math.pi * middle[:, None] * taps
    gain = ((filters * angles.cos()).sum(1)).abs()  # at the middle of each band
    far = 2 * math.pi * ((middle + 0.25) % 0.5)[:, None] * taps
    assert (gain > 20 * (filters * far.cos()).sum(1).abs()).all()
    assert low[0].item() == pytest.approx(50, abs=0.1)


def test_edges_stay_in_order_whatever_is_learned():
    module = SincConvolution(8, 9)
    for low, band in ((-300.0, 0.0), (9000.0, 500.0), (0.0, 1e5), (7990.0, -20.0)):
        with torch.no_grad():
            module.low.fill_(low / RATE)
            module.band.fill_(band / RATE)
        f1, f2 = module.edges()
        assert ((f1 >= 0) & (f1 < f2) & (f2 <= 8000)).all()
        assert torch.isfinite(module.filters()).all()
    optimizer = torch.optim.SGD(module.parameters(), lr=1e4)
    for _ in range(3):
        optimizer.zero_grad()
        module(torch.randn(2, 60)).square().sum().backward()
        optimizer.step()
        f1, f2 = module.edges()
        assert ((f1 >= 0) & (f1 < f2) & (f2 <= 8000)).all()


def test_pooling_and_attention_leave_padding_out():
    x, mask = -torch.rand(2, 3, 7, dtype=torch.float64) - 1, torch.arange(7) < torch.tensor([[5], [0]])
    pooled, there = masked_pool(torch.where(mask.unsqueeze(1), x, 9.0), mask)
    assert there.tolist() == [[True, True, False], [False] * 3]
    torch.testing.assert_close(pooled[0, :, :2], torch.stack([x[0, :, :3].amax(1), x[0, :, 3:5].amax(1)], 1))
    assert (pooled[:, :, 2] == 0).all()
    pool = AttentionPool(3).double()
    steps = torch.randn(2, 7, 3, dtype=torch.float64)
    found = pool(steps, steps, mask)
    torch.testing.assert_close(found[:1], pool(steps[:1, :5], steps[:1, :5], mask[:1, :5]))
    assert (found[1] == 0).all()


def test_variants_share_their_encoders_and_differ_in_fusion():
    names = {}
    for fusion in ("f1", "f2", "f3"):
        model = make(fusion=fusion)
        names[fusion] = {n for n, _ in model.named_parameters() if n.split(".")[0] not in {"head", "fuse"}}
    assert names["f1"] == names["f2"] < names["f3"]
    assert {n.split("_")[0] for n in names["f3"] - names["f1"]} == {"over"}


@pytest.mark.parametrize("fusion", ["f1", "f2", "f3"])
def test_every_parameter_learns_from_waveforms(fusion):
    model = make(fusion=fusion).train()
    batch = batch_of()
    model.loss(model(batch), batch)["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_padding_and_batch_mates_of_waveforms_are_invisible():
    model = make(seconds=100 / RATE)
    together = model(batch_of()).prediction
    torch.testing.assert_close(model(batch_of(padding=2)).prediction, together)
    batch = batch_of()
    wide = Batch(None, batch.label, batch.index, {
        m: Seq(torch.nn.functional.pad(s.values, (0, 0, 0, 50), value=5.0), torch.nn.functional.pad(s.mask, (0, 50)))
        for m, s in batch.features.items()
    })  # fmt: skip
    torch.testing.assert_close(model(wide).prediction, together, atol=1e-10, rtol=0)
    alone = torch.cat([model(batch.map(lambda t, i=i: t[i : i + 1])).prediction for i in range(4)])
    torch.testing.assert_close(alone, together, atol=1e-10, rtol=0)


def test_the_data_decide_whether_it_is_a_waveform():
    assert F3({"linguistic": 6, "acoustic": 160}, **SMALL).waveform
    assert not F3({"linguistic": 6, "acoustic": 74}, **SMALL).waveform
    assert F3({"linguistic": 6, "acoustic": 80}, audio="waveform", **SMALL).waveform


def test_wrong_data_and_options_are_refused():
    with pytest.raises(ValueError, match="no acoustic features"):
        F3({"linguistic": 7})
    with pytest.raises(ValueError, match="must be odd"):
        make(filter_length=8)
