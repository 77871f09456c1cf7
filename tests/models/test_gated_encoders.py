"""Gated encoders against their equations: one utterance, one step, one head at a time, in float64."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from modashift.batch import Batch, Seq
from modashift.data.dataset import Feature
from modashift.data.states import StateColumns, choose_layers
from modashift.errors import ModashiftError
from modashift.models import get_model
from modashift.models.gated_encoders import AttentivePooling, GatedEncoders
from modashift.models.masks import Masks
from modashift.train.args import DataArgs, TrainArgs
from modashift.train.command import train
from modashift.train.setup import prepare
from support import scattered, toy_dataset

ORDER = ("linguistic", "visual", "acoustic")
SIZES = {"linguistic": 7, "visual": 4, "acoustic": 6}
LAYERS = {"visual": 2, "acoustic": 3}  # of widths 2 and 2
LENGTHS = {"linguistic": [4, 1, 6, 0, 3, 0], "visual": [9, 0, 2, 5, 1, 0], "acoustic": [7, 3, 8, 5, 0, 0]}


def make(sizes=SIZES, layers=LAYERS, **options):
    torch.manual_seed(0)
    small = {"encoder_size": 6, "fused_size": 5, "heads": 3}
    model = GatedEncoders(sizes, state_layers=layers, **{**small, **options}).double().eval()
    for name, parameter in model.named_parameters():
        if name.endswith("layer_logits"):
            torch.nn.init.normal_(parameter)
    return model


def batch_of(lengths=LENGTHS, padding=2, seed=0):
    """Utterances of given lengths; masked steps lie anywhere and hold garbage."""
    generator = torch.Generator().manual_seed(seed)
    n = len(lengths["linguistic"])
    label = torch.randn(n, generator=generator, dtype=torch.float64)
    return Batch(None, label, torch.arange(n), scattered(lengths, SIZES, padding, generator))


def norm(module, x):
    centred = x - x.mean()
    return centred / (centred.square().mean() + 1e-5).sqrt() * module.weight + module.bias


def literal_embedding(encoder, steps):
    """h_m of the real steps of one utterance, (T, L · D)."""
    if not len(steps):
        return torch.zeros(encoder.out.out_features, dtype=steps.dtype)
    width = steps.shape[1] // encoder.layers
    logits = [0.0] if encoder.layer_logits is None else encoder.layer_logits.tolist()
    weights = [math.exp(c) / sum(math.exp(d) for d in logits) for c in logits]
    hidden, scores = [], []
    for step in steps:
        x = sum(w * step[k * width : (k + 1) * width] for k, w in enumerate(weights))
        hidden.append(norm(encoder.project[1], encoder.project[0].weight @ x + encoder.project[0].bias).clamp(min=0))
        inner = torch.tanh(encoder.pool.inner.weight @ hidden[-1] + encoder.pool.inner.bias)
        scores.append(encoder.pool.scores.weight @ inner)
    pooled = []
    for head in range(len(scores[0])):
        total = sum(torch.exp(s[head]) for s in scores)
        pooled.append(sum(torch.exp(s[head]) / total * h for s, h in zip(scores, hidden)))
    return encoder.out.weight @ torch.cat(pooled) + encoder.out.bias


def literal(model, batch):
    """Predictions and gates."""
    predictions, gates = [], []
    for b in range(len(batch)):
        h = {m: torch.zeros(model.decoder[0].out_features, dtype=torch.float64) for m in ORDER}
        real = {m: batch.features[m].values[b][batch.features[m].mask[b]] for m in model.sizes}
        h |= {m: literal_embedding(model.encoders[m], steps) for m, steps in real.items()}
        whole = torch.cat([h[m] for m in ORDER])
        if model.gates is not None:
            alpha = [
                1 / (1 + torch.exp(-(model.gates.weight[k] @ whole + model.gates.bias[k]))) for k in range(len(ORDER))
            ]
            whole = sum(a * h[m] for a, m in zip(alpha, ORDER))
            there = [m in real and len(real[m]) > 0 for m in ORDER]
            gates.append(torch.stack([a if t else torch.zeros_like(a) for a, t in zip(alpha, there)]))
        inner = norm(model.decoder[1], model.decoder[0].weight @ whole + model.decoder[0].bias).clamp(min=0)
        predictions.append(model.decoder[4].weight @ inner + model.decoder[4].bias)
    return torch.stack(predictions), gates


@pytest.mark.parametrize("classes", [0, 4])
@pytest.mark.parametrize("fusion", ["gates", "concat"])
@pytest.mark.parametrize("layers", [LAYERS, {}, {"acoustic": 1}])
def test_equals_the_loop(fusion, layers, classes):
    model, batch = make(layers=layers, fusion=fusion, classes=classes), batch_of()
    expected, gates = literal(model, batch)
    found = model(batch)
    torch.testing.assert_close(found.prediction, expected if classes else expected.squeeze(1), atol=1e-12, rtol=0)
    if fusion == "gates":
        torch.testing.assert_close(found.extra["gates"], torch.stack(gates), atol=1e-12, rtol=0)
        assert (found.extra["gates"][0] > 0).all()
    assert list(found.embeddings) == list(ORDER)


def test_attention_sums_to_one_over_the_real_steps_of_each_head():
    torch.manual_seed(0)
    pool = AttentivePooling(6, 4).double()
    mask = torch.rand(5, 9) < 0.6
    mask[4] = False
    states = torch.randn(5, 9, 6, dtype=torch.float64)
    weights = pool.attention(states, mask)
    assert weights.shape == (5, 9, 4)
    torch.testing.assert_close(weights[:4].sum(1), torch.ones(4, 4, dtype=torch.float64))
    assert (weights[~mask] == 0).all()
    assert (weights[4] == 0).all()
    assert (weights[:4][mask[:4]] > 0).all()
    assert not torch.allclose(weights[0, :, 0], weights[0, :, 1])  # heads look at other steps


def test_pooling_does_not_see_padding():
    torch.manual_seed(0)
    pool = AttentivePooling(6, 4).double()
    states, mask = torch.randn(3, 5, 6, dtype=torch.float64), torch.ones(3, 5, dtype=torch.bool)
    mask[1, 3:] = False
    longer = torch.cat([states, torch.full((3, 4, 6), 77.0, dtype=torch.float64)], 1)
    more = torch.cat([mask, torch.zeros(3, 4, dtype=torch.bool)], 1)
    torch.testing.assert_close(pool(longer, more), pool(states, mask), atol=1e-12, rtol=0)
    alone = pool(states[1:2, :3], mask[1:2, :3])
    torch.testing.assert_close(pool(longer, more)[1:2], alone, atol=1e-12, rtol=0)


def test_equal_logits_are_the_mean_of_the_layers():
    torch.manual_seed(0)
    many = GatedEncoders(SIZES, state_layers=LAYERS).double().eval()
    assert all(torch.equal(w, torch.full_like(w, 1 / LAYERS[m])) for m, w in many.layer_weights().items())
    assert set(many.layer_weights()) == set(LAYERS)
    one = GatedEncoders({**SIZES, **{m: SIZES[m] // n for m, n in LAYERS.items()}}).double().eval()
    one.load_state_dict({k: v for k, v in many.state_dict().items() if "layer_logits" not in k})
    batch = batch_of()
    features = dict(batch.features)
    for m, n in LAYERS.items():
        values = features[m].values
        features[m] = Seq(values.unflatten(-1, (n, -1)).mean(2), features[m].mask)
    torch.testing.assert_close(
        many(batch).prediction, one(replace(batch, features=features)).prediction, atol=1e-12, rtol=0
    )
    assert one.layer_weights() == {}


def test_layer_weights_are_learnt_and_their_softmax_is_told():
    """The label is told by the second of three layers."""
    torch.manual_seed(0)
    model = GatedEncoders({"acoustic": 12}, encoder_size=16, fused_size=8, dropout=0.0, state_layers={"acoustic": 3})
    values = torch.randn(32, 5, 12)
    label = values[:, :, 4:8].mean((1, 2))
    batch = Batch(None, label, torch.arange(32), {"acoustic": Seq(values, torch.ones(32, 5, dtype=torch.bool))})
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(40):
        optimizer.zero_grad()
        model.loss(model(batch), batch)["loss"].backward()
        optimizer.step()
    weights = model.layer_weights()["acoustic"]
    assert float(weights.sum()) == pytest.approx(1)
    assert int(weights.argmax()) == 1
    assert float(weights[1]) > 0.5


@pytest.mark.parametrize("read", [("acoustic",), ("linguistic",), ("visual", "acoustic")])
def test_a_model_of_some_modalities_is_the_same_network_with_the_others_zero(read):
    """Zeroing is not providing: the same weights, the rest masked out, or absent from the batch, or never built."""
    whole, batch = make(), batch_of()
    few = make({m: SIZES[m] for m in read})
    few.load_state_dict({k: v for k, v in whole.state_dict().items() if k in few.state_dict()})
    masked = batch
    for m in set(ORDER) - set(read):
        masked = masked.without(m)
    expected = whole(masked).prediction
    torch.testing.assert_close(few(batch).prediction, expected, atol=1e-12, rtol=0)
    assert not torch.allclose(whole(batch).prediction, expected)
    embeddings = whole(masked).embeddings
    assert all((embeddings[m] == 0).all() for m in set(ORDER) - set(read))
    assert list(few(batch).embeddings) == list(read)
    assert few(batch).extra["gates"].shape == (len(batch), 3)
    assert (few(batch).extra["gates"][:, [m not in read for m in ORDER]] == 0).all()


def test_without_a_face_or_without_anything_the_output_is_finite():
    model = make()
    batch = batch_of()
    no_faces = Seq(torch.zeros_like(batch.features["visual"].values), batch.features["visual"].mask)
    zero = replace(batch, features={**batch.features, "visual": no_faces})
    nothing = batch.without("visual").without("acoustic").without("linguistic")
    for case in (zero, batch.without("visual"), nothing):
        model.zero_grad()
        output = model(case)
        assert output.prediction.isfinite().all()
        model.loss(output, case)["loss"].backward()
        assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    # Zeros are steps: they say that a picture was seen. No step says nothing.
    assert not torch.allclose(model(zero).prediction, model(batch.without("visual")).prediction)


def test_size_is_the_papers():
    sizes = dict.fromkeys(ORDER, 1024)
    encoder = (1024 * 256 + 256) + 2 * 256 + (256 * 256 + 256) + 256 * 4 + (4 * 256 * 128 + 128)
    decoder = (128 * 128 + 128) + 2 * 128 + 129
    expected = 3 * encoder + 3 * (3 * 128 + 1) + decoder

    def count(**options):
        return sum(p.numel() for p in GatedEncoders(**{"modality_sizes": sizes, **options}).parameters())

    assert count() == expected == pytest.approx(1.40e6, rel=5e-3)
    layered = dict.fromkeys(ORDER, 24 * 1024)
    assert count(modality_sizes=layered, state_layers=dict.fromkeys(ORDER, 24)) == expected + 3 * 24


def test_half_precision_runs_on_several_layers():
    model = make().float().train()
    batch = batch_of().map(lambda t: t.float() if t.is_floating_point() else t)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(batch)
    model.loss(replace(output, prediction=output.prediction.float()), batch)["loss"].backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for n, p in model.named_parameters() if "layer_logits" in n)
    with torch.no_grad():
        exact = model.eval()(batch).prediction
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(model(batch).prediction.float(), exact, atol=0.05, rtol=0)


def test_masks_are_for_training_only():
    sizes = {"acoustic": 60}
    torch.manual_seed(0)
    model = GatedEncoders(sizes, encoder_size=6, fused_size=5, dropout=0.0, mask_features=Masks(4, 0.5))
    values = torch.randn(3, 20, 60)
    batch = Batch(None, torch.zeros(3), torch.arange(3), {"acoustic": Seq(values, torch.ones(3, 20, dtype=torch.bool))})
    model.train()
    assert not torch.equal(model(batch).prediction, model(batch).prediction)
    plain = GatedEncoders(sizes, 6, 5, dropout=0.0, mask_features=Masks(0, 0.5), mask_time=Masks(0, 0.5)).train()
    assert torch.equal(plain(batch).prediction, plain(batch).prediction)
    model.eval()
    assert torch.equal(model(batch).prediction, model(batch).prediction)


def test_the_papers_masks_are_the_default():
    model = GatedEncoders({"acoustic": 6})
    assert (model.mask_features, model.mask_time) == (Masks(10, 0.02), Masks(2, 0.2, 0.4))


def test_options_survive_saving(tmp_path):
    model = make(mask_time=Masks(1, 0.3), fusion="concat")
    model.save_pretrained(tmp_path)
    again = GatedEncoders.from_pretrained(tmp_path)
    assert again.mask_time == Masks(1, 0.3)
    assert again.mask_features == Masks(10, 0.02)
    assert set(again.layer_weights()) == set(LAYERS)


def test_the_other_name():
    assert get_model("ando2022") is GatedEncoders
    with pytest.raises(ModashiftError, match="no model 'ando2021'"):
        get_model("ando2021")


def test_wrong_data_are_refused():
    with pytest.raises(ValueError, match="the data have none of them"):
        GatedEncoders({})
    with pytest.raises(ValueError, match="7 columns of linguistic states are not 2 layers"):
        GatedEncoders(SIZES, state_layers={"linguistic": 2})


def stated(layers=(0, 1, 2), size=6, alignment="frame"):
    """The toy data with hidden states of words as pieces and of a voice, besides a conventional face."""
    dataset, rng = toy_dataset(features=("visual",)), np.random.default_rng(0)

    def states(encoder, alignment, each):
        width = len(layers) * size
        rows = [rng.normal(size=(each(len(w)), width)).astype(np.float16) for w in dataset.words]
        return replace(Feature.pack(rows, width), alignment=alignment, columns=StateColumns(encoder, layers, size))

    voice = states("wavlm-x", alignment, lambda n: 3 * n if alignment == "frame" else n)
    own = {"linguistic": states("bert-x", "frame", lambda n: n + 2), "acoustic": voice}
    return replace(dataset, features={**dataset.features, **own})


ARGS = TrainArgs(
    epochs=2, batch_size=16, lr=1e-3, average=0.0, schedule="warm-cosine", drop_last=True, tensorboard=False
)


@pytest.mark.parametrize("features", [None, ["acoustic"], ["linguistic", "acoustic"], ["visual"]])
def test_it_trains_on_layers_of_states(tmp_path, features):
    data = DataArgs(data="toy", features=features)
    results = train("ando2022", data, tmp_path / "run", ARGS, silent=True, dataset=stated())
    assert results["model"] == "gated-encoders"
    assert math.isfinite(results["splits"]["test"]["mae"])
    from modashift.predictor import load

    predictor = load(tmp_path / "run")
    read = set(features or ORDER)
    assert set(predictor.model.sizes) == read
    assert set(predictor.model.layer_weights()) == read - {"visual"}
    for weights in predictor.model.layer_weights().values():
        assert weights.shape == (3,)
        assert not torch.equal(weights, torch.full_like(weights, 1 / 3))
    dataset = stated()
    assert np.isfinite(predictor.predict_dataset(dataset)).all()


def test_one_layer_may_be_chosen(tmp_path):
    data = DataArgs(data="toy", layers={"acoustic": 1, "linguistic": [0, 2]})
    setup = prepare("gated-encoders", {}, data, ARGS, stated())
    assert setup.model.sizes == {"linguistic": 12, "visual": 5, "acoustic": 6}
    assert {m: len(w) for m, w in setup.model.layer_weights().items()} == {"linguistic": 2}


@pytest.mark.parametrize(("size", "alignment"), [(6, "frame"), (33, "word")])
def test_cmsbert_clr_takes_one_layer_of_states_of_any_width(tmp_path, tiny_backbone, size, alignment):
    args = TrainArgs(backbone=tiny_backbone, epochs=1, batch_size=16, tensorboard=False)
    dataset = stated(size=size, alignment=alignment)
    with pytest.raises(ModashiftError, match=r"3 layers of acoustic states.*--layers\.acoustic N"):
        train("cmsbert-clr", DataArgs(data="toy"), tmp_path / "all", args, silent=True, dataset=dataset)
    data = DataArgs(data="toy", layers={"acoustic": 2})
    results = train("cmsbert-clr", data, tmp_path / "run", args, silent=True, dataset=dataset)
    assert math.isfinite(results["splits"]["test"]["mae"])
    from modashift.predictor import load

    predictor = load(tmp_path / "run")
    assert predictor.preprocessor.modality_sizes["acoustic"] == size
    assert predictor.preprocessor.columns["acoustic"] == StateColumns("wavlm-x", (2,), size)
    # Data with all layers are cut to the one the model reads.
    whole, one = (predictor.predict_dataset(d) for d in (dataset, choose_layers(dataset, {"acoustic": 2})))
    assert np.array_equal(whole, one)
