"""The shifted encoder against transformers' own."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from modashift.batch import Batch, Pieces, Seq
from modashift.models.cms import ShiftOptions
from modashift.models.encoder import ShiftedEncoder, shifted_layers

SIZES = {"visual": 5, "acoustic": 3}


def reference(encoder, batch):
    with torch.no_grad():
        return encoder.backbone(input_ids=batch.text.ids, attention_mask=batch.text.mask.long()).last_hidden_state


@pytest.mark.parametrize("site", ["post_projection", "pre_projection"])
def test_zero_projections_equal_transformers_bert(tiny_config, make_batch, site):
    encoder = ShiftedEncoder(tiny_config, SIZES, options=ShiftOptions(site=site)).eval()
    batch = make_batch()
    for module in encoder.shift.values():
        for projection in module.project.values():
            nn.init.zeros_(projection.weight)
    with torch.no_grad():
        hidden = encoder(batch).hidden
    torch.testing.assert_close(hidden[batch.text.mask], reference(encoder, batch)[batch.text.mask], atol=1e-5, rtol=0)


@pytest.mark.parametrize("model_type", ["bert", "roberta", "camembert"])
def test_plain_encoder_equals_transformers(tiny_config, make_batch, model_type):
    config = {**tiny_config, "model_type": model_type, "pad_token_id": 0 if model_type == "bert" else 1}
    encoder = ShiftedEncoder(config, {}, "none").eval()
    batch = make_batch()
    if model_type != "bert":  # their positions are counted from the padding id
        batch = replace(batch, text=replace(batch.text, ids=batch.text.ids.masked_fill(~batch.text.mask, 1)))
    with torch.no_grad():
        hidden = encoder(batch).hidden
    torch.testing.assert_close(hidden[batch.text.mask], reference(encoder, batch)[batch.text.mask], atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", [ShiftOptions(), ShiftOptions(activation="tanh", heads="shared", scale="hidden")])
def test_details_do_not_change_the_result(tiny_config, make_batch, options):
    encoder = ShiftedEncoder(tiny_config, SIZES, options=options).eval()
    batch = make_batch()
    with torch.no_grad():
        plain, detailed = encoder(batch), encoder(batch, details=True)
    torch.testing.assert_close(plain.hidden, detailed.hidden, atol=1e-6, rtol=0)
    assert plain.maps == {}
    assert plain.attentions == []
    assert sorted(detailed.maps) == [0, 1]
    assert detailed.maps[0]["visual"].shape == (6, 9, 9)
    torch.testing.assert_close(detailed.attentions[0].sum(-1), torch.ones(6, 4, 9))


def test_attention_is_that_of_equations_5_to_7(tiny_config, make_batch):
    """One layer recomputed with loops: e_ij, α_ij and z_i with a_i added to query, key and value."""
    encoder = ShiftedEncoder(tiny_config, SIZES, "first").double().eval()
    batch = make_batch(size=2, longest=6)
    batch = batch.map(lambda t: t.double() if t.is_floating_point() else t)
    with torch.no_grad():
        x = encoder.backbone.embeddings(input_ids=batch.text.ids)
        a = encoder.shift["0"](x, {m: batch.features[m].values for m in SIZES}, batch.text.real)
        own = encoder.backbone.encoder.layer[0].attention.self
        query, key, value = own.query(x) + a, own.key(x) + a, own.value(x) + a
        z = torch.zeros_like(x)
        for b in range(2):
            n = int(batch.text.mask[b].sum())
            for head in range(4):
                part = slice(4 * head, 4 * head + 4)
                for i in range(n):
                    e = torch.stack([query[b, i, part] @ key[b, j, part] / 2 for j in range(n)])  # √4 = 2
                    alpha = e.exp() / e.exp().sum()
                    z[b, i, part] = sum(alpha[j] * value[b, j, part] for j in range(n))
        layer = encoder.backbone.encoder.layer[0]
        attended = layer.attention.output(z, x)
        expected = layer.output(layer.intermediate(attended), attended)
        expected = encoder.backbone.encoder.layer[1](expected, attention_mask=batch.text.mask[:, None, None, :])
        hidden = encoder(batch).hidden
    torch.testing.assert_close(hidden[batch.text.mask], expected[batch.text.mask], atol=1e-10, rtol=0)


def test_generalised_mag_bert(tiny_config, make_batch):
    """CMS equals a gate before the layer under exactly the conditions stated in the documentation.

    The shift must enter before the projections, the residual path must carry X + a, the context must be the own step,
    and MAG's norm clip, LayerNorm, dropout, vector gates and biases must be off.
    """
    batch = make_batch()

    def outputs(options):
        encoder = ShiftedEncoder(tiny_config, SIZES, "first", options).eval()
        torch.manual_seed(1)
        for module in encoder.shift.values():
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=0.3)
        with torch.no_grad():
            x = encoder.backbone.embeddings(input_ids=batch.text.ids)
            gated = x.clone()
            for m in SIZES:  # scalar MAG: Z + g_i W V_i at the own step
                module = encoder.shift["0"]
                seq = batch.features[m]
                both = torch.cat([x, seq.values], -1)
                gate = torch.relu(module.gate[m](both))
                gated = gated + gate * module.project[m](seq.values) * batch.text.real.unsqueeze(-1)
            mag = encoder.backbone.encoder(
                gated, attention_mask=torch.where(batch.text.mask, 0.0, -1e30)[:, None, None, :]
            ).last_hidden_state
            return encoder(batch).hidden[batch.text.mask], mag[batch.text.mask]

    cms, mag = outputs(ShiftOptions(site="pre_projection", residual=True, context_window=0))
    torch.testing.assert_close(cms, mag, atol=2e-6, rtol=0)
    for other in (
        ShiftOptions(),
        ShiftOptions(site="pre_projection", residual=True),
        ShiftOptions(site="pre_projection", context_window=0),
        ShiftOptions(residual=True, context_window=0),
    ):
        cms, mag = outputs(other)
        assert (cms - mag).abs().max() > 1e-3, f"{other} should not be MAG-BERT"


def test_specials_can_be_kept_unshifted(tiny_config, make_batch):
    batch = make_batch()
    for specials, moved in (("shift", True), ("keep", False)):
        encoder = ShiftedEncoder(tiny_config, SIZES, options=ShiftOptions(specials=specials, initial_scale=0.5)).eval()
        shift = encoder(batch, details=True).shifts[0]
        assert bool((shift[:, 0] != 0).any()) == moved
        assert (shift[batch.text.real] != 0).any()


def test_layers_share_weights_only_when_asked(tiny_config):
    own = ShiftedEncoder(tiny_config, SIZES)
    shared = ShiftedEncoder(tiny_config, SIZES, options=ShiftOptions(share_layers=True))
    assert len(own.shift) == 2
    assert len(shared.shift) == 1
    assert shared.shifted == {0, 1}


def test_every_gate_receives_gradients(tiny_config, make_batch):
    encoder = ShiftedEncoder(tiny_config, SIZES)
    encoder(make_batch()).hidden.square().sum().backward()
    for name, parameter in encoder.shift.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).any(), name


def test_unaligned_sequences_shift_too(tiny_config, make_batch):
    batch = make_batch()
    seq = Seq(torch.randn(6, 30, 3), torch.rand(6, 30) < 0.9)
    encoder = ShiftedEncoder(tiny_config, {"acoustic": 3}).eval()
    frames = Batch(batch.text, batch.label, batch.index, {"acoustic": seq})
    assert encoder(frames).hidden.shape == (6, 9, 16)


def test_layer_names():
    assert shifted_layers("all", 3) == [0, 1, 2]
    assert shifted_layers("first", 3) == [0]
    assert shifted_layers([3, 1], 3) == [0, 2]
    with pytest.raises(ValueError, match="numbered 1 to 3"):
        shifted_layers([4], 3)
    with pytest.raises(ValueError, match="layers must be"):
        shifted_layers("last", 3)


def test_other_architectures_are_refused():
    with pytest.raises(ValueError, match="'gpt2' is not supported"):
        ShiftedEncoder({"model_type": "gpt2"}, {})


def test_pieces_know_the_real_ones():
    pieces = Pieces(torch.ones(1, 3, dtype=torch.long), torch.ones(1, 3, dtype=torch.bool), torch.tensor([[-1, 0, -1]]))
    assert pieces.real.tolist() == [[False, True, False]]
