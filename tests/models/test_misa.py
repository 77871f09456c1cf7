"""MISA: losses and representations against their equations, written as loops."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from modashift.batch import Seq
from modashift.models.misa import SequenceSummary, central_moment_discrepancy, overlap
from support import SIZES, build


def literal_cmd(x, y, moments=5):
    n, total = len(x), 0.0
    columns = range(x.shape[1])
    mean_x = [sum(float(x[i, c]) for i in range(n)) / n for c in columns]
    mean_y = [sum(float(y[i, c]) for i in range(n)) / n for c in columns]
    total += math.sqrt(sum((a - b) ** 2 for a, b in zip(mean_x, mean_y)))
    for k in range(2, moments + 1):
        squares = 0.0
        for c in columns:
            moment_x = sum((float(x[i, c]) - mean_x[c]) ** k for i in range(n)) / n
            moment_y = sum((float(y[i, c]) - mean_y[c]) ** k for i in range(n)) / n
            squares += (moment_x - moment_y) ** 2
        total += math.sqrt(squares)
    return total


def literal_overlap(a, b):
    n, h = a.shape

    def prepared(x):
        rows = [[float(x[i, c]) - sum(float(x[j, c]) for j in range(n)) / n for c in range(h)] for i in range(n)]
        return [[v / (math.sqrt(sum(w * w for w in row)) + 1e-6) for v in row] for row in rows]

    a, b = prepared(a), prepared(b)
    return sum(sum(a[i][p] * b[i][q] for i in range(n)) ** 2 for p in range(h) for q in range(h)) / h**2


def sample(n=7, h=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, h, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("moments", [1, 2, 5])
def test_cmd_equals_its_loops(moments):
    x, y = sample(), sample(seed=1) ** 2
    value = central_moment_discrepancy(x, y, moments)
    assert value.item() == pytest.approx(literal_cmd(x, y, moments), abs=1e-10)
    assert value.item() == pytest.approx(central_moment_discrepancy(y, x, moments).item(), abs=1e-15)


def test_cmd_of_a_sample_with_itself_is_zero_and_has_a_gradient():
    x = sample().requires_grad_()
    value = central_moment_discrepancy(x, x.detach().clone())
    value.backward()
    assert value.item() == 0
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("n", [2, 7])
def test_overlap_equals_its_loops(n):
    a, b = sample(n), sample(n, seed=1)
    assert overlap(a, b).item() == pytest.approx(literal_overlap(a, b), abs=1e-10)


def test_overlap_is_zero_where_columns_are_orthogonal_over_the_batch():
    # Columns of a Hadamard matrix without the constant one: centred already, rows of equal length, all orthogonal.
    h2 = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    h8 = torch.kron(h2, torch.kron(h2, h2))
    a, b = h8[:, 1:4], h8[:, 4:7]
    assert overlap(a, b).item() == pytest.approx(0, abs=1e-12)
    assert overlap(a, a).item() > 1
    assert overlap(a, b + 3).item() == pytest.approx(0, abs=1e-12), "a constant over the batch does not count"


def test_the_row_lengths_take_no_gradient():
    a, b = sample().requires_grad_(), sample(seed=1)
    overlap(a, b).backward()
    centred = (a - a.mean(0)).detach()
    scale = centred.norm(dim=1, keepdim=True) + 1e-6
    again = a.detach().clone().requires_grad_()
    other = (b - b.mean(0)) / ((b - b.mean(0)).norm(dim=1, keepdim=True) + 1e-6)
    (((again - again.mean(0)) / scale).T @ other).square().mean().backward()
    torch.testing.assert_close(a.grad, again.grad, atol=1e-12, rtol=0)


def double(batch):
    return batch.map(lambda t: t.double() if t.is_floating_point() else t)


@pytest.mark.parametrize("modalities", [("visual",), ("acoustic",), ("visual", "acoustic")])
def test_the_total_is_the_weighted_sum_of_its_parts(tiny_config, make_batch, modalities):
    weights = {"difference_weight": 0.2, "similarity_weight": 0.7, "reconstruction_weight": 1.3}
    model = build("misa", tiny_config, {m: SIZES[m] for m in modalities}, size=8, **weights).double().eval()
    batch = double(make_batch())
    with torch.no_grad():
        output = model(batch)
        losses = {k: v.item() for k, v in model.loss(output, batch).items()}
    names = ["linguistic", *modalities]
    part = {
        kind: {m: output.extra[kind][:, i] for i, m in enumerate(names)}
        for kind in ("projected", "private", "shared", "reconstructed")
    }
    # The pairs by name, as the paper lists them.
    difference = sum(literal_overlap(part["private"][m], part["shared"][m]) for m in names)
    similarity, reconstruction = [], []
    for x, y in (("visual", "acoustic"), ("linguistic", "acoustic"), ("linguistic", "visual")):
        if x in names and y in names:
            difference += literal_overlap(part["private"][x], part["private"][y])
            similarity.append(literal_cmd(part["shared"][x], part["shared"][y]))
    for m in names:
        entries = (part["reconstructed"][m] - part["projected"][m]).flatten().tolist()
        reconstruction.append(sum(e * e for e in entries) / len(entries))
    mse = sum((p - y) ** 2 for p, y in zip(output.prediction.tolist(), batch.label.tolist())) / 6
    assert losses["difference"] == pytest.approx(difference, abs=1e-10)
    assert losses["similarity"] == pytest.approx(sum(similarity) / len(similarity), abs=1e-10)
    assert losses["reconstruction"] == pytest.approx(sum(reconstruction) / len(reconstruction), abs=1e-10)
    assert losses["mse"] == pytest.approx(mse, abs=1e-10)
    total = mse + 0.2 * losses["difference"] + 0.7 * losses["similarity"] + 1.3 * losses["reconstruction"]
    assert losses["loss"] == pytest.approx(total, abs=1e-10)


def test_representations_equal_their_equations(tiny_config, make_batch):
    """One utterance at a time, without padding, from the words and features to the score."""
    model = build("misa", tiny_config, size=8).double().eval()
    batch = double(make_batch())
    with torch.no_grad():
        output = model(batch)
        for b in range(len(batch)):
            real = batch.text.mask[b]
            ids = batch.text.ids[b : b + 1, real]
            u = {"linguistic": model.encoder.backbone(input_ids=ids).last_hidden_state[0].mean(0)}
            for m in SIZES:
                steps = batch.features[m].values[b : b + 1, batch.features[m].mask[b]]
                summary = model.summary[m]
                states, (last, _) = summary.first(steps)
                later = summary.second(summary.norm(states))[1][0]
                u[m] = torch.cat([last[0, 0], later[0, 0], last[1, 0], later[1, 0]])
            private, shared = [], []
            for i, m in enumerate(("linguistic", "visual", "acoustic")):
                linear, _, norm = model.project[m]
                x = torch.relu(linear.weight @ u[m] + linear.bias)
                x = (x - x.mean()) / (x.var(unbiased=False) + 1e-5).sqrt() * norm.weight + norm.bias
                p = 1 / (1 + torch.exp(-(model.private[m].weight @ x + model.private[m].bias)))
                s = 1 / (1 + torch.exp(-(model.shared.weight @ x + model.shared.bias)))
                r = model.reconstruct[m].weight @ (p + s) + model.reconstruct[m].bias
                for kind, value in (("projected", x), ("private", p), ("shared", s), ("reconstructed", r)):
                    torch.testing.assert_close(output.extra[kind][b, i], value, atol=1e-10, rtol=0)
                private.append(p)
                shared.append(s)
            fused = model.fusion(torch.stack([*private, *shared])[None]).flatten()
            first, _, _, second = model.predictor
            score = second.weight[0] @ torch.relu(first.weight @ fused + first.bias) + second.bias[0]
            torch.testing.assert_close(output.prediction[b], score, atol=1e-10, rtol=0)
    for kind in ("private", "shared"):
        assert 0 < output.extra[kind].min() < output.extra[kind].max() < 1


def test_fusion_reads_six_vectors_of_128(tiny_config, make_batch):
    model, seen = build("misa", tiny_config).eval(), []
    model.fusion.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    model(make_batch())
    assert seen == [(6, 6, 128)]
    assert [type(layer) for layer in model.predictor] == [nn.Linear, nn.Dropout, nn.ReLU, nn.Linear]
    assert model.predictor[0].weight.shape == (384, 768)


def test_parameters_are_those_of_the_published_sizes():
    from transformers import BertConfig

    with torch.device("meta"):
        model = build("misa", BertConfig().to_dict(), {"visual": 47, "acoustic": 74})

    def lstm(inputs, hidden):  # both directions: four gates, two biases
        return 2 * 4 * hidden * (inputs + hidden + 2)

    h = 128
    expected = sum(lstm(d, d) + 2 * 2 * d + lstm(2 * d, d) for d in (47, 74))
    expected += sum(u * h + h + 2 * h for u in (768, 4 * 47, 4 * 74))  # projections with their norms
    expected += 3 * (h * h + h) + (h * h + h) + 3 * (h * h + h)  # private, shared, reconstruction
    expected += 4 * (h * h + h) + 2 * h * 2048 + 2048 + h + 4 * h  # the Transformer layer
    expected += 768 * 384 + 384 + 384 + 1
    new = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in model.pretrained_parameters())
    assert new == expected


def test_targets_of_the_reconstruction_learn_too(tiny_config, make_batch):
    model, batch = build("misa", tiny_config, size=8), make_batch()
    for linear in model.reconstruct.values():
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
    model.loss(model(batch), batch)["reconstruction"].backward()
    # With R = 0 the reconstruction feels nothing of the projections; only its target does.
    assert model.private["visual"].weight.grad.abs().max() == 0
    assert model.project["visual"][2].weight.grad.abs().max() > 0


def test_the_summary_ignores_masked_steps_wherever_they_are():
    torch.manual_seed(0)
    module = SequenceSummary(3).double()
    values, mask = torch.randn(4, 8, 3, dtype=torch.float64), torch.rand(4, 8) < 0.6
    mask[0], mask[1, 0], mask[1, 7], mask[3] = True, False, False, False
    values[~mask] = 1e6
    summary = module(Seq(values, mask))
    for b in range(3):
        states, (last, _) = module.first(values[b : b + 1, mask[b]])
        later = module.second(module.norm(states))[1][0]
        expected = torch.cat([last[0, 0], later[0, 0], last[1, 0], later[1, 0]])
        torch.testing.assert_close(summary[b], expected, atol=1e-12, rtol=0)
    assert (summary[3] == 0).all()


def test_recurrent_matrices_start_orthogonal():
    for lstm in (SequenceSummary(6).first, SequenceSummary(6).second):
        for name in ("weight_hh_l0", "weight_hh_l0_reverse"):
            weight = getattr(lstm, name)
            torch.testing.assert_close(weight.T @ weight, torch.eye(6), atol=1e-5, rtol=0)


def test_a_batch_of_one_trains(tiny_config, make_batch):
    for similarity in ("cmd", "adversarial"):
        model, batch = build("misa", tiny_config, similarity=similarity), make_batch(size=1)
        losses = model.loss(model(batch), batch)
        losses["loss"].backward()
        assert losses["difference"] == 0
        assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_the_discriminator_learns_and_the_encoder_unlearns(tiny_config, make_batch):
    """Cross-entropy by its formula; the gradient is its own for the discriminator, the opposite for the rest."""
    model = build("misa", tiny_config, similarity="adversarial", dropout=0.0, size=8).double().eval()
    batch = double(make_batch())
    output = model(batch)
    similarity = model.loss(output, batch)["similarity"]
    shared = [output.embeddings[m] for m in ("linguistic", "visual", "acoustic")]
    total = 0
    for i in range(3):
        logits = model.discriminator(shared[i])
        for b in range(6):
            total = total - (logits[b, i] - logits[b].exp().sum().log())
    total = total / 18
    torch.testing.assert_close(similarity, total, atol=1e-10, rtol=0)
    for weight, sign in ((model.discriminator[0].weight, 1), (model.shared.weight, -1)):
        reached = torch.autograd.grad(similarity, weight, retain_graph=True)[0]
        plain = torch.autograd.grad(total, weight, retain_graph=True)[0]
        assert plain.abs().max() > 1e-6
        torch.testing.assert_close(reached, sign * plain, atol=1e-12, rtol=0)
    assert build("misa", tiny_config).discriminator is None


def test_layers_can_be_frozen(tiny_config):
    model = build("misa", tiny_config, frozen_layers=1)
    first, second = model.encoder.backbone.encoder.layer
    assert not any(p.requires_grad for p in first.parameters())
    assert all(p.requires_grad for p in second.parameters())
    assert all(p.requires_grad for p in model.encoder.backbone.embeddings.parameters())
    held = {id(p) for g in model.param_groups(1e-4, 1e-4, 0.0) for p in g["params"]}
    assert held.isdisjoint({id(p) for p in first.parameters()})
    deeper = build("misa", tiny_config, frozen_layers=9)
    assert not any(p.requires_grad for p in deeper.encoder.backbone.encoder.parameters())
    with pytest.raises(ValueError, match="frozen_layers"):
        build("misa", tiny_config, frozen_layers=-1)


def test_sequences_of_their_own_length(tiny_config, make_batch):
    model, batch = build("misa", tiny_config).eval(), make_batch()
    frames = Seq(torch.randn(6, 30, 3), torch.ones(6, 30, dtype=torch.bool))
    frames.mask[:, 20:] = False
    long = replace(batch, features={**batch.features, "acoustic": frames})
    short = replace(batch, features={**batch.features, "acoustic": Seq(frames.values[:, :20], frames.mask[:, :20])})
    with torch.no_grad():
        torch.testing.assert_close(model(long).prediction, model(short).prediction)
        assert not torch.equal(model(long).prediction, model(batch).prediction)


def test_wrong_data_are_refused(tiny_config):
    with pytest.raises(ValueError, match="neither visual nor acoustic"):
        build("misa", tiny_config, {})
