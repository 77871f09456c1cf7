"""MAG-BERT: the gate against its equations, token by token, and where it sits."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from modashift.models.encoder import ShiftedEncoder
from modashift.models.mag_bert import MAG
from support import SIZES, build


def gate(sizes=SIZES, beta=1.0, hidden_size=8, scale=0.5):
    torch.manual_seed(0)
    module = MAG(hidden_size, sizes, beta, 0.5).double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=scale)
    return module


def case(sizes=SIZES, batch=3, words=5, hidden_size=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(batch, words, hidden_size, dtype=torch.float64, generator=generator)
    features = {m: torch.randn(batch, words, d, dtype=torch.float64, generator=generator) for m, d in sizes.items()}
    return hidden, features


def literal(module, hidden, features, beta):
    """One token and one column at a time."""
    result = torch.zeros_like(hidden)
    for b in range(hidden.shape[0]):
        for i in range(hidden.shape[1]):
            z = hidden[b, i]
            h = []
            for column in range(len(z)):
                total = 0.0
                for m in features:
                    v = features[m][b, i]
                    both = torch.cat([v, z])
                    g = torch.relu(module.gate[m].weight[column] @ both + module.gate[m].bias[column])
                    total = total + g * (module.project[m].weight[column] @ v + module.project[m].bias[column])
                h.append(total)
            h = torch.stack(h)
            reach = h.square().sum().sqrt()
            if reach == 0:
                reach = torch.ones_like(reach)
            alpha = torch.minimum(z.square().sum().sqrt() / (reach + 1e-6) * beta, torch.ones_like(reach))
            moved = z + alpha * h
            centred = moved - moved.mean()
            result[b, i] = centred / (centred.square().mean() + 1e-5).sqrt() * module.norm.weight + module.norm.bias
    return result


@pytest.mark.parametrize("beta", [1.0, 0.1, 1e-3])
@pytest.mark.parametrize("modalities", [("visual",), ("acoustic",), ("visual", "acoustic")])
def test_equals_the_token_loop(beta, modalities):
    sizes = {m: SIZES[m] for m in modalities}
    module, (hidden, features) = gate(sizes, beta), case(sizes)
    torch.testing.assert_close(module(hidden, features), literal(module, hidden, features, beta), atol=1e-10, rtol=0)


def test_gradients_equal_those_of_the_token_loop():
    module, (hidden, features) = gate(beta=0.3), case()
    hidden.requires_grad_()
    weights, target = [hidden, *module.parameters()], torch.randn_like(hidden)
    fast = torch.autograd.grad((module(hidden, features) * target).sum(), weights)
    slow = torch.autograd.grad((literal(module, hidden, features, 0.3) * target).sum(), weights)
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("beta", [1.0, 0.1, 1e-3])
def test_no_word_moves_further_than_beta_allows(beta):
    module, (hidden, features) = gate(beta=beta, scale=1.0), case()
    share = module.displacement(hidden, features).norm(dim=-1) / hidden.norm(dim=-1)
    assert (share <= beta).all()
    assert share.max() > 0.99 * beta, "some displacement is clipped here, or the test says nothing"
    short = {m: 1e-9 * f for m, f in features.items()}  # … and what is short stays as short as it is
    for project in module.project.values():
        nn.init.zeros_(project.bias)
    assert (module.displacement(hidden, short).norm(dim=-1) < 1e-3 * beta * hidden.norm(dim=-1)).all()


def test_beta_zero_leaves_the_layer_norm():
    module, (hidden, features) = gate(beta=0.0), case()
    normed = F.layer_norm(hidden, (8,), module.norm.weight, module.norm.bias)
    torch.testing.assert_close(module(hidden, features), normed, atol=1e-12, rtol=0)
    assert (normed - hidden).abs().max() > 0.1, "so a shut gate is not the identity"
    module.train()
    torch.manual_seed(0)
    out = module(hidden, features)
    assert 0.2 < (out == 0).double().mean() < 0.8
    torch.testing.assert_close(out[out != 0], 2 * normed[out != 0])


def test_nothing_to_add_adds_nothing():
    module, (hidden, features) = gate(), case()
    for linear in (*module.gate.values(), *module.project.values()):
        nn.init.zeros_(linear.bias)
    hidden.requires_grad_()
    zeros = {m: torch.zeros_like(f) for m, f in features.items()}
    assert (module.displacement(hidden, zeros) == 0).all()
    module(hidden, zeros).sum().backward()
    assert torch.isfinite(hidden.grad).all()
    for parameter in module.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()


def test_a_displacement_of_zero_is_bounded_as_if_it_had_length_one():
    """The published rule; its value shows in the gradient only: α_i g_i flows to the bias."""
    module, (hidden, features) = gate(beta=0.1), case()
    for parameter in module.project.parameters():
        nn.init.zeros_(parameter)
    module.displacement(hidden, features).sum().backward()
    expected = torch.zeros(8, dtype=torch.float64)
    for b in range(3):
        for i in range(5):
            both = torch.cat([features["visual"][b, i], hidden[b, i]])
            g = torch.relu(module.gate["visual"].weight @ both + module.gate["visual"].bias)
            expected += min(0.1 * hidden[b, i].norm().item() / (1 + 1e-6), 1.0) * g.detach()
    torch.testing.assert_close(module.project["visual"].bias.grad, expected, atol=1e-10, rtol=0)


def test_a_step_moves_its_own_token_only():
    module, (hidden, features) = gate(), case()
    before = module(hidden, features)
    features["visual"][1, 2] += 5
    moved = (module(hidden, features) - before).abs().amax(-1) > 1e-9
    expected = torch.zeros(3, 5, dtype=torch.bool)
    expected[1, 2] = True
    assert torch.equal(moved, expected)


@pytest.mark.parametrize(("visual", "count"), [(47, 1_370_112), (35, 1_351_680)])
def test_parameters_are_those_of_the_paper_sizes(visual, count):
    with torch.device("meta"):
        module = MAG(768, {"visual": visual, "acoustic": 74}, 1.0, 0.5)
    assert sum(p.numel() for p in module.parameters()) == count


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_gate_stands_between_embeddings_and_first_layer(tiny_config, make_batch, pooling):
    """Embeddings, the literal gate, transformers' own layers, the head."""
    model = build("mag-bert", tiny_config, pooling=pooling, beta=0.5).double().eval()
    for parameter in model.mag.parameters():
        nn.init.normal_(parameter, std=0.5)
    batch = make_batch(size=3).map(lambda t: t.double() if t.is_floating_point() else t)
    features = {m: seq.values.clone() for m, seq in batch.features.items() if m in SIZES}
    for m, values in features.items():
        values[~batch.features[m].mask] = 0
        batch.features[m].values[~batch.features[m].mask] = 99  # must not be read at [CLS], [SEP] and padding
    with torch.no_grad():
        embedded = model.encoder.backbone.embeddings(input_ids=batch.text.ids)
        moved = literal(model.mag, embedded, features, 0.5)
        allowed = torch.where(batch.text.mask, 0.0, -torch.inf)[:, None, None, :].double()
        hidden = model.encoder.backbone.encoder(moved, attention_mask=allowed).last_hidden_state
        expected = []
        for b in range(3):
            real = hidden[b, batch.text.mask[b]]
            if pooling == "cls":
                dense = model.encoder.backbone.pooler.dense
                pooled = torch.tanh(dense.weight @ real[0] + dense.bias)
            else:
                pooled = real.mean(0)
            expected.append(model.head.weight[0] @ pooled + model.head.bias[0])
        torch.testing.assert_close(model(batch).prediction, torch.stack(expected), atol=1e-10, rtol=0)


def test_what_is_left_of_it_without_the_gate(tiny_config, make_batch):
    """Removed, it leaves BERT bit by bit; shut (β = 0), BERT on embeddings that are normed once more."""
    batch = make_batch()
    model, bert = build("mag-bert", tiny_config, beta=0.0).eval(), build("bert", tiny_config).eval()
    bert.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("mag.")})
    with torch.no_grad():
        plain, shut = bert(batch).prediction, model(batch).prediction
        # The embeddings leave a layer norm: a second one with the same unit gains changes next to nothing …
        torch.testing.assert_close(shut, plain, atol=1e-5, rtol=0)
        nn.init.normal_(model.encoder.backbone.embeddings.LayerNorm.weight, std=3.0)
        bert.encoder.load_state_dict(model.encoder.state_dict())
        plain, shut = bert(batch).prediction, model(batch).prediction
        # … until the first one has learnt gains of its own.
        assert (shut - plain).abs().max() > 1e-3
        model.mag.forward = lambda hidden, features: hidden
        assert torch.equal(model(batch).prediction, plain)


def test_the_hook_of_the_encoder_changes_nothing_by_itself(tiny_config, make_batch):
    encoder, batch = ShiftedEncoder(tiny_config, {}, "none").eval(), make_batch()
    with torch.no_grad():
        plain = encoder(batch).hidden
        assert torch.equal(encoder(batch, adapt=lambda z: z).hidden, plain)
        assert not torch.equal(encoder(batch, adapt=lambda z: z.flip(-1)).hidden, plain)


def test_one_modality_alone(tiny_config, make_batch):
    model = build("mag-bert", tiny_config, {"acoustic": 3}).eval()
    assert set(model.mag.gate) == set(model.mag.project) == {"acoustic"}
    batch = make_batch()
    with torch.no_grad():
        before = model(batch).prediction
        assert torch.equal(model(batch.without("visual")).prediction, before)
        assert not torch.equal(model(batch.without("acoustic")).prediction, before)
    with pytest.raises(ValueError, match="neither visual nor acoustic"):
        build("mag-bert", tiny_config, {})


def test_frames_are_refused(tiny_config, make_batch):
    batch = make_batch()
    frames = batch.features["acoustic"].__class__(torch.randn(6, 30, 3), torch.ones(6, 30, dtype=torch.bool))
    with pytest.raises(ValueError, match="acoustic features at the word pieces, got 30 steps for 9 pieces"):
        build("mag-bert", tiny_config)(replace(batch, features={**batch.features, "acoustic": frames}))
