"""Every way to distil changes what is learnt; labels that are hidden, and teachers not asked for, change nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bodies import CLASSES, SPECS, STEPS, windows
from safetensors.torch import load_file
from torch import Tensor

from edgehar.data import recordings
from edgehar.data.registry import DataOptions
from edgehar.errors import ConfigError
from edgehar.signals.clip import Dataset
from edgehar.signals.windows import stratified
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student.distill import DistillationModel, StudentOutput, DistillConfig, distill_loss, weighted
from edgehar.student.distill import main as distill
from edgehar.student.distillation.ensemble import TeacherTargets, TeacherEnsemble, spread_evenly
from edgehar.student.distillation.initialise import initialise_from_teacher, step_map
from edgehar.student.losses import contrastive, decoupled, feature_regression, relational, soft_targets
from edgehar.student.network.model import StudentNetwork, StudentConfig
from edgehar.teacher.augmentation.compose import Variation
from edgehar.teacher.augmentation.geometric import AugmentConfig
from edgehar.teacher.augmentation.part_swap import ExchangeConfig
from edgehar.teacher.augmentation.sensor_faults import FaultyWindows
from edgehar.teacher.finetune import main as finetune
from edgehar.teacher.network.model import Teacher, TeacherConfig
from edgehar.teacher.training.batches import to_tensors, update_generator
from edgehar.teacher.training.checkpoint import load_checkpoint, save_checkpoint
from edgehar.teacher.training.loop import ProcessGroup
from edgehar.teacher.training.stage import load_stage_data

SPLIT = "list:s1,s3:s2"
SHARE = ("--label-share", "0.5")
ALONE = ProcessGroup(0, 1, torch.device("cpu"))
LABELS_ALONE = ("--soft", "0", "--feature", "0")

Distil = Callable[..., dict[str, Tensor]]


@pytest.fixture(scope="module")
def recorded() -> Dataset:
    return simulate(SimulatorConfig(subjects=3, trials=5, activities=("walk", "wave", "squat", "clap")))


@pytest.fixture(scope="module")
def folder(recorded: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings in `data`, two teachers of unlike sizes in `one` and `two`, and `broken`, who knows nothing at all."""
    path = tmp_path_factory.mktemp("distil")
    recordings.write(recorded, path / "data")
    for name, size in (("one", ("--time-blocks", "2")), ("two", ("--time-blocks", "3", "--dim", "32"))):
        own = ("--data", str(path / "data"), "--split", SPLIT, "--out", str(path / name))
        assert finetune([*own, "--preset", "tiny", "--updates", "4", "--batch", "8", *size]) == 0
    one = load_checkpoint(path / "one", ("teacher",))
    save_checkpoint(path / "broken", replace(one, weights={k: t * 1e30 for k, t in one.weights.items()}))
    return path


@pytest.fixture(scope="module")
def distil(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Distil:
    """A few updates with these options -> all that is kept of them."""

    def run(*options: str, teachers: tuple[str, ...] = ("one",)) -> dict[str, Tensor]:
        out = tmp_path_factory.mktemp("runs") / "student"
        asked = ("--teacher", ",".join(str(folder / name) for name in teachers), "--out", str(out))
        assert (
            distill([*asked, "--preset", "tiny", "--updates", "3", "--batch", "16", "--faulty-copies", "1", *options])
            == 0
        )
        return {name: part for path in out.glob("*.safetensors") for name, part in load_file(path).items()}

    return run


@pytest.fixture(scope="module")
def usual(distil: Distil) -> dict[str, Tensor]:
    return distil()


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "options",
    [
        ("--layers", "2"),
        ("--relational", "1"),
        ("--contrastive", "1"),
        ("--decoupled", "1"),
        ("--begin-like-teacher",),
        (*SHARE, "--pseudo-labels", "likely"),
        (*SHARE, "--pseudo-labels", "equal"),
        SHARE,
    ],
    ids=" ".join,
)
def test_every_option_changes_what_is_learnt(options: tuple[str, ...], distil: Distil, usual: dict[str, Tensor]):
    found = distil(*options)
    # What is kept is the student alone, without the heads.
    assert found.keys() == usual.keys()
    assert not torch.equal(found["encoder.token_projection.weight"], usual["encoder.token_projection.weight"])


def test_every_weight_counts_its_loss():
    draw = torch.Generator().manual_seed(0)
    dim, rows = 6, (4, STEPS, 6)
    steps, layers = torch.randn(rows, generator=draw), torch.randn(2, *rows, generator=draw)
    fused, logits = torch.randn(4, 2 * dim, generator=draw), torch.randn(4, CLASSES, generator=draw)
    known = TeacherTargets(logits, fused, steps, tuple(layers))
    heads = {
        "fused": fused + 1,
        "contrast": fused.flip(0),
        "steps": 2 * steps,
        "layer0": -layers[0],
        "layer1": layers[0],
    }
    said = StudentOutput(logits.flip(1), torch.randn(4, 3, generator=draw), heads)
    regression = feature_regression(fused + 1, fused) + feature_regression(2 * steps, steps)
    layer = (feature_regression(-layers[0], layers[0]) + feature_regression(layers[0], layers[1])) / 2
    expected = {
        "soft": soft_targets(said.logits, logits, 3.0),
        "feature": regression + layer,
        "relational": relational(said.pooled, fused),
        "contrastive": contrastive(heads["contrast"], fused),
        "decoupled": decoupled(said.logits, logits, 3.0),
    }
    weights = {name: float(number) for number, name in enumerate(expected, 2)}
    found = weighted(said, known, DistillConfig(temperature=3.0, layers=2, **weights))  # type: ignore[arg-type]
    torch.testing.assert_close(found, [weights[name] * loss for name, loss in expected.items()])


def test_several_teachers_of_unlike_sizes_teach_all_of_it_at_once(distil: Distil):
    every = ("--layers", "2", "--relational", "1", "--contrastive", "1", "--decoupled", "1", "--begin-like-teacher")
    both = distil(*every, *SHARE, teachers=("one", "two"))
    assert all(torch.isfinite(tensor).all() for tensor in both.values())
    assert not same(both, distil(*every, *SHARE))


def swapped(recorded: Dataset, folder: Path, out: Path, hidden: bool) -> int:
    """Write the recordings with the labels of two windows swapped, both hidden or both shown; returns the draw.

    They are neighbours in the order of windows, so that the same windows are drawn with and without the swap.
    """
    train = load_stage_data(DataOptions(str(folder / "data"), split=SPLIT)).train
    for draw in range(100):
        shown = np.isin(np.arange(len(train)), stratified(train.label, float(SHARE[1]), draw))
        fit = (shown[1:] != hidden) & (shown[:-1] != hidden) & (train.label[1:] != train.label[:-1])
        if fit.any():
            place = int(np.argmax(fit))
            break
    else:
        raise AssertionError("no draw has two such neighbours")
    one, other = train.clip[place : place + 2].tolist()
    label = {clip.name: clip.label for clip in recorded.clips}
    label[one], label[other] = label[other], label[one]
    recordings.write(replace(recorded, clips=tuple(replace(c, label=label[c.name]) for c in recorded.clips)), out)
    return draw


@pytest.mark.parametrize(
    "options",
    [(), LABELS_ALONE, (*LABELS_ALONE, "--pseudo-labels", "equal")],
    ids=["taught", "labels alone", "pseudo-labels"],
)
@pytest.mark.parametrize("hidden", [True, False])
def test_hidden_labels_change_nothing_and_shown_ones_do(
    hidden: bool, options: tuple[str, ...], recorded: Dataset, folder: Path, distil: Distil, tmp_path: Path
):
    draw = swapped(recorded, folder, tmp_path / "swapped", hidden)
    drawn = (*SHARE, "--label-draw", str(draw), *options)
    assert same(distil(*drawn), distil(*drawn, "--data", str(tmp_path / "swapped"))) is hidden


class Sleeping(TeacherEnsemble):
    """Teachers who may not be asked."""

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> TeacherTargets:
        raise InterruptedError("a teacher was asked")


def test_labels_alone_never_ask_the_teacher(folder: Path):
    data = load_stage_data(DataOptions(str(folder / "data"), split=SPLIT))
    info = data.dataset.info
    clean = to_tensors(data.train, torch.device("cpu"))
    teachers = Sleeping([load_checkpoint(folder / "one", ("teacher",))])
    student = StudentNetwork(StudentConfig(), info.modalities, info.window.steps, len(info.labels))
    variation = Variation(info, AugmentConfig(), ExchangeConfig(), 0.0, 0.5)

    def loss_with(config: DistillConfig) -> float:
        loss_of = distill_loss(FaultyWindows(clean, [], 0.0), teachers, variation, 0.1, config, ALONE)
        return float(
            loss_of(DistillationModel(student, teachers.dim, config), np.arange(4), update_generator(0, 0)).detach()
        )

    assert loss_with(DistillConfig(soft=0.0, feature=0.0)) > 0
    with pytest.raises(InterruptedError):
        loss_with(DistillConfig(soft=0.0, feature=0.0, relational=0.1))


def test_labels_alone_know_nothing_of_the_teacher(distil: Distil):
    alone = distil(*LABELS_ALONE)
    assert same(alone, distil(*LABELS_ALONE, teachers=("broken",)))
    assert all(torch.isfinite(tensor).all() for tensor in alone.values())
    with pytest.raises(ConfigError, match=r"the loss is (nan|inf)"):
        distil(teachers=("broken",))


@pytest.mark.parametrize("options", [(), LABELS_ALONE], ids=["taught", "labels alone"])
def test_one_label_of_every_activity_is_enough(options: tuple[str, ...], distil: Distil):
    found = distil(*options, "--label-share", "0.01")
    assert "means" not in found  # so few tell too much of a recording
    assert all(torch.isfinite(tensor).all() for tensor in found.values())


def test_more_layers_than_the_shallowest_teacher_has_are_refused(distil: Distil):
    with pytest.raises(ConfigError, match="--layers 3: expected 2 at most"):
        distil("--layers", "3", teachers=("two", "one"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"soft": -0.1}, "--soft -0.1: expected a number from 0"),
        ({"hard": float("nan")}, "--hard nan"),
        ({"feature": -1.0}, "--feature -1.0"),
        ({"relational": -1.0}, "--relational -1.0"),
        ({"contrastive": float("inf")}, "--contrastive inf"),
        ({"decoupled": -2.0}, "--decoupled -2.0"),
        ({"mixup": -0.5}, "--mixup -0.5"),
        ({"temperature": 0.0}, "--temperature 0.0: expected a number above 0"),
        ({"layers": -1}, "--layers -1"),
        ({"layers": 2, "feature": 0.0}, "--layers 2, --feature 0.0: expected"),
        ({"label_share": 0.0}, "--label-share 0.0"),
        ({"label_share": 1.1}, "--label-share 1.1"),
        ({"label_draw": -1}, "--label-draw -1"),
        ({"pseudo_labels": "even"}, "--pseudo-labels even: expected one of none, likely, equal"),
        ({"pseudo_labels": "likely", "hard": 0.0}, "--pseudo-labels likely with --hard 0: nothing is learnt"),
        ({"soft": 0.0, "hard": 0.0, "feature": 0.0}, "every loss has weight 0"),
    ],
)
def test_values_that_mean_nothing_are_refused(wrong: dict[str, float], said: str):
    with pytest.raises(ConfigError, match=said):
        DistillConfig(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("depth", "layers", "chosen"), [(3, 0, []), (3, 1, [2]), (3, 2, [0, 2]), (6, 3, [1, 3, 5])])
def test_layers_are_spread_over_the_depth_and_end_with_the_last(depth: int, layers: int, chosen: list[int]):
    assert spread_evenly(depth, layers) == chosen
    assert spread_evenly(depth, depth) == list(range(depth))


def test_the_linear_part_of_the_first_layers_is_one_map():
    teacher = Teacher(TeacherConfig(joint_blocks=0), SPECS, STEPS, CLASSES)
    features, _ = windows()
    for spec in SPECS:
        tokens = teacher.tokens[spec.name]
        here = tokens(features[spec.name]) - tokens(torch.zeros_like(features[spec.name]))
        mapped = features[spec.name].flatten(2) @ step_map(tokens, spec.patch).T  # type: ignore[arg-type]
        torch.testing.assert_close(mapped, here, atol=1e-5, rtol=1e-4)


def test_a_stem_begun_like_the_teacher_misses_least_of_what_the_teacher_sees():
    teacher = Teacher(TeacherConfig(dim=64), SPECS, STEPS, CLASSES)
    student = StudentNetwork(StudentConfig(stem=80), SPECS, STEPS, CLASSES)
    before = {name: stem.weight.detach().clone() for name, stem in student.encoder.stem.items()}  # type: ignore[union-attr]
    initialise_from_teacher(student, teacher)
    for spec in SPECS:
        weight: Tensor = student.encoder.stem[spec.name].weight.detach()  # type: ignore[union-attr]
        whole = step_map(teacher.tokens[spec.name], spec.patch).detach()  # type: ignore[arg-type]
        rank = min(*whole.shape, 80)

        def missed(rows: Tensor, whole: Tensor = whole) -> float:
            """What a map sees outside the space of these rows, in shares of all it sees."""
            basis, _ = torch.linalg.qr(rows.T)
            return float((whole - whole @ basis @ basis.T).norm() / whole.norm())

        assert missed(weight[:rank]) < 1e-3
        strongest = torch.linalg.svdvals(whole)[8:].square().sum().sqrt() / whole.norm()
        assert missed(weight[:8]) == pytest.approx(float(strongest), rel=1e-3)
        assert missed(before[spec.name][:8]) > 1.05 * missed(weight[:8])
        # As long as rows were on average, and no two alike; those that are left over are as they were.
        length = before[spec.name].norm(dim=1).mean()
        torch.testing.assert_close(weight[:rank] @ weight[:rank].T, torch.eye(rank) * length**2, atol=1e-5, rtol=1e-4)
        assert torch.equal(weight[rank:], before[spec.name][rank:])
