"""Masks over columns and steps against a naive form: one utterance, layer, mask and place at a time."""

import math
from collections import Counter

import pytest
import torch

from modashift.models.masks import Masks, hide

FEATURES, TIME = Masks(10, 0.02), Masks(2, 0.2, 0.4)
NONE = Masks(0, 0.0)


def literal_draw(masks, places):
    """What a place's bound and a width's room allow, listed."""
    bound = math.floor(masks.share * places + 1e-9)
    widths = [min(w, math.floor(masks.most * places + 1e-9)) for w in range(bound)] or [0]
    return [(first, width) for width in widths for first in range(places - width + 1)]


def literal_hide(values, mask, features, time):
    """One array of real steps (n, H) for each utterance and layer; draws come in the order they are made in."""
    batch, _, layers, size = values.shape
    counts = mask.sum(1)
    columns = features.draw(torch.full((batch, layers), size)) if features.count else None
    steps = time.draw(counts[:, None].expand(batch, layers)) if time.count else None
    result = values.clone()
    for b in range(batch):
        real = [t for t in range(values.shape[1]) if mask[b, t]]
        for layer in range(layers):
            if not real:
                continue
            array = torch.stack([values[b, t, layer] for t in real])
            total = sum(float(x) for x in array.flatten())
            mean = total / (len(real) * size)
            if columns is not None:
                for first, width in zip(columns[0][b, layer].tolist(), columns[1][b, layer].tolist()):
                    array[:, first : first + width] = mean
            if steps is not None:
                for first, width in zip(steps[0][b, layer].tolist(), steps[1][b, layer].tolist()):
                    array[first : first + width] = mean
            for row, t in zip(array, real):
                result[b, t, layer] = row
    return result


def arrays(layers=3, size=120, lengths=(30, 12, 0, 4, 1), steps=34, seed=0):
    """Real steps lie anywhere; the others hold garbage."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(len(lengths), steps, dtype=torch.bool)
    for row, count in enumerate(lengths):
        mask[row, torch.randperm(steps, generator=generator)[:count]] = True
    values = torch.randn(len(lengths), steps, layers, size, generator=generator, dtype=torch.float64)
    return torch.where(mask[:, :, None, None], values + torch.arange(layers)[:, None], 77.0), mask


@pytest.mark.parametrize("features", [NONE, FEATURES, Masks(3, 0.3)])
@pytest.mark.parametrize("time", [NONE, TIME, Masks(4, 0.9, 0.5)])
def test_equals_the_loop(features, time):
    values, mask = arrays()
    for seed in range(5):
        torch.manual_seed(seed)
        found = hide(values, mask, features, time)
        torch.manual_seed(seed)
        torch.testing.assert_close(found, literal_hide(values, mask, features, time), atol=1e-12, rtol=0)


def test_padding_is_neither_changed_nor_counted():
    values, mask = arrays()
    torch.manual_seed(0)
    found = hide(values, mask, Masks(3, 0.3), Masks(4, 0.9))
    assert (found[~mask] == 77).all()
    torch.manual_seed(0)
    other = hide(torch.where(mask[:, :, None, None], values, 1e6), mask, Masks(3, 0.3), Masks(4, 0.9))
    assert torch.equal(other[mask], found[mask])
    assert (found != values)[mask].any()


def test_each_layer_and_utterance_has_masks_of_its_own():
    torch.manual_seed(0)
    values = torch.randn(6, 40, 5, 200)
    changed = hide(values, torch.ones(6, 40, dtype=torch.bool), Masks(1, 0.5), NONE) != values
    columns = {tuple(changed[b, 0, layer].tolist()) for b in range(6) for layer in range(5)}
    assert len(columns) > 25
    assert (changed == changed[:, :1]).all()  # at every step alike


@pytest.mark.parametrize(
    ("masks", "places", "widest"),
    [
        (FEATURES, 1024, 19),
        (FEATURES, 50, 0),  # one place is drawn from: none
        (FEATURES, 35, 0),  # no place
        (TIME, 20, 3),
        (TIME, 4, 0),
        (TIME, 0, 0),
        (Masks(2, 0.29), 100, 28),  # .29 · 100 is a hair less than 29 in binary
        (Masks(2, 0.8, 0.4), 20, 8),
        (Masks(2, 1.0), 6, 5),
    ],
)
def test_widths_and_places_are_those_that_are_allowed(masks, places, widest):
    torch.manual_seed(0)
    first, width = masks.draw(torch.full((3000,), places))
    assert first.shape == width.shape == (3000, masks.count)
    allowed = set(literal_draw(masks, places))
    found = set(zip(first.flatten().tolist(), width.flatten().tolist()))
    assert found <= allowed
    assert max(w for _, w in allowed) == widest == int(width.max())
    if len(allowed) < 200:
        assert found == allowed


def test_widths_and_places_are_drawn_evenly():
    """Chi-square against the flat distribution, widths and, for one of them, first places."""
    torch.manual_seed(0)
    first, width = TIME.draw(torch.full((20_000,), 25))

    def surprise(counts, kinds, total):
        expected = total / kinds
        return sum((counts[k] - expected) ** 2 / expected for k in range(kinds))

    assert surprise(Counter(width.flatten().tolist()), 5, 40_000) < 18.5  # 4 degrees of freedom, p = .001
    own = first[width == 3].tolist()
    assert surprise(Counter(own), 23, len(own)) < 48.3  # 22 degrees


def test_share_that_is_hidden_is_the_expected_one():
    torch.manual_seed(0)
    values = torch.randn(64, 20, 1, 1024)
    mask = torch.ones(64, 20, dtype=torch.bool)
    hidden = (hide(values, mask, FEATURES, NONE) != values).float().mean()
    assert hidden == pytest.approx(1 - (1 - 9.5 / 1024) ** 10, abs=0.01)
    hidden = (hide(values, mask, NONE, TIME) != values).float().mean()
    assert hidden == pytest.approx(1 - (1 - 1.5 / 20) ** 2, abs=0.02)


def test_shares_are_shares():
    for wrong in ((-1, 0.1), (1, 1.1), (1, 0.1, -0.1)):
        with pytest.raises(ValueError, match="shares in"):
            Masks(*wrong)
