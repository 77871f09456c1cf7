"""Every model computes in double precision too: the server needs it, so that scores do not depend on their batch."""

import pytest
import torch

from modashift.models import MODELS
from support import build


@pytest.mark.parametrize("name", sorted(MODELS))
def test_double_precision_gives_the_same(name, tiny_config, make_batch):
    model = build(name, tiny_config).eval()
    batch = make_batch(size=5)
    for given in (batch, batch.without("visual"), batch.without("visual").without("acoustic")):
        with torch.no_grad():
            single = model.float()(given).prediction
            double = model.double()(given.map(lambda t: t.double() if t.is_floating_point() else t)).prediction
        assert double.dtype == torch.float64
        torch.testing.assert_close(double, single.double(), rtol=0, atol=1e-4)
