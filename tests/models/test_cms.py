"""The shift against its equations, read literally."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modashift.models.cms import ACTIVATIONS, ModalityShift

SIZES = {"visual": 5, "acoustic": 3}


def literal(module: ModalityShift, hidden, features, masks, window=None):
    """Equations (1)–(4) with their indices, one pair of positions at a time."""
    sigma = ACTIVATIONS[module.activation]
    shift = torch.zeros_like(hidden)
    for b in range(hidden.shape[0]):
        for i in range(hidden.shape[1]):
            for m, values in features.items():
                total, count = torch.zeros(hidden.shape[2], dtype=hidden.dtype), 0
                for j in range(values.shape[1]):
                    if not masks[m][b, j] or (window is not None and abs(i - j) > window):
                        continue
                    both = torch.cat([hidden[b, i], values[b, j]])
                    gate = sigma(module.gate[m].weight[0] @ both + module.gate[m].bias[0])
                    total = total + gate * (module.project[m].weight @ values[b, j])
                    count += 1
                if count:
                    shift[b, i] += total / count
    return shift


def case(sizes=SIZES, batch=3, words=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(batch, words, 8, dtype=torch.float64, generator=generator)
    features = {m: torch.randn(batch, words, d, dtype=torch.float64, generator=generator) for m, d in sizes.items()}
    mask = torch.rand(batch, words, generator=generator) < 0.7
    mask[0] = True
    return hidden, features, mask


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("modalities", [("visual",), ("acoustic",), ("visual", "acoustic")])
@pytest.mark.parametrize("window", [None, 0, 2])
def test_equals_the_double_loop(activation, modalities, window):
    sizes = {m: SIZES[m] for m in modalities}
    module = ModalityShift(8, sizes, activation, context_window=window, initial_scale=0.5, gate_bias=0.1).double()
    hidden, features, mask = case(sizes)
    expected = literal(module, hidden, features, dict.fromkeys(sizes, mask), window)
    torch.testing.assert_close(module(hidden, features, mask), expected, atol=1e-10, rtol=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 7), st.integers(0, 2**16), st.sampled_from(sorted(ACTIVATIONS)))
def test_equals_the_double_loop_for_any_shape(batch, words, seed, activation):
    module = ModalityShift(8, SIZES, activation, initial_scale=0.4).double()
    hidden, features, mask = case(batch=batch, words=words, seed=seed)
    expected = literal(module, hidden, features, dict.fromkeys(SIZES, mask))
    torch.testing.assert_close(module(hidden, features, mask), expected, atol=1e-10, rtol=0)


def test_gradients_equal_those_of_the_double_loop():
    module = ModalityShift(8, SIZES, "sigmoid", initial_scale=0.3).double()
    hidden, features, mask = case()
    hidden.requires_grad_()
    weights = [hidden, *module.parameters()]
    fast = torch.autograd.grad(module(hidden, features, mask).square().sum(), weights)
    slow = torch.autograd.grad(literal(module, hidden, features, dict.fromkeys(SIZES, mask)).square().sum(), weights)
    for a, b in zip(fast, slow):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-10)


def test_parameters_have_the_fixed_names_and_shapes():
    shapes = {name: tuple(p.shape) for name, p in ModalityShift(8, SIZES).named_parameters()}
    assert shapes == {
        "gate.visual.weight": (1, 13),
        "gate.visual.bias": (1,),
        "gate.acoustic.weight": (1, 11),
        "gate.acoustic.bias": (1,),
        "project.visual.weight": (8, 5),
        "project.acoustic.weight": (8, 3),
    }


def test_extra_parameters_are_those_of_the_paper_sizes():
    def count(visual):
        return sum(p.numel() for p in ModalityShift(768, {"visual": visual, "acoustic": 74}).parameters())

    assert count(47) == 94_587  # CMU-MOSI, one layer
    assert count(35) == 85_359  # CMU-MOSEI


def test_masked_steps_change_nothing_and_a_real_step_changes_every_word():
    module = ModalityShift(8, SIZES, "sigmoid", initial_scale=0.5).double()
    hidden, features, mask = case()
    mask[1, 2], mask[1, 3] = False, True
    before = module(hidden, features, mask)
    features["visual"][1, 2] += 10
    torch.testing.assert_close(module(hidden, features, mask), before, atol=0, rtol=0)
    features["visual"][1, 3] += 10
    moved = (module(hidden, features, mask) - before)[1].abs().amax(-1)
    assert (moved > 1e-6).all(), "the context is the whole utterance, so every word must feel a real step"


def test_no_real_step_gives_zero():
    module = ModalityShift(8, SIZES)
    hidden, features, mask = case()
    shift = module(hidden.float(), {m: f.float() for m, f in features.items()}, torch.zeros_like(mask))
    assert (shift == 0).all()


def test_missing_modality_shifts_nothing():
    module = ModalityShift(8, SIZES).double()
    hidden, features, mask = case()
    only = module(hidden, {"visual": features["visual"]}, mask)
    zeroed = module(hidden, {**features, "acoustic": torch.zeros_like(features["acoustic"])}, mask)
    torch.testing.assert_close(only, zeroed)
    assert module(hidden, {}, mask).shape == hidden.shape


def test_sequences_of_another_length_are_taken_with_masks_of_their_own():
    module = ModalityShift(8, SIZES, initial_scale=0.5).double()
    hidden, features, mask = case()
    features["acoustic"] = torch.randn(3, 11, 3, dtype=torch.float64)
    masks = {"visual": mask, "acoustic": torch.rand(3, 11) < 0.8}
    torch.testing.assert_close(
        module(hidden, features, masks), literal(module, hidden, features, masks), atol=1e-10, rtol=0
    )
    with pytest.raises(ValueError, match="context_window needs features aligned"):
        ModalityShift(8, SIZES, context_window=1).double()(hidden, features, masks)


def test_fixed_length_is_the_literal_divisor():
    module = ModalityShift(8, SIZES, initial_scale=0.5).double()
    fixed = ModalityShift(8, SIZES, initial_scale=0.5, fixed_length=50).double()
    fixed.load_state_dict(module.state_dict())
    hidden, features, mask = case()
    expected = module(hidden, features, mask) * (mask.sum(1) / 50)[:, None, None]
    torch.testing.assert_close(fixed(hidden, features, mask), expected)


def test_segment_normalised_features_and_constant_gates_shift_nothing():
    module = ModalityShift(8, {"visual": 5}, "identity").double()
    hidden, features, mask = case({"visual": 5})
    with torch.no_grad():
        module.gate["visual"].weight.zero_()
        module.gate["visual"].bias.fill_(1.0)
    values = features["visual"]
    values = (values - (values * mask[..., None]).sum(1, keepdim=True) / mask.sum(1)[:, None, None]) * mask[..., None]
    assert module(hidden, {"visual": values}, mask).abs().max() < 1e-12


def test_maps_average_to_the_mean_entry_of_the_shift():
    module = ModalityShift(8, SIZES, initial_scale=0.5).double()
    hidden, features, mask = case()
    maps = module.maps(hidden, features, mask)
    total = sum(m.sum(-1) for m in maps.values()) / mask.sum(1)[:, None]
    torch.testing.assert_close(total, module(hidden, features, mask).mean(-1))


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="activation 'gelu'"):
        ModalityShift(8, SIZES, "gelu")
    with pytest.raises(ValueError, match="context_window"):
        ModalityShift(8, SIZES, context_window=-1)
