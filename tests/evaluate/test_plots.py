"""Figures: files are whole, repeatable and show what they claim to."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from modashift.errors import DataError
from modashift.evaluate import plots
from modashift.evaluate.plots import plot_cms_map, plot_learning_curve, plot_predictions

WORDS = "i paid $ 300 or 400 $ for this _great_ film".split()
RNG = np.random.default_rng(0)
SQUARE = RNG.normal(size=(len(WORDS), len(WORDS)))
GOLD = np.array([-3.0, -1.4, 0.0, 0.2, 2.0, 3.0])
ROWS = [
    {"epoch": e, "train_mse": 2 / e, "dev_mse": 1 + 1 / e, "dev_mae": 1 / e, "dev_corr": 0.8 - 1 / e, "best": e < 3}
    for e in range(1, 5)
]


def draw_map(path: Path) -> Path:
    return plot_cms_map(SQUARE, WORDS, WORDS, path, "Layer 1")


def draw_predictions(path: Path) -> Path:
    return plot_predictions(GOLD, GOLD * 0.8 + 0.1, path)


def draw_curve(path: Path) -> Path:
    return plot_learning_curve(ROWS, path, "Run")


DRAW = [draw_map, draw_predictions, draw_curve]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list:
    """Figures that were saved, to look into."""
    figures: list = []
    original = plots._save
    monkeypatch.setattr(plots, "_save", lambda figure, path: (figures.append(figure), original(figure, path))[1])
    return figures


@pytest.mark.parametrize("draw", DRAW)
@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_the_suffix_decides_the_format(tmp_path: Path, draw: Callable[[Path], Path], suffix: str, start: bytes) -> None:
    path = tmp_path / "new" / f"figure{suffix}"
    assert draw(path) == path
    assert path.read_bytes().startswith(start)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("draw", DRAW)
def test_the_same_data_gives_the_same_bytes(tmp_path: Path, draw: Callable[[Path], Path]) -> None:
    assert draw(tmp_path / "a.svg").read_bytes() == draw(tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("draw", DRAW)
def test_unknown_format_leaves_nothing(tmp_path: Path, draw: Callable[[Path], Path]) -> None:
    with pytest.raises(ValueError, match=r"\.png, \.svg"):
        draw(tmp_path / "figure.gif")
    assert not list(tmp_path.iterdir())


def test_no_global_state_of_matplotlib_is_touched(tmp_path: Path) -> None:
    before = "matplotlib.pyplot" in sys.modules
    draw_map(tmp_path / "a.png")
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_failure_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    path = draw_map(tmp_path / "a.png")
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(DataError, match=r"cannot write .*a\.png: disk full"):
        draw_map(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_map_is_symmetric_about_zero_and_named(tmp_path: Path, drawn: list) -> None:
    draw_map(tmp_path / "a.png")
    axes = drawn[0].axes[0]
    image = axes.images[0]
    assert image.get_clim() == (-np.abs(SQUARE).max(), np.abs(SQUARE).max())
    assert np.allclose(image.get_array(), SQUARE)
    assert [t.get_text() for t in axes.get_yticklabels()] == WORDS
    assert [t.get_text() for t in axes.get_xticklabels()] == WORDS
    assert axes.get_ylabel() == "word"
    assert axes.get_xlabel() == "non-verbal step"
    assert drawn[0].axes[1].get_ylabel()


def test_dollar_signs_are_not_formulas(tmp_path: Path) -> None:
    plot_cms_map(SQUARE[:2, :2], ["$ \\frac $", "b"], None, tmp_path / "a.png", "$ {")
    plot_predictions(GOLD, GOLD, tmp_path / "b.png", "$ {")


@pytest.mark.parametrize(
    "values", [np.zeros((2, 3)), np.full((2, 3), np.nan), np.array([[1, np.nan, -2], [0, 0, 0.5]])], ids=str
)
def test_maps_of_zeros_and_gaps(tmp_path: Path, values: np.ndarray) -> None:
    plot_cms_map(values, ["a", "b"], None, tmp_path / "a.png")


def test_many_steps_and_foreign_scripts(tmp_path: Path, drawn: list) -> None:
    plot_cms_map(np.ones((2, 300)), ["你好", "b"], [str(i) for i in range(300)], tmp_path / "a.png", limit=2)
    assert len(drawn[0].axes[0].get_xticklabels()) < 20
    assert drawn[0].axes[0].images[0].get_clim() == (-2, 2)


@pytest.mark.parametrize(
    ("values", "steps", "options", "message"),
    [
        (np.zeros(3), None, {}, "shape"),
        (np.zeros((0, 3)), None, {}, "shape"),
        (np.zeros((3, 3)), None, {}, "2 words"),
        (np.zeros((2, 3)), ["a"], {}, "1 steps"),
        (np.full((2, 3), np.inf), None, {}, "infinite"),
        (np.zeros((2, 3)), None, {"limit": 0.0}, "positive"),
    ],
)
def test_unusable_maps_are_refused(
    tmp_path: Path, values: np.ndarray, steps: list[str] | None, options: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        plot_cms_map(values, ["a", "b"], steps, tmp_path / "a.png", **options)


def test_predictions_show_every_sample_and_the_means(tmp_path: Path, drawn: list) -> None:
    prediction = GOLD + np.array([1.0, 0.5, 0.1, 0.3, 0.0, -1.0])
    plot_predictions(GOLD, prediction, tmp_path / "a.png")
    left, right = drawn[0].axes
    assert np.allclose(left.collections[0].get_offsets(), np.stack([GOLD, prediction], 1))
    means = right.lines[-1].get_xydata()
    assert means[:, 0].tolist() == [-3, -1, 0, 2, 3]
    assert means[:, 1] == pytest.approx([1.0, 0.5, 0.2, 0.0, -1.0])
    with pytest.raises(ValueError, match="empty"):
        plot_predictions([], [], tmp_path / "b.png")


def test_curve_marks_the_epoch_that_was_kept(tmp_path: Path, drawn: list) -> None:
    draw_curve(tmp_path / "a.png")
    assert len(drawn[0].axes) == 3
    for axes in drawn[0].axes:
        assert axes.lines[-1].get_xdata()[0] == 2
    assert drawn[0].axes[0].lines[1].get_ydata().tolist() == pytest.approx([row["dev_mse"] for row in ROWS])


def test_curve_takes_what_there_is(tmp_path: Path, drawn: list) -> None:
    plot_learning_curve([{"epoch": 1, "train_loss": 1.0}, {"epoch": 2, "dev_loss": None}], tmp_path / "a.png")
    assert [axes.get_title() for axes in drawn[0].axes] == ["loss"]
    for rows in ([], [{"train_loss": 1.0}], [{"epoch": 1}]):
        with pytest.raises(ValueError, match=r"needs rows|nothing to draw"):
            plot_learning_curve(rows, tmp_path / "b.png")
