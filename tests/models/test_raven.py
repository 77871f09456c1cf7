"""RAVEN against its equations, one word at a time."""

import pytest
import torch

from modashift.batch import Batch, Seq
from modashift.models.raven import RAVEN, NonverbalEncoder, WordShift
from support import build

SIZES = {"linguistic": 7, "visual": 5, "acoustic": 3}


def make(**options):
    torch.manual_seed(0)
    return RAVEN(SIZES, **{"hidden_size": 6, "nonverbal_size": 4, **options}).double().eval()


@pytest.fixture
def batch(make_batch):
    return make_batch().map(lambda t: t.double() if t.is_floating_point() else t)


@pytest.fixture
def subword(batch, frames=3):
    """Words at steps 1, 2, …, each with 0 to `frames` frames that may begin late, and garbage wherever masked."""
    generator = torch.Generator().manual_seed(0)
    features = {"linguistic": batch.features["linguistic"]}
    for m in ("visual", "acoustic"):
        mask = torch.rand(6, 9, frames, generator=generator) < 0.6
        mask[0, 2] = False  # a word without a frame
        mask &= batch.features["linguistic"].mask.unsqueeze(-1)
        values = torch.randn(6, 9, frames, SIZES[m], generator=generator, dtype=torch.float64)
        features[m] = Seq(torch.where(mask.unsqueeze(-1), values, 77.0), mask)
    return Batch(None, batch.label, batch.index, features)


def cell(lstm, x, state):
    """One step of an LSTM, gate by gate."""
    h, c = state
    n = lstm.hidden_size
    z = lstm.weight_ih_l0 @ x + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ h + lstm.bias_hh_l0
    i, f, g, o = (z[k * n : (k + 1) * n] for k in range(4))
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def zero(n):
    return torch.zeros(n, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)


def shift_of(model, e, states):
    """Gates, mixing and shift of one word, with the mixing matrix cut into W_v and W_a."""
    h, column = model.shift.mix.bias.clone(), 0
    for m, state in states.items():
        gate = model.shift.gate[m].weight[0] @ torch.cat([state, e]) + model.shift.gate[m].bias[0]
        if model.shift.gate_activation == "sigmoid":
            gate = 1 / (1 + torch.exp(-gate))
        h = h + gate * (model.shift.mix.weight[:, column : column + len(state)] @ state)
        column += len(state)
    beta, size, length = model.shift.shift_limit, e.square().sum().sqrt(), h.square().sum().sqrt()
    if model.shift.shift_norm == "relative":
        return beta * size * h / max(length, torch.tensor(1.0, dtype=torch.float64))
    return min(beta * size / (length + 1e-6), torch.tensor(1.0, dtype=torch.float64)) * h


def literal(model, batch, shifted=True):
    """The whole model, one utterance, word and frame at a time."""
    scores = []
    for b in range(len(batch)):
        state = zero(model.lstm.hidden_size)
        for w in range(batch.features["linguistic"].mask.shape[1]):
            if not batch.features["linguistic"].mask[b, w]:
                continue
            e = batch.features["linguistic"].values[b, w]
            states = {}
            for m, encoder in model.nonverbal.items():
                inner = zero(encoder.lstm.hidden_size)
                seq = batch.features[m]
                for values, real in zip(seq.values[b, w].reshape(-1, SIZES[m]), seq.mask[b, w].reshape(-1)):
                    if real:
                        inner = cell(encoder.lstm, encoder.project.weight @ values + encoder.project.bias, inner)
                states[m] = inner[0]
            state = cell(model.lstm, e + shift_of(model, e, states) if shifted else e, state)
        scores.append(model.head.weight[0] @ state[0] + model.head.bias[0])
    return torch.stack(scores)


FORMS = [
    {"shift_norm": norm, "gate_activation": gate, "shift_limit": limit}
    for norm in ("capped", "relative")
    for gate in ("sigmoid", "none")
    for limit in (0.2, 50.0)
]


@pytest.mark.parametrize("form", FORMS, ids=lambda f: "-".join(map(str, f.values())))
def test_equals_the_loop_over_words_and_frames(form, subword):
    model = make(subword_frames=True, **form)
    torch.testing.assert_close(model(subword).prediction, literal(model, subword), atol=1e-10, rtol=0)


def test_one_vector_a_word_equals_the_loop(batch):
    model = make()
    torch.testing.assert_close(model(batch).prediction, literal(model, batch), atol=1e-10, rtol=0)
    frames = {m: Seq(s.values.unsqueeze(2), s.mask.unsqueeze(2)) for m, s in batch.features.items()}
    frames["linguistic"] = batch.features["linguistic"]
    several = make(subword_frames=True)(Batch(None, batch.label, batch.index, frames))
    torch.testing.assert_close(several.prediction, model(batch).prediction, atol=0, rtol=0)


def test_without_a_shift_it_is_an_lstm_over_the_words(subword):
    model = make(shift_limit=0.0, subword_frames=True)
    torch.testing.assert_close(model(subword).prediction, literal(model, subword, shifted=False), atol=1e-12, rtol=0)
    assert not torch.allclose(make(subword_frames=True)(subword).prediction, model(subword).prediction)


@pytest.mark.parametrize("norm", ["capped", "relative"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_shift_is_no_longer_than_its_share_of_the_word(norm, scale):
    torch.manual_seed(0)
    shift = WordShift(7, {"visual": 4}, "sigmoid", 0.2, norm).double()
    words, states = torch.randn(50, 7, dtype=torch.float64), {"visual": scale * torch.randn(50, 4, dtype=torch.float64)}
    length, limit = shift(words, states).norm(dim=-1), 0.2 * words.norm(dim=-1)
    assert (length <= limit + 1e-12).all()
    assert (length > 0).all()
    if norm == "capped" and scale == 1e3:
        torch.testing.assert_close(length, limit, atol=1e-6, rtol=0)  # the cap binds


def test_a_shift_of_nothing_is_zero_and_finite():
    shift = WordShift(7, {"visual": 4}, "sigmoid", 0.2, "capped").double()
    torch.nn.init.zeros_(shift.mix.bias)
    words = torch.randn(2, 7, dtype=torch.float64)
    result = shift(words, {"visual": torch.zeros(2, 4, dtype=torch.float64)})
    assert (result == 0).all()
    result.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in shift.parameters())


def test_gradient_reaches_both_nonverbal_networks(subword):
    model = make(subword_frames=True)
    model.loss(model(subword), subword)["loss"].backward()
    for name, parameter in [*model.nonverbal.named_parameters(), *model.shift.named_parameters()]:
        assert parameter.grad.abs().max() > 0, name


def test_detached_shift_leaves_only_the_reader_to_learn(subword):
    model = make(detach_shift=True, subword_frames=True)
    expected = make(subword_frames=True)(subword).prediction
    torch.testing.assert_close(model(subword).prediction, expected, atol=0, rtol=0)
    assert {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad} == {"lstm", "head"}
    model.loss(model(subword), subword)["loss"].backward()
    assert model.lstm.weight_ih_l0.grad.abs().max() > 0


def test_masked_frames_and_words_change_nothing(subword):
    model = make(subword_frames=True)
    before = model(subword).prediction
    for seq in subword.features.values():
        seq.values[~seq.mask] = -55.0
    torch.testing.assert_close(model(subword).prediction, before, atol=0, rtol=0)
    subword.features["visual"].values[subword.features["visual"].mask] += 1
    assert (model(subword).prediction - before).abs().min() > 1e-9


def test_a_word_without_a_frame_has_a_zero_state():
    encoder = NonverbalEncoder(5, 4, 0.0, True)
    mask = torch.tensor([[False, False], [True, False], [False, True]])
    states = encoder(Seq(torch.ones(3, 2, 5), mask))
    assert (states[0] == 0).all()
    assert (states[1] != 0).all()
    torch.testing.assert_close(states[1], states[2])


def test_an_utterance_without_words_gets_the_bias(batch):
    model = make()
    batch.features["linguistic"].mask[2] = False
    assert model(batch).prediction[2] == model.head.bias[0]


@pytest.mark.parametrize("modality", ["visual", "acoustic"])
def test_one_modality_leaves_out_the_others_parts(modality, make_batch):
    model = build("raven", {}, {modality: SIZES[modality]})
    assert list(model.nonverbal) == [modality]
    assert list(model.shift.gate) == [modality]
    assert model.eval()(make_batch()).prediction.isfinite().all()


def test_parameters_are_those_of_the_published_sizes():
    def lstm(i, h):
        return 4 * h * (i + h) + 8 * h

    expected = 0
    for d in (47, 74):
        expected += d * 150 + 150 + lstm(150, 150)  # sub-network
        expected += 150 + 300 + 1  # its gate
    expected += 300 * 300 + 300  # mixing
    expected += lstm(300, 300) + 300 + 1  # reader and head
    model = RAVEN({"linguistic": 300, "visual": 47, "acoustic": 74})
    assert sum(p.numel() for p in model.parameters()) == expected == 1_194_753


def test_wrong_data_and_options_are_refused(subword, make_batch):
    with pytest.raises(ValueError, match="neither visual nor acoustic"):
        RAVEN({"linguistic": 7})
    with pytest.raises(ValueError, match="shift_limit"):
        RAVEN(SIZES, shift_limit=-0.1)
    with pytest.raises(ValueError, match="subword_frames"):
        make()(subword)
    batch = make_batch()
    batch.features["visual"] = Seq(torch.zeros(6, 20, 5), torch.ones(6, 20, dtype=torch.bool))
    with pytest.raises(ValueError, match="at the words"):
        build("raven", {})(batch)


def test_default_loss_is_the_squared_error(batch):
    model = make()
    output = model(batch)
    terms = model.loss(output, batch)
    assert terms["loss"] == terms["mse"] == (output.prediction - batch.label).square().mean()
    assert make(task_loss="l1").loss(output, batch)["loss"] == (output.prediction - batch.label).abs().mean()
