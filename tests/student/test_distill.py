"""Every distillation option changes the student; unused labels and unused teachers do not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from edgehar.data import recordings
from edgehar.data.registry import DataOptions
from edgehar.errors import ConfigError
from edgehar.signals.clip import Dataset
from edgehar.signals.windows import stratified
from edgehar.simulation.dataset import SimulatorConfig, simulate
from edgehar.student.distill import main as distill
from edgehar.student.distillation.ensemble import TeacherEnsemble, TeacherTargets
from edgehar.student.distillation.objective import DistillationModel, DistillConfig, distill_loss
from edgehar.student.network.model import StudentConfig, StudentNetwork
from edgehar.teacher.augmentation.compose import Augmentation
from edgehar.teacher.augmentation.geometric import AugmentConfig
from edgehar.teacher.augmentation.part_swap import ExchangeConfig
from edgehar.teacher.augmentation.sensor_faults import FaultyWindows
from edgehar.teacher.finetune import main as finetune
from edgehar.teacher.training.batches import to_tensors, update_generator
from edgehar.teacher.training.checkpoint import load_checkpoint, save_checkpoint
from edgehar.teacher.training.processes import ProcessGroup
from edgehar.teacher.training.saliency_guided import Guide, GuidedConfig
from edgehar.teacher.training.stage import load_stage_data

SPLIT = "list:s1,s3:s2"
SHARE = ("--label-share", "0.5")
ONE_PROCESS = ProcessGroup(0, 1, torch.device("cpu"))
LABELS_ONLY = ("--soft", "0", "--feature", "0")

Distil = Callable[..., dict[str, Tensor]]


@pytest.fixture(scope="module")
def recorded() -> Dataset:
    return simulate(SimulatorConfig(subjects=3, trials=5, activities=("walk", "wave", "squat", "clap")))


@pytest.fixture(scope="module")
def folder(recorded: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings in `data`, teachers of different sizes in `one` and `small`, and `broken` with infinite logits."""
    path = tmp_path_factory.mktemp("distil")
    recordings.write(recorded, path / "data")
    for name, sizes in (
        ("one", ("--time-blocks", "2")),
        ("small", ("--time-blocks", "3", "--dim", "32")),
    ):
        own = ("--data", str(path / "data"), "--split", SPLIT, "--out", str(path / name))
        assert finetune([*own, "--preset", "tiny", "--updates", "4", "--batch", "8", *sizes]) == 0
    one = load_checkpoint(path / "one", ("teacher",))
    save_checkpoint(path / "broken", replace(one, weights={k: t * 1e30 for k, t in one.weights.items()}))
    return path


@pytest.fixture(scope="module")
def distil(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Distil:
    """Options -> tensors of a student distilled with a few updates."""

    def run(*options: str, teachers: tuple[str, ...] = ("one",)) -> dict[str, Tensor]:
        out = tmp_path_factory.mktemp("runs") / "student"
        words = ["--teacher", ",".join(str(folder / name) for name in teachers), "--out", str(out), "--preset", "tiny"]
        assert distill([*words, "--updates", "3", "--batch", "16", "--faulty-copies", "1", *options]) == 0
        return {name: part for path in out.glob("*.safetensors") for name, part in load_file(path).items()}

    return run


@pytest.fixture(scope="module")
def default(distil: Distil) -> dict[str, Tensor]:
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
        ("--mirror", "0.5"),
        ("--guided", "1"),
        ("--guided", "1", "--guided-adaptive"),
        (*SHARE, "--pseudo-labels", "likely"),
        (*SHARE, "--pseudo-labels", "equal"),
        SHARE,
    ],
    ids=" ".join,
)
def test_every_option_changes_the_student(options: tuple[str, ...], distil: Distil, default: dict[str, Tensor]):
    found = distil(*options)
    # The auxiliary heads are not stored.
    assert found.keys() == default.keys()
    assert not torch.equal(found["encoder.token_projection.weight"], default["encoder.token_projection.weight"])


def test_teachers_of_different_sizes_are_combined_with_all_losses(distil: Distil):
    options = ("--layers", "2", "--relational", "1", "--contrastive", "1", "--decoupled", "1")
    both = distil(*options, *SHARE, teachers=("one", "small"))
    assert all(torch.isfinite(tensor).all() for tensor in both.values())
    assert not same(both, distil(*options, *SHARE))


def swapped(recorded: Dataset, folder: Path, out: Path, unused: bool) -> int:
    """Write the recordings with the labels of two windows swapped, both unused or both used; returns the draw.

    They are consecutive windows, so the same rows are drawn with and without the swap.
    """
    train = load_stage_data(DataOptions(str(folder / "data"), split=SPLIT)).train
    for draw in range(100):
        used = np.isin(np.arange(len(train)), stratified(train.label, float(SHARE[1]), draw))
        candidates = (used[1:] != unused) & (used[:-1] != unused) & (train.label[1:] != train.label[:-1])
        if candidates.any():
            index = int(np.argmax(candidates))
            break
    else:
        raise AssertionError("no draw has two such windows")
    one, other = train.clip[index : index + 2].tolist()
    label = {clip.name: clip.label for clip in recorded.clips}
    label[one], label[other] = label[other], label[one]
    recordings.write(replace(recorded, clips=tuple(replace(c, label=label[c.name]) for c in recorded.clips)), out)
    return draw


@pytest.mark.parametrize(
    "options",
    [(), LABELS_ONLY, (*LABELS_ONLY, "--pseudo-labels", "equal")],
    ids=["default", "labels only", "pseudo-labels"],
)
@pytest.mark.parametrize("unused", [True, False])
def test_unused_labels_change_nothing_and_used_labels_do(
    unused: bool, options: tuple[str, ...], recorded: Dataset, folder: Path, distil: Distil, tmp_path: Path
):
    draw = swapped(recorded, folder, tmp_path / "swapped", unused)
    drawn = (*SHARE, "--label-draw", str(draw), *options)
    assert same(distil(*drawn), distil(*drawn, "--data", str(tmp_path / "swapped"))) is unused


class UnusableTeachers(TeacherEnsemble):
    """Teachers that must not be evaluated."""

    def forward(self, features: dict[str, Tensor], valid: dict[str, Tensor]) -> TeacherTargets:
        raise InterruptedError("a teacher was evaluated")


def test_teachers_are_not_evaluated_with_labels_only(folder: Path):
    data = load_stage_data(DataOptions(str(folder / "data"), split=SPLIT))
    info = data.dataset.info
    clean = to_tensors(data.train, torch.device("cpu"))
    teachers = UnusableTeachers([load_checkpoint(folder / "one", ("teacher",))])
    student = StudentNetwork(StudentConfig(), info.modalities, info.window.steps, len(info.labels))
    augmentation = Augmentation(info, AugmentConfig(), ExchangeConfig(), 0.0, 0.5)

    def loss_with(config: DistillConfig) -> float:
        model = DistillationModel(student, teachers.dim, teachers.fused_dim, config)
        guide = Guide(model, GuidedConfig(), ONE_PROCESS)
        loss_of = distill_loss(FaultyWindows(clean, [], 0.0), teachers, augmentation, 0.1, config, guide)
        return float(loss_of(model, np.arange(4), update_generator(0, 0)).detach())

    assert loss_with(DistillConfig(soft=0.0, feature=0.0)) > 0
    with pytest.raises(InterruptedError):
        loss_with(DistillConfig(soft=0.0, feature=0.0, relational=0.1))


def test_student_does_not_depend_on_the_teacher_with_labels_only(distil: Distil):
    labels_only = distil(*LABELS_ONLY)
    assert same(labels_only, distil(*LABELS_ONLY, teachers=("broken",)))
    assert all(torch.isfinite(tensor).all() for tensor in labels_only.values())
    with pytest.raises(ConfigError, match=r"loss is (nan|inf)"):
        distil(teachers=("broken",))


@pytest.mark.parametrize("options", [(), LABELS_ONLY], ids=["default", "labels only"])
def test_one_label_per_activity_is_enough(options: tuple[str, ...], distil: Distil):
    found = distil(*options, "--label-share", "0.01")
    assert "means" not in found  # too few windows for means that do not reveal a recording
    assert all(torch.isfinite(tensor).all() for tensor in found.values())


def test_more_layers_than_the_shallowest_teacher_are_refused(distil: Distil):
    with pytest.raises(ConfigError, match="--layers 3: expected up to 2"):
        distil("--layers", "3", teachers=("small", "one"))
