"""Losses against their equations in plain Python."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modashift.losses import LossBalance, pairwise_contrastive, smoothed_targets


def naive_targets(labels, beta, delta):
    n = len(labels)
    rows = []
    for i in range(n):
        alike = [
            k
            for k in range(n)
            if k != i
            and math.copysign(1, labels[k]) * (labels[k] != 0) == math.copysign(1, labels[i]) * (labels[i] != 0)
            and abs(labels[k] - labels[i]) <= delta + 1e-6
        ]
        row = [0.0] * n
        row[i] = beta if alike else 1.0
        for k in alike:
            row[k] = (1 - beta) / len(alike)
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


def naive_contrastive(embeddings, targets, temperature):
    def cosine(a, b):
        return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))

    total = 0.0
    for p in embeddings:
        for q in embeddings:
            if p == q:
                continue
            n = len(targets)
            for i in range(n):
                logits = [cosine(embeddings[p][i], embeddings[q][k]) / temperature for k in range(n)]
                normaliser = math.log(sum(math.exp(s) for s in logits))
                total -= sum(float(targets[i, k]) * (logits[k] - normaliser) for k in range(n)) / n
    return total


SCORES = st.lists(st.integers(-30, 30).map(lambda k: k / 10), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(SCORES, st.floats(0.5, 1.0), st.sampled_from([0.1, 0.2, 0.5]))
def test_targets_equal_the_naive_form(scores, beta, delta):
    labels = torch.tensor(scores, dtype=torch.float64)
    targets = smoothed_targets(labels, beta, delta)
    torch.testing.assert_close(targets, naive_targets(scores, beta, delta), atol=1e-12, rtol=0)
    torch.testing.assert_close(targets.sum(1), torch.ones(len(scores), dtype=torch.float64))


def test_targets_on_the_edge_do_not_depend_on_the_precision_of_the_labels():
    single = smoothed_targets(torch.tensor([0.5, 0.4, -0.4, 0.0]), 0.9, 0.1)
    double = smoothed_targets(torch.tensor([0.5, 0.4, -0.4, 0.0], dtype=torch.float64), 0.9, 0.1)
    torch.testing.assert_close(single.double(), double, atol=1e-7, rtol=0)
    assert single[0].tolist() == pytest.approx([0.9, 0.1, 0, 0])
    assert single[2].tolist() == [0, 0, 1, 0]


def test_target_options():
    labels = torch.tensor([0.0, 0.1, 0.2], dtype=torch.float64)
    assert smoothed_targets(labels, 0.9, 0.1)[0].tolist() == [1, 0, 0]
    assert smoothed_targets(labels, 0.9, 0.1, zero_is_positive=True)[0].tolist() == pytest.approx([0.9, 0.1, 0])
    assert smoothed_targets(labels, 0.9, 0.1, strict=True)[1].tolist() == [0, 1, 0]
    assert smoothed_targets(labels, 0.9, 0.1, include_self=True)[1].tolist() == pytest.approx([0, 0.9, 0.05])


def test_full_target_weight_is_no_smoothing():
    assert torch.equal(smoothed_targets(torch.ones(4), 1.0, 0.1), torch.eye(4))


@pytest.mark.parametrize("modalities", [2, 3])
def test_contrastive_equals_the_naive_form(modalities):
    torch.manual_seed(0)
    embeddings = {str(m): torch.randn(7, 5, dtype=torch.float64) for m in range(modalities)}
    targets = smoothed_targets(torch.randn(7, dtype=torch.float64).round(decimals=1), 0.8, 0.2)
    loss = pairwise_contrastive(embeddings, targets, 0.1)
    assert float(loss) == pytest.approx(naive_contrastive(embeddings, targets, 0.1), rel=1e-10)
    pairs = modalities * (modalities - 1)
    assert float(pairwise_contrastive(embeddings, targets, 0.1, reduction="mean")) == pytest.approx(float(loss) / pairs)
    rescaled = {m: z * 3.7 for m, z in embeddings.items()}
    assert float(pairwise_contrastive(rescaled, targets, 0.1)) == pytest.approx(float(loss), rel=1e-10)


def test_utterances_that_lack_a_modality_take_no_part_in_its_pairs():
    """Equal to the naive form over the utterances that have both, their targets summing to one again."""
    torch.manual_seed(1)
    embeddings = {m: torch.randn(8, 5, dtype=torch.float64, requires_grad=True) for m in "lva"}
    targets = smoothed_targets(torch.randn(8, dtype=torch.float64).round(decimals=1), 0.8, 0.5)
    present = {m: torch.ones(8, dtype=torch.bool) for m in "lva"}
    whole = pairwise_contrastive(embeddings, targets, 0.1).detach()
    assert float(pairwise_contrastive(embeddings, targets, 0.1, present=present).detach()) == pytest.approx(
        float(whole), rel=1e-12
    )
    present["v"][[0, 3]] = False
    present["a"][5] = False
    expected = 0.0
    for p, q in ("lv", "la", "va"):
        kept = (present[p] & present[q]).nonzero()[:, 0]
        own = targets[kept][:, kept]
        own = own / own.sum(1, keepdim=True)
        expected += naive_contrastive({m: embeddings[m][kept].detach() for m in (p, q)}, own, 0.1)
    loss = pairwise_contrastive(embeddings, targets, 0.1, present=present)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-10)
    loss.backward()
    assert float(embeddings["v"].grad[[0, 3]].abs().max()) == 0
    assert float(embeddings["v"].grad[1].abs().max()) > 0


def test_a_modality_nobody_has_costs_nothing():
    embeddings = {m: torch.randn(4, 3, requires_grad=True) for m in "lv"}
    present = {"l": torch.ones(4, dtype=torch.bool), "v": torch.zeros(4, dtype=torch.bool)}
    loss = pairwise_contrastive(embeddings, torch.eye(4), 0.1, present=present)
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(torch.isfinite(z.grad).all() for z in embeddings.values())


def test_contrastive_of_one_modality_is_refused():
    with pytest.raises(ValueError, match="two modalities"):
        pairwise_contrastive({"linguistic": torch.ones(2, 2)}, torch.eye(2), 0.1)


def test_uniform_logits_cost_the_logarithm_of_the_batch():
    same = torch.ones(128, 4)
    loss = pairwise_contrastive({"l": same, "v": same, "a": same}, torch.eye(128), 0.1)
    assert float(loss) == pytest.approx(6 * math.log(128), rel=1e-5)


def test_balance_follows_its_recurrence():
    balance = LossBalance(momentum=0.9, initial=1.0)
    nu = 1.0
    for task, contrastive in [(2.0, 8.0), (1.0, 5.0), (0.8, 4.0)]:
        balance.update(task, contrastive)
        nu = 0.9 * nu + 0.1 * task / contrastive
        assert balance.value == pytest.approx(nu, rel=1e-12)
    for _ in range(50):
        balance.update(1.0, 4.0)
    assert balance.value == pytest.approx(0.25, abs=0.01)


def test_balance_can_start_at_the_measured_ratio():
    balance = LossBalance(0.9, initial=None)
    assert balance.measured
    assert balance.start(2.0, 8.0) == 0.25
    assert balance.update(2.0, 8.0) == pytest.approx(0.25)
    assert not LossBalance(0.9).measured


def test_balance_is_a_buffer_saved_but_not_trained():
    balance = LossBalance(0.9)
    balance.update(1.0, 4.0)
    assert list(balance.parameters()) == []
    other = LossBalance(0.9)
    other.load_state_dict(balance.state_dict())
    assert other.value == balance.value == pytest.approx(0.925)


def test_balance_guards():
    frozen = LossBalance(1.0, initial=1.0)
    assert frozen.update(1.0, 4.0) == 1.0
    balance = LossBalance(0.9)
    assert balance.update(1.0, 0.0) == 1.0
    assert balance.update(1e9, 1e-3) == 10.0
    with pytest.raises(ValueError, match="momentum"):
        LossBalance(1.5)
