"""MFM against its equations: kernel, encoders, factors, decoders and losses in literal loops."""

import math
import statistics

import pytest
import torch

from modashift.batch import Batch, Seq
from modashift.models.base import Output
from modashift.models.mfm import MFM, FactorMemory, Weights, mmd
from modashift.models.mfn import Sizes, align

SIZES = {"linguistic": 7, "visual": 5, "acoustic": 3}
OPTIONS = {
    "hidden": Sizes(linguistic=6, visual=4, acoustic=3),
    "memory": FactorMemory(size=5, attention=8, candidate=7, retain=6, update=9),
    "code": Sizes(linguistic=5, visual=4, acoustic=3),
    "shared_code": 6,
    "factor": Sizes(linguistic=8, visual=6, acoustic=7),
    "shared_factor": 9,
    "reconstruction_weight": Weights(linguistic=0.7, visual=0.3, acoustic=0.2),
    "mmd_weight": 4.0,
}


def small(**options) -> MFM:
    torch.manual_seed(2)
    return MFM(SIZES, **{**OPTIONS, **options}).double().eval()


def scattered_batch(n=5, length=9, seed=0) -> Batch:
    """Word-aligned sequences, real steps anywhere among masked ones that hold garbage."""
    generator = torch.Generator().manual_seed(seed)
    features = {}
    for m, size in SIZES.items():
        mask = torch.rand(n, length, generator=generator) < 0.6
        values = torch.randn(n, length, size, dtype=torch.float64, generator=generator)
        features[m] = Seq(values.masked_fill(~mask.unsqueeze(-1), 77.0), mask)
    return Batch(None, torch.rand(n, generator=generator) * 6 - 3, torch.arange(n), features)


def real_steps(batch: Batch, row: int):
    """Vectors at the steps where any modality has one, zero where this one has none, and whether it has."""
    mask = {m: seq.mask[row] for m, seq in batch.features.items()}
    at = [t for t in range(len(mask["visual"])) if any(mask[m][t] for m in SIZES)]
    values = {
        m: [seq.values[row, t] if mask[m][t] else torch.zeros(SIZES[m], dtype=torch.float64) for t in at]
        for m, seq in batch.features.items()
    }
    return values, {m: [bool(mask[m][t]) for t in at] for m in SIZES}


def cell(x, h, c, w_ih, w_hh, b_ih, b_hh):
    i, f, g, o = (w_ih @ x + b_ih + w_hh @ h + b_hh).chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def net(layers, x):
    return layers[3].weight @ (layers[0].weight @ x + layers[0].bias).clamp(min=0) + layers[3].bias


def literal_code(model, m, sequence):
    lstm = model.encoder_lstm[m]
    h = c = torch.zeros(lstm.hidden_size, dtype=torch.float64)
    for x in sequence:
        h, c = cell(x, h, c, lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, lstm.bias_hh_l0)
    return model.code[m].weight @ h + model.code[m].bias


def literal_decoder(model, m, factors, length):
    """x̂_m: the factors are the first input, the own last state every later one."""
    lstm, rebuilt = model.decoder_lstm[m], []
    h = c = torch.zeros(len(factors), dtype=torch.float64)
    x = factors
    for _ in range(length):
        h, c = cell(x, h, c, lstm.weight_ih, lstm.weight_hh, lstm.bias_ih, lstm.bias_hh)
        rebuilt.append(model.decoder[m].weight @ h + model.decoder[m].bias)
        x = h
    return rebuilt


def literal_mmd(z, e, bandwidth):
    n, d = z.shape

    def distance(p, q):
        return sum((a - b) ** 2 for a, b in zip(p.tolist(), q.tolist()))

    both = [*z, *e]
    scale = {"dim_squared": d**2, "dim": d}.get(bandwidth)
    if scale is None:
        scale = statistics.median_low([distance(both[i], both[j]) for i in range(2 * n) for j in range(i)])

    def mean(first, second):
        return sum(math.exp(-distance(p, q) / scale) for p in first for q in second) / n**2

    return mean(e, e) + mean(z, z) - 2 * mean(e, z)


@pytest.mark.parametrize("bandwidth", ["dim_squared", "dim", "median"])
@pytest.mark.parametrize("shape", [(7, 4), (2, 9), (1, 3)])
def test_mmd_equals_the_double_loop(bandwidth, shape):
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(shape, dtype=torch.float64, generator=generator) * 2 + 1
    e = torch.randn(shape, dtype=torch.float64, generator=generator)
    assert mmd(z, e, bandwidth).item() == pytest.approx(literal_mmd(z, e, bandwidth), abs=1e-10)


def test_default_kernel_is_the_published_one():
    z, e = torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]])
    mean = ((1 - 0) ** 2 + (3 - 1) ** 2) / 2  # over the features, then divided by their number again
    assert mmd(z, e).item() == pytest.approx(2 - 2 * math.exp(-mean / 2))


@pytest.mark.parametrize("bandwidth", ["dim_squared", "dim", "median"])
def test_mmd_vanishes_for_the_prior_and_for_nothing_else(bandwidth):
    torch.manual_seed(0)
    prior = torch.randn(800, 8, dtype=torch.float64)
    matched = mmd(torch.randn_like(prior), prior, bandwidth)
    assert 0 <= matched < 0.005
    assert mmd(torch.randn_like(prior) + 1, prior, bandwidth) > 10 * matched
    assert mmd(torch.randn_like(prior) * 3, prior, bandwidth) > 10 * matched
    assert mmd(prior.clone(), prior, bandwidth).abs() < 1e-12


def test_gradients_of_mmd_are_finite_where_samples_coincide():
    z = torch.zeros(4, 3, requires_grad=True)
    for bandwidth in ("dim_squared", "dim", "median"):
        (gradient,) = torch.autograd.grad(mmd(z, torch.zeros(4, 3), bandwidth), z)
        assert torch.isfinite(gradient).all()


def test_equals_the_equations_with_masked_steps_anywhere():
    model, batch = small(), scattered_batch()
    output = model(batch)
    last, memory = model.memory(align(batch, SIZES))  # held against its own recursion in test_mfn.py
    for row in range(len(batch)):
        values, there = real_steps(batch, row)
        together = torch.cat([*(h[row] for h in last.values()), memory[row]])
        z_y = model.shared_code.weight @ together + model.shared_code.bias
        torch.testing.assert_close(output.extra["shared_code"][row], z_y, atol=1e-10, rtol=0)
        f_y = net(model.shared_factor, z_y).clamp(min=0)
        torch.testing.assert_close(output.prediction[row], net(model.head, f_y)[0], atol=1e-10, rtol=0)
        for m, sequence in values.items():
            z = literal_code(model, m, sequence)
            torch.testing.assert_close(output.embeddings[m][row], z, atol=1e-10, rtol=0)
            f = net(model.factor[m], z).clamp(min=0)
            assert f.max() > 0, "a dead factor would test nothing"
            rebuilt = literal_decoder(model, m, torch.cat([f_y, f]), len(sequence))
            errors = [((a - b) ** 2).mean() for a, b, real in zip(rebuilt, sequence, there[m]) if real]
            assert output.extra[f"error_{m}"][row].item() == pytest.approx(sum(e.item() for e in errors), abs=1e-10)
            assert output.extra[f"steps_{m}"][row] == len(errors)


def test_decoder_equals_the_loop_and_has_the_shape_of_the_sequence():
    model = small()
    factors = {m: torch.randn(2, model.widths[m], dtype=torch.float64) for m in SIZES}
    for length in (1, 6):
        for m, rebuilt in model.rebuild(factors, length).items():
            assert rebuilt.shape == (2, length, SIZES[m])
            for row in range(2):
                expected = torch.stack(literal_decoder(model, m, factors[m][row], length))
                torch.testing.assert_close(rebuilt[row], expected, atol=1e-10, rtol=0)


def test_total_is_the_weighted_sum_of_its_terms():
    model, batch = small(), scattered_batch()
    output = model(batch)
    terms = model.loss(output, batch)
    off = [abs(p - y) for p, y in zip(output.prediction.tolist(), batch.label.double().tolist())]
    assert terms["task"].item() == pytest.approx(sum(off) / 5)
    assert terms["mse"].item() == pytest.approx(sum(x**2 for x in off) / 5)
    for m in SIZES:
        errors, steps = output.extra[f"error_{m}"].tolist(), batch.features[m].mask.sum().item()
        assert terms[f"reconstruction_{m}"].item() == pytest.approx(sum(errors) / steps)
    expected = (
        terms["task"]
        + 0.7 * terms["reconstruction_linguistic"]
        + 0.3 * terms["reconstruction_visual"]
        + 0.2 * terms["reconstruction_acoustic"]
        + 4 * terms["mmd"]
    )
    torch.testing.assert_close(terms["loss"], expected)


def test_all_four_codes_are_drawn_to_a_prior_drawn_anew():
    model, batch = small(), scattered_batch()
    output = model(batch)
    torch.manual_seed(5)
    term = model.loss(output, batch)["mmd"]
    assert model.loss(output, batch)["mmd"] != term
    torch.manual_seed(5)
    codes = [*output.embeddings.values(), output.extra["shared_code"]]
    assert [z.shape[1] for z in codes] == [5, 4, 3, 6]
    expected = sum(literal_mmd(z, torch.randn_like(z), "dim_squared") for z in codes)
    assert term.item() == pytest.approx(expected, abs=1e-10)


def test_label_is_read_from_the_shared_factor_alone():
    model, batch = small(), scattered_batch()
    output = model(batch)
    wanted = [*output.embeddings.values(), output.extra["shared_code"]]
    gradients = torch.autograd.grad(model.loss(output, batch)["task"], wanted, allow_unused=True, retain_graph=True)
    assert all(g is None for g in gradients[:3]), "the label must not reach a modality's own code"
    assert gradients[3].abs().max() > 0
    term = model.loss(output, batch)["reconstruction_visual"]
    gradients = torch.autograd.grad(term, wanted, allow_unused=True)
    assert gradients[0] is None or (gradients[0] == 0).all(), "words' own factor rebuilds words only"
    assert gradients[1].abs().max() > 0
    assert gradients[3].abs().max() > 0, "both factors rebuild the modality"


def test_loss_needs_the_output_and_the_labels_only():
    """Under data-parallel training the features of the other processes' samples are not there."""
    model, batch = small(mmd_weight=0.0), scattered_batch()
    output = model(batch)
    whole = model.loss(output, Batch(None, batch.label, batch.index, {}))["loss"]
    halves = [model(batch.map(lambda t, s=s: t[s])) for s in (slice(0, 2), slice(2, 5))]
    gathered = Output(
        torch.cat([o.prediction for o in halves]),
        {m: torch.cat([o.embeddings[m] for o in halves]) for m in SIZES},
        {k: torch.cat([o.extra[k] for o in halves]) for k in halves[0].extra},
    )
    torch.testing.assert_close(model.loss(gathered, Batch(None, batch.label, batch.index, {}))["loss"], whole)


def test_a_missing_modality_has_nothing_to_rebuild():
    model, batch = small(), scattered_batch()
    terms = model.loss(model(batch.without("visual")), batch)
    assert terms["reconstruction_visual"] == 0
    assert terms["reconstruction_acoustic"] > 0
    assert torch.isfinite(terms["loss"])


def test_a_subset_of_modalities_has_as_many_codes():
    torch.manual_seed(0)
    model = MFM({"linguistic": 7, "acoustic": 3}, **OPTIONS).double()
    batch = scattered_batch()
    output = model(batch)
    assert set(output.embeddings) == {"linguistic", "acoustic"}
    assert "reconstruction_visual" not in model.loss(output, batch)


def expected_count(d, h, nets, size, code, shared_code, factor, shared_factor):
    def two(inputs, hidden, outputs):
        return inputs * hidden + hidden + hidden * outputs + outputs

    def lstm(inputs, width):
        return 4 * width * (inputs + width + 2)

    total = sum(h)
    attention, candidate, retain, update = nets
    count = sum(lstm(x, w) for x, w in zip(d, h))
    count += two(2 * total, attention, 2 * total) + two(2 * total, candidate, size)
    count += two(2 * total + size, retain, size) + two(2 * total + size, update, size)
    count += (total + size + 1) * shared_code
    count += two(shared_code, shared_factor, shared_factor) + two(shared_factor, shared_factor, 1)
    for x, z, f in zip(d, code, factor):
        width = shared_factor + f
        count += lstm(x, z) + (z + 1) * z + two(z, f, f) + lstm(width, width) + (width + 1) * x
    return count


def test_parameters_are_those_of_the_published_sizes():
    with torch.device("meta"):
        best = MFM({"linguistic": 300, "visual": 20, "acoustic": 5})
        mmsa = MFM(
            {"linguistic": 768, "visual": 20, "acoustic": 5},
            hidden=Sizes(128, 128, 32),
            memory=FactorMemory(size=64, attention=32, candidate=64, retain=32, update=64),
            code=Sizes(64, 80, 80),
            shared_code=80,
            factor=Sizes(32, 64, 16),
            shared_factor=64,
        )
    expected = expected_count((300, 20, 5), (88, 48, 64), [128] * 4, 64, (32, 80, 8), 32, (88, 8, 8), 16)
    assert sum(p.numel() for p in best.parameters()) == expected == 700_694
    expected = expected_count((768, 20, 5), (128, 128, 32), [32, 64, 32, 64], 64, (64, 80, 80), 80, (32, 64, 16), 64)
    assert sum(p.numel() for p in mmsa.parameters()) == expected
