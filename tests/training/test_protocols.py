"""What published protocols need: schedules, losses, augmentation, which part chooses, how samples are normalised."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from data_files import cifar_folder, code
from spikeport.datasets import Dataset
from spikeport.findings import SpikeportError
from spikeport.preprocessing import of
from spikeport.training import DsAtgo, augment, policy, shipped
from spikeport.training.loop import Training, fit, rate_at
from spikeport.training.losses import mean_square
from spikeport.training.networks import try_out
from spikeport.training.parts import batches, shrunk
from spikeport.training.recipe import parse, read
from spikeport.verbs.train import train
from tiny_training import TINY, blobs, network

PUBLISHED = [name for name in shipped.recipes() if name.startswith("paper/")]


def recipe(**fields):
    return parse({**TINY, "shift": 0, "flip": False, **fields})


def theirs(schedule, per_epoch, epochs):
    """The rates that a schedule of torch's gives, stepped once an epoch."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    steps, rates = schedule(optimiser), []
    for _ in range(epochs):
        rates += [steps.get_last_lr()[0]] * per_epoch
        optimiser.step()
        steps.step()
    return rates


def test_schedules_by_epochs_are_torchs():
    cosine, stair = recipe(schedule="cosine-epoch", epochs=7), recipe(schedule="step", step_epochs=2, epochs=7)
    wanted = theirs(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 7), 3, 7)
    assert [rate_at(step, 3, cosine) for step in range(21)] == pytest.approx(wanted)
    wanted = theirs(lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.1), 3, 7)
    assert [rate_at(step, 3, stair) for step in range(21)] == pytest.approx(wanted)


def test_the_mean_square_is_from_one_hot_labels():
    logits, labels = torch.tensor([[0.5, 1.0, 0.0], [2.0, 0.0, -1.0]]), torch.tensor([1, 2])
    plain = (0.25 + 0 + 0 + 4 + 0 + 4) / 6
    assert float(mean_square(logits, labels)) == pytest.approx(plain)
    smooth = (0.4**2 + 0.2**2 + 0.1**2 + 1.9**2 + 0.1**2 + 1.8**2) / 6  # 0.8 and 0.1 at a smoothing of 0.3
    assert float(mean_square(logits, labels, smoothing=0.3)) == pytest.approx(smooth)


@pytest.mark.parametrize(("last", "sizes"), [("half", [10, 10]), ("keep", [10, 10, 4]), ("drop", [10, 10])])
def test_a_batch_that_is_not_full(last, sizes):
    assert [len(batch) for batch in batches(24, 10, torch.Generator(), last)] == sizes
    assert [len(batch) for batch in batches(25, 10, torch.Generator(), last)][2:] == ([] if last == "drop" else [5])


def test_what_rolls_out_comes_in_again_in_all_frames_alike():
    x = torch.arange(2 * 40 * 49.0).reshape(2, 40, 1, 7, 7)
    rolled = augment.augment(x, torch.Generator().manual_seed(1), recipe(roll=2))
    places = set()
    for before, after in zip(x.unbind(1), rolled.unbind(1), strict=True):
        (place,) = [
            (r, c) for r in range(-2, 3) for c in range(-2, 3) if torch.equal(before.roll((r, c), (-2, -1)), after)
        ]
        places.add(place)
    assert len(places) > 12


def test_a_square_is_cut_out_of_each_sample():
    x = torch.ones(60, 2, 9, 9)
    cut = augment.augment(x, torch.Generator().manual_seed(1), recipe(cutout=4)) == 0
    assert torch.equal(cut[:, 0], cut[:, 1])
    for hole in cut[:, 0]:
        rows, cols = hole.any(1).nonzero().ravel(), hole.any(0).nonzero().ravel()
        assert torch.equal(hole.nonzero(), torch.cartesian_prod(rows, cols))  # a filled rectangle
        assert 2 <= len(rows) <= 4  # half of it may lie outside
        assert 2 <= len(cols) <= 4
    assert int(cut[:, 0].sum((1, 2)).max()) == 16


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({"shift": 8, "roll": 9}, (1, 8, 12)),
        ({"cutout": 8, "flip": True}, (12, 1, 1)),
        ({"shift": 1, "cutout": 2}, (16,)),
    ],
)
def test_what_leaves_nothing_of_a_frame_is_refused(fields, shape):
    with pytest.raises(SpikeportError) as error:
        augment.check(recipe(**fields), shape)
    assert [finding.code for finding in error.value.findings] == ["SP312"] * 2
    augment.check(recipe(shift=7, roll=7, cutout=7, flip=True), (1, 8, 12))


def test_small_images_are_means_of_squares_of_pixels():
    x = np.arange(2 * 3 * 2 * 4 * 6, dtype=np.float32).reshape(2, 3, 2, 4, 6)  # [T, N, C, H, W]
    frames = Dataset(x, np.zeros(3, np.int64), "events", 2, "counts")
    small = shrunk(frames, 2)
    assert small.input_shape == (2, 2, 3)
    assert small.x[1, 2, 1, 1, 2] == np.mean([x[1, 2, 1, row, col] for row in (2, 3) for col in (4, 5)])
    assert shrunk(frames, 1) is frames
    assert code(shrunk, frames, 4) == "SP312"  # six columns are no multiple of four
    assert code(shrunk, Dataset(x[0, :, :, 0, 0], frames.y, "direct", 2, "rows"), 2) == "SP312"


def test_a_training_of_small_images_is_where_one_of_whole_ones_begins(tmp_path):
    fields = {"epochs": 1, "architecture.channels": [4, 8], "architecture.hidden": 16, "batch": 100, "shift": 0}
    less = {**fields, "shrink": 2, "architecture.pool": 2}  # one pixel is left of 4x4, as below of 8x8
    small = train("digits-conv", out=tmp_path / "small", overrides=less, progress=False)
    assert small.metadata["input_shape"] == [1, 4, 4]
    more = {**fields, "start": str(small.checkpoint), "architecture.pool": 4, "lr": 1e-12, "weight_bits": 0}
    whole = train("digits-conv", out=tmp_path / "whole", overrides=more, progress=False)
    assert whole.metadata["input_shape"] == [1, 8, 8]
    before, now = (done.module.state_dict()["conv1.synapse.weight"] for done in (small, whole))
    torch.testing.assert_close(now, before)


def test_a_network_that_does_not_take_the_samples_is_told_before_the_training(tmp_path):
    fields = {"architecture.events": True, "timesteps": 2}
    assert code(train, "digits-conv", out=tmp_path, overrides=fields) == "SP314"
    assert code(try_out, torch.nn.Flatten(), torch.zeros(1, 1, 8, 8), 10) == "SP314"


def test_a_policy_needs_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.transforms", None)
    with pytest.raises(SpikeportError, match="SP322"):
        augment.augment(torch.rand(2, 3, 8, 8), torch.Generator(), recipe(policy="cifar10"))


@pytest.fixture
def torchvision(monkeypatch):
    """Its transforms, without its compiled operators: a build for CUDA has none on a machine without, and needs none.

    What was imported goes again, so that the next import finds what it would have found.
    """
    known = set(sys.modules)
    for name in ("_meta_registrations", "_autograd_registrations"):
        monkeypatch.setitem(sys.modules, f"torchvision.{name}", ModuleType(name))
    pytest.importorskip("torchvision.transforms.v2")
    yield
    for name in [name for name in sys.modules if name.startswith("torchvision") and name not in known]:
        del sys.modules[name]


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize("name", ["cifar10", "cifar10-published"])
def test_a_policy_draws_from_the_trainings_generator_alone(name):
    x, before = torch.rand(6, 3, 32, 32), torch.get_rng_state()
    one, again, other = (
        augment.augment(x, torch.Generator().manual_seed(seed), recipe(policy=name)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert 0 <= float(one.min()) < float(one.max()) <= 1
    with pytest.raises(SpikeportError, match="SP322"):
        augment.augment(x - 1, torch.Generator(), recipe(policy=name))


@pytest.mark.usefixtures("torchvision")
def test_the_published_policy_has_torchvisions_pairs_but_for_one_probability():
    from torchvision.transforms import v2

    theirs = [operation for pair in v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)._policies for operation in pair]
    ours = [operation for pair in policy.PAIRS for operation in pair]
    apart = []
    for one, (name, probability, magnitude) in zip(ours, theirs, strict=True):
        assert one[0].replace("_", "") == name.lower()
        assert magnitude in (one[2], None)
        apart += [(one, probability)] if one[1] != probability else []
    assert apart == [(("equalize", 0.8, 4), 0.6)]  # data_augment.py of both codes; the article has 0.6


@pytest.mark.parametrize("channels", [1, 3])
def test_the_published_policy_fills_with_grey_and_rotates_one_way(channels, monkeypatch):
    """Each operation on its own, at its largest magnitude, against plain arithmetic of pixels."""
    x = torch.randint(0, 256, (40, channels, 12, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))

    def at_most(name):
        monkeypatch.setattr(policy, "PAIRS", (((name, 1.0, 9), ("invert", 0.0, 0)),))
        return policy.published(x, torch.Generator().manual_seed(2)).int()

    def along(values, by):  # the pixel at x + by, its middle being at x + 0.5
        places = torch.floor(torch.arange(16) + 0.5 + by).long()
        inside = (places >= 0) & (places < 16)
        return torch.where(inside, values[..., places.clamp(0, 15)], torch.full_like(values, 128))

    moved = at_most("translate_x")
    ways = [
        [torch.equal(image, along(one.int(), way * 16 * 150 / 331)) for way in (1, -1)]
        for one, image in zip(x, moved, strict=True)
    ]
    assert all(sum(each) == 1 for each in ways)
    assert {each.index(True) for each in ways} == {0, 1}
    assert torch.equal(at_most("posterize"), x.int() // 16 * 16)
    assert torch.equal(at_most("invert"), 255 - x.int())
    assert torch.equal(at_most("solarize"), 255 - x.int())  # from level 0 on
    bright = at_most("brightness")
    assert {
        round(float(image.sum() / one.sum()), 1) for one, image in zip(x, bright, strict=True) if image.max() < 255
    } == {0.1}
    turned = at_most("rotate")
    assert torch.equal(turned[:, :, 0, 0], torch.full_like(turned[:, :, 0, 0], 128))  # corners leave the image


def test_ablations_keep_one_half_of_ds_atgo():
    """Eq. 5 and 7 in numbers: mean 0.1, std 0.4, decay 0.75, so sqrt(1 + decay**2) = 1.25."""
    mean, std, decay = (torch.tensor(value).double() for value in (0.1, 0.4, 0.75))
    wide = 1 + np.tanh(0.4 - 1)
    for options, theta, width in (
        ({}, 0.5, wide),
        ({"width_from": "fixed"}, 0.5, 1.0),
        ({"threshold_from": "constant"}, 1.0, wide),
        ({"threshold_from": "estimated", "f_c": 2.0}, 2.5, wide),
        ({"threshold_from": "estimated", "width_from": "threshold"}, 1.25, 1 + np.tanh(0.25)),
    ):
        adapted = DsAtgo(**options).adapt(mean, std, decay)
        assert [float(value) for value in adapted] == pytest.approx([theta, width]), options


def test_the_last_epoch_may_be_the_one_that_counts():
    chosen = recipe(choose="last", train_on="all", epochs=3, lr=1e-9)  # nothing is learned: the first is as good
    training = Training.begin(network(chosen), chosen, 240)
    assert fit(training, blobs(), blobs(30, 1)).epoch == 3


def test_a_part_that_is_trained_on_cannot_choose():
    with pytest.raises(SpikeportError, match="SP321"):
        recipe(train_on="all")


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_protocols_are_whole(name):
    chosen = read(shipped.find(name))
    assert chosen.model == name.removeprefix("paper/")
    assert chosen.method in name
    assert "Published: " in shipped.find(name).read_text("utf-8")
    assert (chosen.timesteps, chosen.network) == ((10, "vggsnn") if "dvs" in name else (2, "resnet19"))


def test_a_published_protocol_trains_on_files_of_the_true_format(tmp_path):
    """A narrow network and large batches, so that an epoch of all 1,000 images takes few seconds."""
    folder, _ = cifar_folder(tmp_path, "cifar10", tests=20)
    less = {"folder": str(folder), "epochs": 1, "batch": 500, "architecture.width": 1 / 16}
    trained = train("paper/mpd-agl-cifar10-resnet19", out=tmp_path / "out", overrides=less, progress=False)
    assert of(trained.metadata).mean == (0.4914, 0.4822, 0.4465)
    assert trained.epochs[0].val_accuracy == trained.metadata["test_accuracy"]  # the test part has chosen
    assert trained.metadata["recipe"]["choose"] == "test"
