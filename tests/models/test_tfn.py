"""TFN against its equations, written out with indices."""

import math

import pytest
import torch

from modashift.batch import Batch, Seq
from modashift.models.tfn import TFN, PresentBatchNorm, tensor_fusion

SIZES = {"linguistic": 7, "visual": 5, "acoustic": 3}
SMALL = {"lstm": 6, "linguistic": 4, "visual": 3, "acoustic": 2, "fusion": 5}


def small(**options) -> TFN:
    torch.manual_seed(0)
    model = TFN(SIZES, **SMALL, **options).double().eval()
    for network in model.averaged.values():  # statistics as after some training
        network.norm.running_mean.normal_()
        network.norm.running_var.uniform_(0.5, 2)
    return model


def scattered_batch(sizes=SIZES, n=5, seed=0) -> Batch:
    """Sequences of lengths of their own, real steps anywhere among masked ones that hold garbage."""
    generator = torch.Generator().manual_seed(seed)
    features = {}
    for length, (m, size) in zip((8, 11, 9), sizes.items()):
        mask = torch.rand(n, length, generator=generator) < 0.6
        mask[:, 3] = True
        values = torch.randn(n, length, size, dtype=torch.float64, generator=generator)
        features[m] = Seq(values.masked_fill(~mask.unsqueeze(-1), 77.0), mask)
    label = torch.rand(n, generator=generator) * 6 - 3
    return Batch(None, label, torch.arange(n), features)


def literal(model: TFN, batch: Batch, row: int):
    """Score of one utterance and its codes, from the equations."""
    real = {m: seq.values[row][seq.mask[row]] for m, seq in batch.features.items()}
    lstm = model.lstm
    h = c = torch.zeros(SMALL["lstm"], dtype=torch.float64)
    for x in real["linguistic"]:
        gates = lstm.weight_ih_l0 @ x + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ h + lstm.bias_hh_l0
        i, f, g, o = gates.chunk(4)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    codes = {"linguistic": model.linguistic[1].weight @ h + model.linguistic[1].bias}
    for m in ("visual", "acoustic"):
        network = model.averaged[m]
        z = sum(real[m]) / len(real[m])
        norm = network.norm
        z = (z - norm.running_mean) / torch.sqrt(norm.running_var + 1e-5) * norm.weight + norm.bias
        for layer in network.layers:
            z = (layer.weight @ z + layer.bias).clamp(min=0)
        codes[m] = z
    z_l, z_v, z_a = ([1.0, *code.tolist()] for code in codes.values())
    product = torch.tensor([a * b * c for a in z_l for b in z_v for c in z_a], dtype=torch.float64)
    hidden = (model.fusion[1].weight @ product + model.fusion[1].bias).clamp(min=0)
    hidden = (model.fusion[3].weight @ hidden + model.fusion[3].bias).clamp(min=0)
    score = (model.fusion[5].weight @ hidden + model.fusion[5].bias).item()
    return 6 / (1 + math.exp(-score)) - 3, codes


def test_equals_the_equations_with_masked_steps_anywhere():
    model, batch = small(), scattered_batch()
    output = model(batch)
    for row in range(len(batch)):
        score, codes = literal(model, batch, row)
        assert output.prediction[row].item() == pytest.approx(score, abs=1e-10)
        for m, code in codes.items():
            torch.testing.assert_close(output.embeddings[m][row], code, atol=1e-10, rtol=0)


def test_product_equals_three_loops():
    generator = torch.Generator().manual_seed(1)
    codes = {m: torch.randn(2, d, dtype=torch.float64, generator=generator) for m, d in SIZES.items()}
    fused = tensor_fusion(codes)
    assert fused.shape == (2, 8 * 6 * 4)
    for b in range(2):
        z_l, z_v, z_a = ([1.0, *z[b].tolist()] for z in codes.values())
        for i, x in enumerate(z_l):
            for j, y in enumerate(z_v):
                for k, w in enumerate(z_a):
                    assert fused[b, (i * 6 + j) * 4 + k].item() == pytest.approx(x * y * w, abs=1e-12)


def test_without_face_and_voice_only_the_words_slice_is_left():
    z = torch.rand(1, 7) + 1
    fused = tensor_fusion({"linguistic": z, "visual": torch.zeros(1, 5), "acoustic": torch.zeros(1, 3)}).view(8, 6, 4)
    assert fused.count_nonzero() == 8
    torch.testing.assert_close(fused[:, 0, 0], torch.cat([torch.ones(1), z[0]]))


@pytest.mark.parametrize("modality", list(SIZES))
def test_a_missing_modality_leaves_the_products_without_it(modality):
    model, batch = small(), scattered_batch()
    codes = model(batch.without(modality)).embeddings
    assert (codes[modality] == 0).all()
    complete = model(batch).embeddings
    for m in SIZES:
        if m != modality:
            torch.testing.assert_close(codes[m], complete[m])


def test_a_missing_modality_of_one_utterance_stays_out_of_the_batch_statistics():
    batch = scattered_batch()
    mask = batch.features["visual"].mask.clone()
    mask[2] = False
    batch = Batch(
        None, batch.label, batch.index, {**batch.features, "visual": Seq(batch.features["visual"].values, mask)}
    )
    model = small().train()
    with torch.no_grad():
        together = model.averaged["visual"].norm.running_mean.clone()
        model(batch)
        means = torch.stack(
            [batch.features["visual"].values[r][mask[r]].mean(0) for r in range(len(batch)) if r != 2]
        ).mean(0)
    torch.testing.assert_close(model.averaged["visual"].norm.running_mean, 0.9 * together + 0.1 * means)


@pytest.mark.parametrize("train", [True, False])
def test_norm_equals_torch_where_all_are_present_and_its_subset_otherwise(train):
    torch.manual_seed(0)
    values, weight = torch.randn(6, 4).double() * 3 + 2, torch.randn(6, 4).double()
    present = torch.tensor([True, True, False, True, False, True])
    for rows in (torch.ones(6, dtype=torch.bool), present):
        ours, theirs = PresentBatchNorm(4).double().train(train), torch.nn.BatchNorm1d(4).double().train(train)
        a, b = values.clone().requires_grad_(), values.clone().requires_grad_()
        for _ in range(2):
            x, y = ours(a, rows), theirs(b[rows])
        torch.testing.assert_close(x[rows], y)
        (x[rows] * weight[rows]).sum().backward()
        (y * weight[rows]).sum().backward()
        torch.testing.assert_close(a.grad, b.grad)
        torch.testing.assert_close(ours.running_mean, theirs.running_mean)
        torch.testing.assert_close(ours.running_var, theirs.running_var)


@pytest.mark.parametrize("rows", [1, 3])
def test_norm_takes_fewer_than_two_and_learns_nothing_from_them(rows):
    norm = PresentBatchNorm(4).train()
    present = torch.zeros(rows, dtype=torch.bool)
    present[0] = rows == 1
    assert torch.isfinite(norm(torch.randn(rows, 4), present)).all()
    assert (norm.running_mean == 0).all()
    assert (norm.running_var == 1).all()


def test_scores_stay_within_the_limit():
    batch = scattered_batch()
    with torch.no_grad():
        for limit in (3.0, 4.0):
            model = small(limit=limit)
            model.fusion[5].weight.mul_(1e6)
            assert model(batch).prediction.abs().max() <= limit
            model.fusion[5].weight.zero_()
            model.fusion[5].bias.fill_(math.log(3))  # σ = 3/4
            torch.testing.assert_close(model(batch).prediction, torch.full((5,), limit / 2).double())
        model = small(limit=None)
        model.fusion[5].bias.fill_(50)
        assert model(batch).prediction.min() > 40
    with pytest.raises(ValueError, match="limit"):
        TFN(SIZES, limit=0.0)


def test_fixed_length_divides_by_it():
    batch = scattered_batch()
    mask = batch.features["visual"].mask
    seen = []
    model = small(fixed_length=50)
    model.averaged["visual"].norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(batch)
    sums = torch.stack([batch.features["visual"].values[r][mask[r]].sum(0) for r in range(len(batch))])
    torch.testing.assert_close(seen[0], sums / 50)


def test_loss_is_the_mean_absolute_error_or_the_mean_squared():
    batch = scattered_batch()
    for kind, power in (("l1", 1), ("mse", 2)):
        model = small(task_loss=kind)
        output = model(batch)
        losses = model.loss(output, batch)
        off = [abs(p - y) for p, y in zip(output.prediction.tolist(), batch.label.double().tolist())]
        assert losses["loss"].item() == pytest.approx(sum(x**power for x in off) / 5)
        assert losses["mse"].item() == pytest.approx(sum(x**2 for x in off) / 5)


def expected_count(d_l, d_v, d_a, h, h_t, h_v, h_a, p):
    def linear(a, b):
        return a * b + b

    def averaged(d, w):
        return 2 * d + linear(d, w) + 2 * linear(w, w)

    words = 4 * h * (d_l + h + 2) + linear(h, h_t)
    product = (h_t + 1) * (h_v + 1) * (h_a + 1)
    return words + averaged(d_v, h_v) + averaged(d_a, h_a) + linear(product, p) + linear(p, p) + linear(p, 1)


def test_parameters_are_those_of_the_published_sizes():
    with torch.device("meta"):
        authors = TFN({"linguistic": 300, "visual": 20, "acoustic": 5})
        mmsa = TFN(
            {"linguistic": 768, "visual": 20, "acoustic": 5},
            lstm=128,
            linguistic=32,
            visual=128,
            acoustic=32,
            fusion=64,
        )
        words = TFN({"linguistic": 300})
    assert (
        sum(p.numel() for p in authors.parameters()) == expected_count(300, 20, 5, 128, 64, 32, 32, 160) == 11_585_235
    )
    assert sum(p.numel() for p in mmsa.parameters()) == expected_count(768, 20, 5, 128, 32, 128, 32, 64)
    assert mmsa.fusion[1].in_features == 140_481
    assert words.fusion[1].in_features == 65


def test_order_of_the_sizes_is_immaterial():
    """``config.json`` sorts its keys."""
    batch, model = scattered_batch(), small()
    again = TFN(dict(sorted(SIZES.items())), **SMALL).double().eval()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(batch).prediction, model(batch).prediction)
