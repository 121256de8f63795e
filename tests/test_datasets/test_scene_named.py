# Copyright (c) mmreid contributors. All rights reserved.
"""RandPerson and ClonedPerson."""

import pytest

from mmreid.datasets import ClonedPerson, RandPerson
from mmreid.datasets.scene_named_dataset import number_cameras

RAND = ['000000_s00_c00_f000264.jpg', '000000_s00_c01_f000288.jpg', '000007_s10_c03_f000024.jpg']


def write_names(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def write_cloned(root, gallery='705228_s06_c02_f005521.jpg'):
    write_names(root / 'train', ['700000_s02_c00_f023389.jpg', '700000_s06_c00_f023413.jpg'])
    write_names(root / 'test' / 'query', ['705227_s02_c02_f001117.jpg', '705624_s12_c00_f003229.jpg'])
    write_names(root / 'test' / 'gallery', [gallery, '-1_s12_c02_f002965.jpg'])
    return root


def test_cameras_of_the_scenes_are_numbered_through():
    cameras = number_cameras(RandPerson.CAMERA_OFFSETS, RandPerson.NUM_CAMERAS)
    assert sorted(cameras.values()) == list(range(19))
    assert number_cameras((0, 0, 2), 3) == {(0, 0): 0, (0, 1): 1, (1, 0): 0, (1, 1): 1, (2, 0): 2}
    cloned = number_cameras(ClonedPerson.CAMERA_OFFSETS, ClonedPerson.NUM_CAMERAS)
    assert set(cloned.values()) == set(range(24)) and cloned[12, 3] == 23


@pytest.mark.parametrize('nested', ['', 'randperson_subset', 'randperson_subset/randperson_subset'])
def test_randperson(tmp_path, mmreid_log, nested):
    write_names(tmp_path / nested, [*RAND, '._000000_s00_c00_f000264.jpg', 'Thumbs.db'])
    dataset = RandPerson(str(tmp_path))
    assert (dataset.pids.tolist(), dataset.camids.tolist(), dataset.num_classes) == ([0, 0, 7], [0, 1, 18], 2)
    stamps = [dataset.get_data_info(i)['timestamp'] for i in range(3)]
    assert stamps == [264 / 24, 288 / 24, (3_490_000 + 24) / 24]
    assert 'found 3 images, expected 132,145' in mmreid_log.text


def test_randperson_has_no_test_set(tmp_path):
    with pytest.raises(ValueError, match="RandPerson .*split='test'.*val_from_train"):
        RandPerson(str(tmp_path), split='test')
    write_names(tmp_path, RAND)
    assert len(RandPerson(str(tmp_path), combine_all=True)) == 3
    held_out = RandPerson(str(tmp_path), split='val', val_from_train=dict(ratio=0.5, seed=0))
    assert len(set(held_out.pids.tolist())) == 1


@pytest.mark.parametrize(
    'name, message',
    [
        ('person.jpg', 'person.jpg .*000000_s00_c00_f000264.jpg'),
        ('0002_c1s1_000451_03.jpg', '0002_c1s1_000451_03.jpg .*Market-1501'),
        ('000000_s11_c00_f000264.jpg', 'f000264.jpg: scene 11 .* 0 to 10'),
        ('000000_s04_c01_f000264.jpg', 'camera 1 .*scene 4 .* 0 to 0'),
    ],
)
def test_bad_names_are_named(tmp_path, name, message):
    write_names(tmp_path, [*RAND, name])
    with pytest.raises(ValueError, match=message):
        RandPerson(str(tmp_path))


def test_empty_or_too_deep_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match='(?s)nowhere.*randperson_subset/'):
        RandPerson(str(tmp_path / 'nowhere'))
    write_names(tmp_path / 'randperson_subset' / 'scene00', RAND)
    with pytest.raises(ValueError, match="(?s)randperson_subset .*split='train'.*scene00"):
        RandPerson(str(tmp_path))


@pytest.mark.parametrize('nested', ['', 'clonedperson', 'ClonedPerson/ClonedPerson'])
def test_clonedperson(tmp_path, nested):
    write_cloned(tmp_path / nested)
    train, test = ClonedPerson(str(tmp_path)), ClonedPerson(str(tmp_path), split='test')
    assert (train.pids.tolist(), train.camids.tolist()) == ([700000] * 2, [0, 12])
    assert train.get_data_info(1)['timestamp'] == 23413 / 24
    assert test.splits.tolist() == ['query', 'query', 'gallery'] and test.camids.tolist() == [2, 20, 14]
    assert len(ClonedPerson(str(tmp_path), combine_all=True)) == 5


def test_clonedperson_shows_the_tree(tmp_path, mmreid_log):
    root = write_cloned(tmp_path, gallery='705228_s07_c02_f005521.jpg')
    write_names(root / 'test' / 'gallery', ['705228_s06_c02_f005521.jpg'])
    ClonedPerson(str(root), split='gallery')
    assert r'of the scenes [6, 7] some have the same camera ids' in mmreid_log.text
    for path in (root / 'test' / 'query').iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="/query .*split='query'"):
        ClonedPerson(str(root), split='test')
    (root / 'test' / 'query').rmdir()
    with pytest.raises(FileNotFoundError, match='(?s)/query; .*test/query/'):
        ClonedPerson(str(root), split='query')
