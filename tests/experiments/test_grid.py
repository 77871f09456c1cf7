import pytest
import yaml

from modashift.errors import ModashiftError
from modashift.experiments import declare
from modashift.experiments.grid import read
from modashift.models import get_model
from modashift.train.setup import typed_options
from support import build

SMALL = """
title: Ours
data:
  mosi: {data: mosi.pkl, normalise: train, layouts: {unaligned: other.pkl}}
seeds: [1, 2]
train: {epochs: 3, lr: 1e-4}
rows:
  bert: {model: bert, train: {lr: 2e-4}}
  shifted:
    model: cmsbert
    layout: unaligned
    options: {shift: {activation: tanh}}
    grid: {model.shift.gate_bias: [0, 1], lr: [1e-3]}
"""


def written(tmp_path, text):
    path = tmp_path / "ours.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_declaration_is_multiplied_out(tmp_path):
    found = read(written(tmp_path, SMALL), tmp_path)
    assert found.rows == ("bert", "shifted,gate_bias=0,lr=0.001", "shifted,gate_bias=1,lr=0.001")
    names = [run.name for run in found.runs]
    assert names[:3] == [f"{row}/mosi/1" for row in found.rows], "the first seed comes first"
    assert len(names) == 6
    bert, shifted = found.runs[0], found.runs[1]
    assert bert.folder(tmp_path) == tmp_path / "runs" / "bert" / "mosi" / "1"
    assert (bert.settings.train.lr, bert.settings.train.epochs, bert.settings.train.seed) == (2e-4, 3, 1)
    assert (bert.settings.data.data, shifted.settings.data.data) == ("mosi.pkl", "other.pkl")
    assert bert.settings.data.normalise == shifted.settings.data.normalise == "train"
    assert shifted.settings.options == {"shift": {"activation": "tanh", "gate_bias": 0.0}}
    assert shifted.settings.train.lr == 1e-3


def test_configurations_by_name_come_first_and_the_row_last(tmp_path):
    found = read(
        written(
            tmp_path,
            'data: {mosi: {data: x}, mosei: {data: y}}\nrows: {misa: {model: misa, config: "misa-{data}", '
            "train: {patience: 9}, options: {size: 8}}}",
        )
    )
    mosi, mosei = (run.settings for run in found.runs)
    assert (mosi.options["size"], mosi.train.patience, mosi.train.backbone) == (8, 9, "bert-base-uncased")
    assert mosi.options["difference_weight"] == mosei.options["difference_weight"] == 0.3
    assert mosi.train.batch_size != mosei.train.batch_size


def test_the_command_line_changes_a_declaration_and_selects_from_it(tmp_path):
    path = written(tmp_path, SMALL)
    found = read(path, "", ["data.mosi.data=there.pkl", "train.epochs=1", "rows.bert.train.lr=1e-5"])
    assert found.runs[0].settings.data.data == "there.pkl"
    assert (found.runs[0].settings.train.epochs, found.runs[0].settings.train.lr) == (1, 1e-5)
    assert [r.name for r in found.select(["shifted"], [], [2])] == [
        "shifted,gate_bias=0,lr=0.001/mosi/2",
        "shifted,gate_bias=1,lr=0.001/mosi/2",
    ]
    with pytest.raises(ModashiftError, match="declares no row 'nothing'; it has bert, shifted"):
        found.select(["nothing"])


def test_the_copy_of_a_declaration_declares_the_same(tmp_path):
    found = read(written(tmp_path, SMALL), tmp_path, ["train.epochs=1"])
    copy = tmp_path / "experiment.yaml"
    copy.write_text(yaml.safe_dump(dict(found.declaration), sort_keys=False), encoding="utf-8")
    assert read(copy, tmp_path).runs == found.runs


def test_rows_may_start_from_a_prepared_run(tmp_path):
    found = read(
        written(
            tmp_path,
            "data: {mosi: {data: x}}\nseeds: [1, 2]\n"
            "prepare: {rated: {model: bert, config: bert-reviews, data: {data: reviews}}}\n"
            "rows: {warm: {model: bert, train: {init: rated}}, cold: {model: bert}}",
        ),
        tmp_path,
    )
    first, warm, cold = found.runs[:3]
    assert (first.name, first.folder(tmp_path)) == ("prepare/rated", tmp_path / "prepare" / "rated")
    assert (warm.after, warm.settings.train.init) == ("prepare/rated", str((tmp_path / "prepare" / "rated").resolve()))
    assert cold.after is None
    assert [r.name for r in found.select(["cold"])] == ["cold/mosi/1", "cold/mosi/2"]
    assert [r.name for r in found.select(["warm"], seeds=[2])] == ["prepare/rated", "warm/mosi/2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("rowss: {}\n", r"ours.yaml: there is no key 'rowss'; did you mean 'rows'\?"),
        ("seeds: 3\n", r"seeds must be a list of whole numbers, such as \[1111, 1112\], got 3"),
        ("train: {epoch: 1}\n", r"train: there is no key 'epoch'; did you mean 'epochs'\?"),
        ("train: {epochs: many}\n", r"rows.bert: .*epochs.*`modashift train bert --help`"),
        ("train: {epochs: 0}\n", r"rows.bert: epochs must be positive, got 0"),
        ("data: {mosi: {}}\n", r"rows.bert: the data set 'mosi' has no file; give --data mosi=PATH"),
        ("rows: {'a/b': {model: bert}}\n", r"rows: 'a/b' names a folder"),
        ("rows: {a: {model: brt}}\n", r"rows.a: there is no model 'brt'"),
        ("rows: {a: {config: bert-mag}}\n", r"rows.a: model is missing"),
        ("rows: {a: {model: bert, config: none}}\n", r"rows.a: there is no configuration 'none'"),
        ("rows: {a: {model: bert, options: {droput: 1}}}\n", r"rows.a: .*droput"),
        (
            "rows: {a: {model: bert, layout: u}}\n",
            r"rows.a reads the layout 'u', which 'mosi' lacks; give --data mosi.u=",
        ),
        ("grid: {lr: 1}\n", r"grid: lr of row bert must be a list"),
        ("grid: {lrs: [1]}\n", r"grid of row bert: there is no key 'lrs'; did you mean 'lr'\?"),
        ("rows: {a: {model: bert}, a: {model: bert}}\n", r"ours.yaml: line \d+: a is given twice"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, change, message):
    base = {"data": "data: {mosi: {data: x}}\n", "rows": "rows: {bert: {model: bert}}\n"}
    base.pop(change.partition(":")[0], None)
    with pytest.raises(ModashiftError, match=message):
        read(written(tmp_path, "".join(base.values()) + change))


def test_there_are_shipped_experiments():
    assert declare.shipped() == [
        "hyperparameters",
        "planted",
        "ravdess",
        "table1",
        "table2",
        "table2-small",
        "table3",
        "table3-small",
        "table4",
    ]
    assert declare.find("table2") == declare.folder() / "table2.yaml"
    with pytest.raises(
        ModashiftError, match="neither a file nor shipped; shipped are hyperparameters, planted, ravdess"
    ):
        declare.find("table9")


@pytest.mark.parametrize("name", declare.shipped())
def test_every_row_of_a_shipped_experiment_resolves_and_builds(name, tiny_config, tmp_path):
    text = declare.find(name).read_text(encoding="utf-8")
    assert f"modashift experiment run {name} --out" in text, "the header must show the command"
    assert "# Time:" in text
    found = read(name, tmp_path)
    assert {run.row for run in found.runs} - {""} == set(found.rows)  # a prepared run belongs to no row
    built = set()
    for run in found.runs:
        settings = run.settings
        if (run.row, run.table) not in built:
            built.add((run.row, run.table))
            options = dict(settings.options)
            if "frozen_layers" in options:  # of twelve; the tiny encoder has two
                options["frozen_layers"] = 1
            build(settings.model, tiny_config, **typed_options(get_model(settings.model), options))


def test_the_tables_are_the_papers():
    assert len(read("table1").rows) == 11  # and the control
    assert read("table1").tables == ("mosi", "mosei")
    assert read("table2").rows == ("bert", "mag-bert", "cmsbert-1", "cmsbert")
    rates = {(r.settings.train.lr, r.settings.train.epochs, r.settings.train.clip) for r in read("table2").runs}
    assert rates == {(1e-4, 500, 1.0)}, "under the same conditions"
    options = {r.row: r.settings.options for r in read("table3-small").runs}
    assert options["neither"] == {"initial_weight": 0.01, "loss_momentum": 1.0, "target_weight": 1.0}
    assert len(read("hyperparameters").rows) == 27
