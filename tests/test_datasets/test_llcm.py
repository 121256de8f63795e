# Copyright (c) mmreid contributors. All rights reserved.
import random
from pathlib import Path

import pytest
from mmengine.config import Config
from tiny_data import write_image

from mmreid.datasets import LLCM
from mmreid.registry import DATASETS

ROOT = Path(__file__).parents[2]
TRAIN, TEST = (1, 4), (3, 12)


def write_list(root, name, lines, end='\n'):
    path = root / 'idx' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(end.join([*lines, '']).encode())


def rows(short, pids=TRAIN, cams=(1, 2)):
    return [
        f'{short}/{pid:04d}/{pid:04d}_c{cam:02d}_s1_f{i}_{short}.jpg {label}'
        for label, pid in enumerate(pids)
        for cam in cams
        for i in (7, 8)
    ]


@pytest.fixture
def llcm(tmp_path):
    """Identities 1 and 4 for training in cameras 1 and 2, 3 and 12 for testing in all; two empty images each."""
    root = tmp_path / 'data'
    images = []
    for short in ('vis', 'nir'):
        write_list(root, f'train_{short}.txt', rows(short))
        images += [row.split()[0] for row in rows(short)]
        for cam in range(1, 10) if short == 'vis' else (1, 2, 4, 5, 6, 7, 8, 9):
            images += [
                f'test_{short}/cam{cam}/{pid:04d}/{pid:04d}_c{cam:02d}_s1_f{i}_{short}.jpg'
                for pid in TEST
                for i in (10, 9, 8)
            ]
    for folder in {(root / image).parent for image in images}:
        folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        (root / image).touch()
    write_list(root, 'test_id.txt', ['12,3'])
    return root


def test_training_records_follow_the_lists(llcm):
    dataset = LLCM(str(llcm))
    assert len(dataset) == 16 and dataset.num_classes == 2
    assert dataset.pids.tolist() == [0] * 4 + [1] * 4 + [0] * 4 + [1] * 4
    assert dataset.camids.tolist() == [0, 0, 1, 1] * 4
    assert dataset.modalities.tolist() == ['visible'] * 8 + ['infrared'] * 8


@pytest.mark.parametrize('direction, query, gallery', [('i2v', 'infrared', 'visible'), ('v2i', 'visible', 'infrared')])
def test_direction_only_swaps_query_and_gallery(llcm, direction, query, gallery, mmreid_log):
    dataset = LLCM(str(llcm), split='test', direction=direction)
    assert set(dataset.modalities[dataset.splits == 'query']) == {query}
    assert set(dataset.modalities[dataset.splits == 'gallery']) == {gallery}
    cameras = {name: set(dataset.camids[dataset.modalities == name]) for name in ('visible', 'infrared')}
    assert cameras == dict(visible=set(range(9)), infrared=set(range(9)) - {2})
    assert f'llcm ({direction}) | query' in mmreid_log.text
    with pytest.raises(ValueError, match="direction='t2v' of LLCM .*'i2v' .*'v2i'"):
        LLCM('x', direction='t2v')


def test_gallery_comes_by_identity_camera_and_name(llcm):
    dataset = LLCM(str(llcm), split='gallery')
    records = [dataset.get_data_info(i) for i in range(len(dataset))]
    files = [Path(record['img_path']) for record in records]
    assert files == sorted(files, key=lambda path: (path.parent.name, path.parent.parent.name, path.name))
    assert [file.name for file in files[:3]] == [f'0003_c01_s1_f{i}_vis.jpg' for i in (10, 8, 9)]
    assert [record['image_index'] for record in records] == [0, 1, 2] * 18
    # The published draw takes one image of each folder in this order, with the trial as the seed.
    draw, expected = random.Random(4), random.Random(4)
    groups = [files[i : i + 3] for i in range(0, len(files), 3)]
    folders = [llcm / 'test_vis' / f'cam{cam}' / pid for pid in ('0003', '0012') for cam in range(1, 10)]
    assert [draw.choice(group) for group in groups] == [expected.choice(sorted(f.iterdir())) for f in folders]


def test_test_identities_never_meet_training_identities(llcm):
    for short in ('vis', 'nir'):
        write_list(
            llcm, f'train_{short}.txt', [f'{row.split()[0]} {3 if "/0001/" in row else 12}' for row in rows(short)]
        )
    train, test = LLCM(str(llcm)), LLCM(str(llcm), split='test')
    assert set(train.pids) == {3, 12}, 'labels that are also test identities'
    assert set(train.pids).isdisjoint(test.pids)
    assert LLCM(str(llcm), combine_all=True).num_classes == 4


def test_identity_of_the_test_in_training_names_is_warned_of(llcm, mmreid_log):
    write_list(llcm, 'test_id.txt', ['3,4,12'])
    assert len(LLCM(str(llcm))) == 16
    assert '1 identities of idx/test_id.txt are in the names of training images: 4' in mmreid_log.text


def test_camera_is_read_from_the_name_by_a_pattern(llcm):
    write_list(llcm, 'train_vis.txt', ['vis/a-cam5.jpg 0'])
    (llcm / 'vis' / 'a-cam5.jpg').touch()
    with pytest.raises(ValueError, match='train_vis.txt line 1: .*vis/a-cam5.jpg .*camera_pattern='):
        LLCM(str(llcm))
    write_list(llcm, 'train_nir.txt', ['vis/a-cam5.jpg 0'])
    assert LLCM(str(llcm), camera_pattern=r'cam(\d)').camids.tolist() == [4, 4]
    with pytest.raises(ValueError, match="camera_pattern='cam' of LLCM"):
        LLCM(str(llcm), camera_pattern='cam')


def test_line_ends_and_rows_that_come_again(llcm, mmreid_log):
    write_list(llcm, 'train_vis.txt', rows('vis') + rows('vis')[:1], end='\r\n')
    write_list(llcm, 'test_id.txt', ['12,3,3'], end='\r\n')
    assert len(LLCM(str(llcm))) == 16
    assert 'train_vis.txt: 1 repeated rows' in mmreid_log.text and '1 repeated identities' in mmreid_log.text


def test_two_identities_with_one_label_are_refused(llcm):
    write_list(llcm, 'train_nir.txt', [row.replace(' 1', ' 0') for row in rows('nir')])
    with pytest.raises(ValueError, match='train_nir.txt line 5: .*0001 and 0004'):
        LLCM(str(llcm))


def test_malformed_lists_are_named(llcm):
    write_list(llcm, 'train_nir.txt', ['nir/0001/0001_c01_s1_f7_nir.jpg'])
    with pytest.raises(ValueError, match="train_nir.txt line 1: .*label.*'nir/0001/0001_c01_s1_f7_nir.jpg'"):
        LLCM(str(llcm))
    write_list(llcm, 'test_id.txt', ['12;3'])
    with pytest.raises(ValueError, match="test_id.txt .*'12;3'"):
        LLCM(str(llcm), split='test')


@pytest.mark.parametrize('name, split', [('train_vis', 'train'), ('train_nir', 'train'), ('test_id', 'test')])
def test_missing_list_is_named(llcm, name, split):
    (llcm / 'idx' / f'{name}.txt').unlink()
    with pytest.raises(FileNotFoundError, match=f'(?s){llcm}/idx/{name}.txt.*idx/train_vis.txt'):
        LLCM(str(llcm), split=split)


def test_missing_images_are_counted(llcm):
    (llcm / 'nir' / '0004' / '0004_c02_s1_f8_nir.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='train_nir.txt line 8 .*0004_c02_s1_f8.* 1 of .* 8 '):
        LLCM(str(llcm))


def test_listed_identity_without_a_folder_is_counted(llcm, mmreid_log):
    write_list(llcm, 'test_id.txt', ['3,12,500'])
    assert len(LLCM(str(llcm), split='query')) == 8 * 2 * 3
    assert 'test identities have no folder in any camera of' in mmreid_log.text and ': 500' in mmreid_log.text


def test_camera_folder_missing_or_empty(llcm):
    (llcm / 'test_vis' / 'cam3').rename(llcm / 'gone')
    assert len(LLCM(str(llcm), split='query')) == 48, 'there is no infrared camera 3'
    with pytest.raises(FileNotFoundError, match='test_vis.cam3; '):
        LLCM(str(llcm), split='test')
    (llcm / 'test_vis' / 'cam3').mkdir()
    with pytest.raises(ValueError, match='cam3 .*cam3/0001, .*nothing'):
        LLCM(str(llcm), split='test')


def test_parent_folder_is_enough_and_a_wrong_one_shows_the_tree(llcm, mmreid_log):
    (llcm / 'test_vis' / 'cam1' / '0003' / '.DS_Store').touch()
    llcm.rename(llcm.parent / 'LLCM')
    assert len(LLCM(str(llcm.parent), split='gallery')) == 54
    assert 'llcm (i2v, in LLCM/) |' in mmreid_log.text
    with pytest.raises(FileNotFoundError, match='(?s)idx or test_vis .*idx/train_vis.txt'):
        LLCM(str(llcm.parent / 'LLCM' / 'idx'))


def test_counts_are_compared_with_the_published_ones(llcm, mmreid_log):
    LLCM(str(llcm))
    assert 'train: found 2 identities, expected 713. Was' in mmreid_log.text


def test_shipped_config_gives_training_and_test_images(llcm):
    for path in [*llcm.glob('*/*/*.jpg'), *llcm.glob('test_*/*/*/*.jpg')]:
        write_image(path)
    cfg = Config.fromfile(ROOT / 'configs' / '_base_' / 'datasets' / 'llcm.py')
    train = DATASETS.build(cfg.train_dataloader.dataset | dict(data_root=str(llcm)))
    test = DATASETS.build(cfg.test_dataloader.dataset | dict(data_root=str(llcm)))
    assert train[0]['inputs'].shape == test[0]['inputs'].shape == (3, 288, 144)
    assert test[0]['data_samples'].modality == 'infrared'
