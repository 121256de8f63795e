# Copyright (c) mmreid contributors. All rights reserved.
"""Draws of galleries against those of CM-NAS's code, and the official ones."""

import sys

import numpy as np
import pytest
import torch
from test_evaluation.metric_samples import golden

from mmreid.evaluation.functional.gallery_draws import (
    Permutations,
    draw_official,
    draw_seeded,
    group_images,
    read_permutations,
)

PLACES = golden('02_sysu_gallery_sampling')


@pytest.mark.parametrize('shot', [1, 10])
@pytest.mark.parametrize(('mode', 'cameras'), [('all', '1245'), ('indoor', '12')])
def test_seeded_draws_are_those_of_the_reference(mode, cameras, shot):
    ids = set(PLACES['test_ids'].tolist())
    files = [name for name in PLACES['files'].tolist() if name[3] in cameras and int(name.split('/')[1]) in ids]
    mixed = [files[i] for i in np.random.default_rng(0).permutation(len(files))]
    pids = torch.tensor([int(name.split('/')[1]) for name in mixed])
    camids = torch.tensor([int(name[3]) - 1 for name in mixed])
    folder = [sorted(name for name in files if name.rpartition('/')[0] == one.rpartition('/')[0]) for one in mixed]
    place = torch.tensor([names.index(name) for names, name in zip(folder, mixed, strict=True)])
    groups = group_images(pids, camids, place)
    for trial in range(10):
        drawn = [mixed[image] for image in draw_seeded(groups, shot, trial).tolist()]
        assert drawn == PLACES[f'{mode}/shot{shot}/trial{trial}/files'].tolist()


def test_groups_without_places_keep_the_order():
    groups = group_images(torch.tensor([2, 1, 2, 2]), torch.tensor([0, 1, 0, 1]))
    assert list(groups.items()) == [((1, 1), [1]), ((2, 0), [0, 2]), ((2, 1), [3])]


def test_too_few_images_are_counted():
    groups = {(4, 0): [0, 1, 2], (4, 1): [3], (9, 1): [4, 5]}
    with pytest.raises(ValueError, match='2 of 3 identity-camera pairs have fewer, e.g. identity 4 has 1 in camera 2'):
        draw_seeded(groups, 3, 0)


CELLS = [[np.zeros((0, 0), int), np.array([[3, 1, 2], [2, 3, 1]])], [np.zeros((0, 0), int), np.array([[1, 2], [2, 1]])]]


def test_official_draws_take_the_first_of_each_permutation():
    groups = {(2, 0): [10, 11, 12], (2, 1): [20, 21]}
    permutations = Permutations(CELLS, 'x.mat')
    assert draw_official(groups, 2, 0, permutations).tolist() == [12, 10, 20, 21]
    assert draw_official(groups, 1, 1, permutations).tolist() == [11, 21]
    with pytest.raises(ValueError, match='x.mat has 2 trials, but trial 3 was asked for'):
        draw_official(groups, 1, 2, permutations)
    with pytest.raises(ValueError, match='x.mat orders 2 images of identity 2 in camera 2, but the test set has 3'):
        draw_official({(2, 1): [20, 21, 22]}, 1, 0, permutations)
    with pytest.raises(ValueError, match='orders 0 images of identity 7 in camera 1'):
        draw_official({(7, 0): [1]}, 1, 0, permutations)


def test_official_file_is_read(tmp_path):
    io = pytest.importorskip('scipy.io')
    cells = np.empty((len(CELLS), 1), object)
    for camera, of_camera in enumerate(CELLS):
        cells[camera, 0] = np.empty((len(of_camera), 1), object)
        for pid, rows in enumerate(of_camera):
            cells[camera, 0][pid, 0] = rows.astype(float)  # MATLAB's numbers are doubles
    io.savemat(tmp_path / 'rand_perm_cam.mat', dict(rand_perm_cam=cells))
    permutations = read_permutations(tmp_path / 'rand_perm_cam.mat')
    assert permutations.order(2, 0, 1) == [1, 2, 0] and permutations.order(1, 1, 0) == []
    (tmp_path / 'rand_perm_cam.mat').write_bytes(b'no matrix')
    with pytest.raises(ValueError, match='is not rand_perm_cam.mat'):
        read_permutations(tmp_path / 'rand_perm_cam.mat')


def test_official_file_is_missing_or_scipy_is(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match='does not exist; the official draw needs rand_perm_cam.mat'):
        read_permutations(tmp_path / 'gone.mat')
    (tmp_path / 'there.mat').touch()
    monkeypatch.setitem(sys.modules, 'scipy.io', None)
    with pytest.raises(ImportError, match='can be read only with SciPy.*or use gallery=.seeded'):
        read_permutations(tmp_path / 'there.mat')
