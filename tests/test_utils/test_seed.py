# Copyright (c) mmreid contributors. All rights reserved.
import importlib
import inspect
import itertools
import random
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset

from mmreid.utils.seed import epoch_worker_init_fn, set_epoch_seed

EXPECTED_SEEDS = [1317536309490288386, 5769891174451087230, 6300330817192862452]


class DrawingDataset(Dataset):
    """Draws from all three libraries and returns OpenCV's number of threads."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> list[float]:
        return [random.random(), np.random.rand(), torch.rand(()).item(), float(cv2.getNumThreads())]


def draw() -> tuple[float, float, float]:
    return random.random(), np.random.rand(), torch.rand(()).item()


def read(loader: DataLoader, epoch: int, seed: int = 0, rank: int = 0) -> torch.Tensor:
    """Reads an epoch.

    Args:
        loader (DataLoader): The loader.
        epoch (int): The epoch.
        seed (int): The seed.
        rank (int): The rank.

    Returns:
        Tensor: (8, 4) the samples.
    """
    set_epoch_seed(seed, epoch, rank)
    return torch.cat([torch.stack(batch, dim=1) for batch in loader])


def make_loader(**kwargs) -> DataLoader:
    return DataLoader(DrawingDataset(), batch_size=2, **kwargs)


def test_same_numbers_same_stream():
    first = set_epoch_seed(1, 2, 3), draw()
    assert (set_epoch_seed(1, 2, 3), draw()) == first


def test_neighbors_do_not_meet():
    """All 1000 combinations differ in every library; ``seed + epoch + rank`` would give 28 streams."""
    draws = []
    for combination in itertools.product(range(10), repeat=3):
        set_epoch_seed(*combination)
        draws.append(draw())
    for stream in zip(*draws, strict=True):
        assert len(set(stream)) == 1000
        values = np.array(stream).reshape(10, 100)
        assert 0.45 < values.mean() < 0.55
        assert abs(np.corrcoef(values[:-1].ravel(), values[1:].ravel())[0, 1]) < 0.15


def test_is_not_changed_by_accident():
    """Checkpoints of older versions resume into the same streams only if these numbers stay the same."""
    assert [set_epoch_seed(*key) for key in ((0, 0, 0), (0, 1, 0), (42, 3, 1))] == EXPECTED_SEEDS


@pytest.mark.parametrize('bad', [-1, 0.5, None, True])
@pytest.mark.parametrize('place', [0, 1, 2])
def test_refuses_what_is_no_seed(bad, place):
    numbers = [0, 0, 0]
    numbers[place] = bad
    with pytest.raises(ValueError, match=f'^{("seed", "epoch", "rank")[place]} .* {bad};'):
        set_epoch_seed(*numbers)


def check_streams(loader: DataLoader) -> torch.Tensor:
    """Asserts what workers must do.

    Args:
        loader (DataLoader): A loader with two workers.

    Returns:
        Tensor: Epoch 0.
    """
    epoch_0, epoch_1, again = read(loader, 0), read(loader, 1), read(loader, 0)
    assert torch.equal(epoch_0, again)
    for column in range(3):
        both = torch.cat([epoch_0[:, column], epoch_1[:, column]])
        assert len(set(both.tolist())) == 16, 'no number twice, over samples, workers and epochs'
    assert (epoch_0[:, 3] == 1).all(), 'OpenCV starts no threads in a worker'
    return epoch_0


def test_workers_by_fork():
    loader = make_loader(num_workers=2, worker_init_fn=epoch_worker_init_fn, multiprocessing_context='fork')
    epoch_0 = check_streams(loader)
    assert not torch.equal(epoch_0, read(loader, 0, rank=1)) and not torch.equal(epoch_0, read(loader, 0, seed=1))


@pytest.mark.long
def test_workers_by_spawn(tmp_path, monkeypatch):
    """The same numbers as with fork, because nothing is inherited."""
    # A spawned worker imports the data set by its module, and cannot import this file.
    imports = 'import random\nimport cv2\nimport numpy as np\nimport torch\nfrom torch.utils.data import Dataset\n'
    (tmp_path / 'module_of_spawn_test.py').write_text(imports + inspect.getsource(DrawingDataset))
    monkeypatch.syspath_prepend(tmp_path)
    dataset = importlib.import_module('module_of_spawn_test').DrawingDataset()
    options = dict(batch_size=2, num_workers=1, worker_init_fn=partial(epoch_worker_init_fn, cv2_threads=0))
    spawned = read(DataLoader(dataset, multiprocessing_context='spawn', **options), 0)
    forked = read(DataLoader(dataset, multiprocessing_context='fork', **options), 0)
    assert torch.equal(spawned, forked)


def test_mmengine_default_repeats_every_epoch():
    """The reason for our function; if this fails, MMEngine has changed and ours can be removed."""
    cfg = dict(
        batch_size=2, num_workers=2, dataset=DrawingDataset(), sampler=None, collate_fn=dict(type='default_collate')
    )
    loader = Runner.build_dataloader(cfg, seed=0)
    assert torch.equal(read(loader, 0)[:, :3], read(loader, 1)[:, :3])


def test_by_name_in_a_dataloader_config():
    cfg = dict(
        batch_size=2,
        num_workers=2,
        dataset=DrawingDataset(),
        sampler=None,
        collate_fn=dict(type='default_collate'),
        worker_init_fn=dict(type='epoch_worker_init_fn', cv2_threads=0),
    )
    check_streams(Runner.build_dataloader(cfg, seed=0))


def test_threads_of_opencv():
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        epoch_worker_init_fn(0, cv2_threads=None)
        assert cv2.getNumThreads() == 3
        epoch_worker_init_fn(0)
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)
