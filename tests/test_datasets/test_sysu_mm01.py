# Copyright (c) mmreid contributors. All rights reserved.
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from tiny_data import write_image

from mmreid.datasets import SYSUMM01
from mmreid.datasets.transforms.loading import CorruptImageError
from mmreid.registry import DATASETS

ROOT = Path(__file__).parents[2]
GOLDEN = np.load(ROOT / 'tests' / 'data' / 'golden' / '02_sysu_gallery_sampling.npz')


def touch(root: Path, *files: str) -> Path:
    for folder in {(root / file).parent for file in files}:
        folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (root / file).touch()
    return root


def write_lists(root: Path, **lists: str) -> Path:
    for name, text in lists.items():
        (root / 'exp').mkdir(parents=True, exist_ok=True)
        (root / 'exp' / f'{name}_id.txt').write_bytes(text.encode())
    return root


@pytest.fixture
def sysu(tmp_path):
    """Ids 1 and 2 for training, 3 for validation, 4 and 12 for testing; two empty images per id and camera."""
    root = tmp_path / 'data'
    touch(root, *(f'cam{c}/{pid:04d}/{i:04d}.jpg' for c in range(1, 7) for pid in (1, 2, 3, 4, 12) for i in (1, 2)))
    return write_lists(root, train='2,1', val='3\r\n', test='12,4')


@pytest.fixture(scope='module')
def golden_root(tmp_path_factory):
    root = touch(tmp_path_factory.mktemp('golden'), *GOLDEN['files'].tolist())
    return str(write_lists(root, test=','.join(map(str, GOLDEN['test_ids'][::-1]))))


def names(dataset, split):
    """Gives cam1/0001/0001.jpg of each record of a split."""
    records = [dataset.get_data_info(i) for i in range(len(dataset))]
    return ['/'.join(Path(r['img_path']).parts[-3:]) for r in records if r['split'] == split]


def test_records_are_all_files_that_the_reference_implementation_lists(golden_root):
    dataset = SYSUMM01(golden_root, split='test')
    assert sorted(names(dataset, 'query') + names(dataset, 'gallery')) == sorted(GOLDEN['files'].tolist())
    assert names(dataset, 'query') == GOLDEN['all/query_files'].tolist()
    query = dataset.splits == 'query'
    assert dataset.pids[query].tolist() == GOLDEN['all/query_pids'].tolist()
    assert (dataset.camids[query] + 1).tolist() == GOLDEN['all/query_cams'].tolist()
    assert set(dataset.modalities[query]) == {'infrared'} and set(dataset.modalities[~query]) == {'visible'}


@pytest.mark.parametrize('shot', [1, 10])
@pytest.mark.parametrize('mode', ['all', 'indoor'])
def test_published_gallery_draws_can_be_made_from_the_records(golden_root, mode, shot):
    dataset = SYSUMM01(golden_root, split='gallery', mode=mode)
    groups = {}
    for name, pid, camid in zip(names(dataset, 'gallery'), dataset.pids, dataset.camids, strict=True):
        groups.setdefault((pid, camid), []).append(name)
    assert list(groups) == sorted(groups)
    for trial in range(10):
        draw = random.Random(trial)
        drawn = [name for group in groups.values() for name in draw.sample(group, shot)]
        assert drawn == GOLDEN[f'{mode}/shot{shot}/trial{trial}/files'].tolist()


def test_image_index_is_the_place_in_the_folder(golden_root):
    dataset = SYSUMM01(golden_root, split='gallery')
    for i in range(0, len(dataset), 7):
        record = dataset.get_data_info(i)
        assert record['image_index'] == sorted(Path(record['img_path']).parent.iterdir()).index(
            Path(record['img_path'])
        )


def test_train_and_val_are_merged_and_the_log_says_so(sysu, mmreid_log):
    dataset = SYSUMM01(str(sysu))
    assert len(dataset) == 3 * 6 * 2 and dataset.num_classes == 3 and set(dataset.pids) == {1, 2, 3}
    assert [dataset.modalities[dataset.camids == cam][0] for cam in range(6)] == [
        'visible', 'visible', 'infrared', 'visible', 'visible', 'infrared'
    ]  # fmt: skip
    assert '2 identities of train_id and the 1 of val_id (merge_val=True)' in mmreid_log.text
    assert 'train: found 3 identities, expected 395' in mmreid_log.text


def test_official_validation_identities(sysu):
    train, val = SYSUMM01(str(sysu), merge_val=False), SYSUMM01(str(sysu), merge_val=False, split='val')
    assert set(train.pids) == {1, 2} and set(val.pids) == {3}
    assert val.splits.tolist() == ['query'] * 4 + ['gallery'] * 8
    assert set(val.modalities[val.splits == 'query']) == {'infrared'}
    with pytest.raises(ValueError, match="split='val' of SYSUMM01: .*merge_val=True"):
        SYSUMM01(str(sysu), split='val')


def test_held_out_identities_get_the_roles_of_the_test(sysu):
    val = SYSUMM01(str(sysu), split='val', val_from_train=dict(ratio=0.34, seed=0))
    assert len(set(val.pids)) == 1 and set(val.camids[val.splits == 'query']) == {2, 5}


def test_modes_choose_the_gallery_cameras_only(sysu, mmreid_log):
    whole, indoor = (SYSUMM01(str(sysu), split='test', mode=mode) for mode in ('all', 'indoor'))
    assert set(whole.camids[whole.splits == 'gallery']) == {0, 1, 3, 4}
    assert set(indoor.camids[indoor.splits == 'gallery']) == {0, 1}
    assert (whole.splits == 'query').sum() == (indoor.splits == 'query').sum() == 8
    assert 'sysu_mm01 (indoor search) |' in mmreid_log.text
    with pytest.raises(ValueError, match="mode='outdoor' of SYSUMM01 .*'all' .*'indoor'"):
        SYSUMM01(str(sysu), mode='outdoor')


def test_combine_all_trains_on_the_test_identities_too(sysu):
    dataset = SYSUMM01(str(sysu), combine_all=True)
    assert set(dataset.pids) == {1, 2, 3, 4, 12} and len(dataset) == 5 * 6 * 2


def test_parent_folder_is_enough_and_ghosts_are_skipped(sysu, mmreid_log):
    touch(sysu, 'cam1/.DS_Store', 'cam1/0001/Thumbs.db', 'cam1/0001/._0001.jpg', 'cam1/__MACOSX/x.jpg')
    sysu.rename(sysu.parent / 'sysu')
    assert len(SYSUMM01(str(sysu.parent))) == 36
    assert 'sysu_mm01 (in sysu/) | train' in mmreid_log.text


def test_folders_without_leading_zeros_are_the_same_identities(sysu):
    (sysu / 'cam1' / '0012').rename(sysu / 'cam1' / '12')
    assert len(SYSUMM01(str(sysu), split='test')) == 24
    touch(sysu, 'cam1/0012/0009.jpg')
    with pytest.raises(ValueError, match='cam1 .*0012 and 12'):
        SYSUMM01(str(sysu), split='test')


@pytest.mark.parametrize('text', ['3,x', '3;4', '3,-1', '3.0'])
def test_malformed_list_is_named(sysu, text):
    write_lists(sysu, val=text)
    with pytest.raises(ValueError, match=f"val_id.txt .*'{text.split(',')[-1]}'"):
        SYSUMM01(str(sysu))


def test_identities_listed_twice_count_once(sysu, mmreid_log):
    write_lists(sysu, train='1,2,\r\n2,1\r\n')
    assert SYSUMM01(str(sysu)).num_classes == 3
    assert 'train_id.txt: 2 repeated identities' in mmreid_log.text


def test_empty_and_missing_lists_are_named(sysu):
    write_lists(sysu, val=' \n')
    with pytest.raises(ValueError, match='val_id.txt .*unpacked'):
        SYSUMM01(str(sysu))
    (sysu / 'exp' / 'val_id.txt').unlink()
    with pytest.raises(FileNotFoundError, match='(?s)val_id.txt.*cam1/<identity>'):
        SYSUMM01(str(sysu))
    assert len(SYSUMM01(str(sysu), split='test')) == 24, 'the test needs no validation list'


def test_mat_list_needs_scipy_or_the_text_file(sysu, monkeypatch):
    (sysu / 'exp' / 'val_id.txt').rename(sysu / 'exp' / 'val_id.mat')
    monkeypatch.setitem(sys.modules, 'scipy.io', None)
    with pytest.raises(ImportError, match='val_id.mat .*pip install scipy.*val_id.txt'):
        SYSUMM01(str(sysu))


def test_mat_list_is_read(sysu):
    scipy_io = pytest.importorskip('scipy.io')
    (sysu / 'exp' / 'val_id.txt').unlink()
    scipy_io.savemat(sysu / 'exp' / 'val_id.mat', dict(id=np.array([[3]], dtype=np.uint16)))
    assert set(SYSUMM01(str(sysu)).pids) == {1, 2, 3}
    (sysu / 'exp' / 'val_id.mat').write_bytes(b'this is text')
    with pytest.raises(ValueError, match='val_id.mat .*MATLAB'):
        SYSUMM01(str(sysu))


def test_listed_identity_without_a_folder_is_counted(sysu, mmreid_log):
    write_lists(sysu, train='1,2,77,78')
    assert SYSUMM01(str(sysu)).num_classes == 3
    assert '2 identities of the lists have no folder in any camera: 77, 78' in mmreid_log.text


def test_identity_missing_in_some_cameras_is_fine(sysu, mmreid_log):
    for camera in (1, 3, 6):
        (sysu / f'cam{camera}' / '0001').rename(sysu / f'cam{camera}' / '0099')
    assert len(SYSUMM01(str(sysu))) == 30
    assert 'no folder in any camera' not in mmreid_log.text
    assert '1 training identities have no infrared image: 1' in mmreid_log.text


@pytest.mark.parametrize('split', ['train', 'test'])
def test_training_identity_that_is_also_tested_is_refused(sysu, split):
    write_lists(sysu, test='1,2,4')
    with pytest.raises(ValueError, match=r'train_id .*test_id .* 2 .*\(1, 2\)'):
        SYSUMM01(str(sysu), split=split)


def test_camera_folder_missing_empty_or_too_deep(sysu):
    (sysu / 'cam6').rename(sysu / 'gone')
    with pytest.raises(FileNotFoundError, match='/cam6; '):
        SYSUMM01(str(sysu))
    (sysu / 'cam6').mkdir()
    with pytest.raises(ValueError, match='cam6 .*cam6/0001, .*nothing'):
        SYSUMM01(str(sysu))
    (sysu / 'gone').rename(sysu / 'cam6' / 'cam6')
    with pytest.raises(ValueError, match='cam6 .*cam6/0001, .*cam6;'):
        SYSUMM01(str(sysu))


def test_wrong_root_shows_the_tree(tmp_path):
    with pytest.raises(FileNotFoundError, match='(?s)exp or cam1 .*cam1/<identity>'):
        SYSUMM01(str(tmp_path))
    with pytest.raises(FileNotFoundError, match='nowhere'):
        SYSUMM01(str(tmp_path / 'nowhere'))


def test_shipped_config_gives_training_and_test_images(sysu):
    for path in sysu.glob('cam*/*/*.jpg'):
        write_image(path)
    cfg = Config.fromfile(ROOT / 'configs' / '_base_' / 'datasets' / 'sysu_mm01.py')
    train = DATASETS.build(cfg.train_dataloader.dataset | dict(data_root=str(sysu)))
    test = DATASETS.build(cfg.test_dataloader.dataset | dict(data_root=str(sysu)))
    assert train[0]['inputs'].shape == test[0]['inputs'].shape == (3, 256, 128)
    assert train[0]['data_samples'].modality == 'visible' and test[0]['data_samples'].modality == 'infrared'


def test_unreadable_image_is_replaced_by_one_of_its_modality_only(sysu):
    for path in sysu.glob('cam*/*/*.jpg'):
        write_image(path)
    dataset = SYSUMM01(str(sysu), pipeline=[dict(type='LoadReIDImage')], on_corrupt='skip')
    visible = np.flatnonzero((dataset.pids == 1) & (dataset.modalities == 'visible'))
    paths = [Path(dataset.get_data_info(int(index))['img_path']) for index in visible]
    for path in paths[1:]:
        path.write_bytes(b'')
    assert {dataset[int(index)]['img_path'] for index in visible} == {str(paths[0])}
    paths[0].write_bytes(b'')
    with pytest.raises(CorruptImageError, match=' 8 visible .*identity 1 .*sysu_mm01'):
        dataset[int(visible[0])]


def test_empty_identity_folders_are_counted(sysu, mmreid_log):
    for path in sysu.glob('cam1/000[12]/*.jpg'):
        path.unlink()
    assert len(SYSUMM01(str(sysu))) == 32
    assert f'2 identity folders are empty, the first is {sysu / "cam1" / "0001"}' in mmreid_log.text
    for path in sysu.glob('cam1/*/*.jpg'):
        path.unlink()
    with pytest.raises(ValueError, match='cam1 .* 5 .*image'):
        SYSUMM01(str(sysu))


def test_size_of_a_single_shot_gallery_is_compared(sysu, mmreid_log):
    SYSUMM01(str(sysu), split='test', mode='indoor')
    assert 'gallery (indoor search): found 4 pairs of an identity and a camera that saw it, expected 112' in (
        mmreid_log.text
    )
