# Copyright (c) mmreid contributors. All rights reserved.
import shutil
from pathlib import Path

import pytest
from mmengine.config import Config
from tiny_data import write_image

from mmreid.datasets import RegDB
from mmreid.registry import DATASETS

ROOT = Path(__file__).parents[2]
FOLDERS = dict(visible='Visible', thermal='Thermal')


def rows(modality, pids, images=2):
    return [
        f'{FOLDERS[modality]}/{pid}/x_{modality[0]}_{i}_{pid}.bmp {label}'
        for label, pid in enumerate(pids)
        for i in range(images)
    ]


def write_list(root, part, modality, trial, lines, end='\n'):
    path = root / 'idx' / f'{part}_{modality}_{trial}.txt'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(end.join([*lines, '']).encode())
    return path


@pytest.fixture
def regdb(tmp_path):
    """Trial 1 trains on 1, 2, 3 and tests on 4, 5; trial 10 the other way round; two empty images each."""
    root = tmp_path / 'data'
    for modality, folder in FOLDERS.items():
        for pid in range(1, 6):
            (root / folder / str(pid)).mkdir(parents=True)
        for row in rows(modality, range(1, 6)):
            (root / row.split()[0]).touch()
        for trial, train, test in ((1, (1, 2, 3), (4, 5)), (10, (5, 4), (3, 2, 1))):
            write_list(root, 'train', modality, trial, rows(modality, train))
            write_list(root, 'test', modality, trial, rows(modality, test))
    return root


def folders(dataset):
    return {Path(dataset.get_data_info(i)['img_path']).parent.name for i in range(len(dataset))}


def test_training_records_follow_the_label_column(regdb):
    dataset = RegDB(str(regdb), trial=10)
    assert folders(dataset) == {'4', '5'} and dataset.num_classes == 2
    assert dataset.pids.tolist() == dataset.gt_labels.tolist() == [0, 0, 1, 1] * 2
    assert dataset.modalities.tolist() == ['visible'] * 4 + ['infrared'] * 4
    assert dataset.camids.tolist() == [0] * 4 + [1] * 4
    assert Path(dataset.get_data_info(0)['img_path']).parent.name == '5', 'label 0 of this trial is identity 5'


def test_test_identities_never_meet_training_identities(regdb):
    train, test = RegDB(str(regdb)), RegDB(str(regdb), split='test')
    assert set(train.pids).isdisjoint(test.pids) and folders(test) == {'4', '5'}
    assert RegDB(str(regdb), combine_all=True).num_classes == 3 + 2


@pytest.mark.parametrize('direction, query, gallery', [('v2t', 'visible', 'infrared'), ('t2v', 'infrared', 'visible')])
def test_direction_only_swaps_query_and_gallery(regdb, direction, query, gallery, mmreid_log):
    dataset = RegDB(str(regdb), split='test', direction=direction)
    assert dataset.splits.tolist() == ['query'] * 4 + ['gallery'] * 4
    assert dataset.modalities.tolist() == [query] * 4 + [gallery] * 4
    assert set(dataset.camids[dataset.modalities == 'visible']) == {0}
    assert f'regdb (trial 1, {direction}) | query: 4 images, 2 identities' in mmreid_log.text
    val = RegDB(str(regdb), split='val', direction=direction, val_from_train=dict(ratio=0.34, seed=0))
    assert val.splits.tolist() == ['query'] * 2 + ['gallery'] * 2
    assert val.modalities.tolist() == [query] * 2 + [gallery] * 2


@pytest.mark.parametrize('lazy_init', [True, False])
def test_trial_is_known_to_the_outside(regdb, lazy_init):
    dataset = RegDB(str(regdb), trial=10, split='test', lazy_init=lazy_init)
    assert dataset.trial == 10 and dataset.metainfo['trial'] == 10
    dataset.full_init()
    assert dataset.get_subset([0]).metainfo['trial'] == 10


@pytest.mark.parametrize('trial', [0, 11, -1, 'a', '1', 1.0, None, True])
def test_trial_out_of_range_is_refused(trial):
    with pytest.raises(ValueError, match=f'trial={trial!r} of RegDB .*1 to 10'):
        RegDB('x', trial=trial)


def test_unknown_direction_is_refused():
    with pytest.raises(ValueError, match="direction='i2v' of RegDB .*'v2t' .*'t2v'"):
        RegDB('x', direction='i2v')


def test_missing_trial_list_is_named(regdb):
    with pytest.raises(FileNotFoundError, match='(?s)train_visible_3.txt.*Visible/<identity>'):
        RegDB(str(regdb), trial=3)
    (regdb / 'idx' / 'test_thermal_1.txt').unlink()
    assert len(RegDB(str(regdb))) == 12, 'training needs no test list'
    with pytest.raises(FileNotFoundError, match='test_thermal_1.txt'):
        RegDB(str(regdb), split='test')


def test_line_ends_slashes_and_blank_lines_do_not_matter(regdb):
    lines = [f'/{row}' for row in rows('visible', (1, 2, 3))]
    write_list(regdb, 'train', 'visible', 1, [*lines, '', '  '], end='\r\n')
    write_list(regdb, 'train', 'thermal', 1, [row.replace('/', '\\') for row in rows('thermal', (1, 2, 3))])
    assert folders(RegDB(str(regdb))) == {'1', '2', '3'}


@pytest.mark.parametrize('row', ['Visible/1/x_v_0_1.bmp', 'Visible/1/x_v_0_1.bmp one', 'Visible/1/x_v_0_1.bmp -1', '7'])
def test_malformed_row_is_named(regdb, row):
    write_list(regdb, 'train', 'visible', 1, [*rows('visible', (1, 2)), row])
    with pytest.raises(ValueError, match=f"train_visible_1.txt line 5: .*label .*'{row}'"):
        RegDB(str(regdb))


def test_label_that_would_be_a_test_identity_is_refused(regdb):
    write_list(regdb, 'train', 'visible', 1, ['Visible/1/x_v_0_1.bmp 10000'])
    with pytest.raises(ValueError, match='train_visible_1.txt line 1: .*10000'):
        RegDB(str(regdb))


def test_rows_that_come_again_are_dropped_and_counted(regdb, mmreid_log):
    lines = rows('visible', (1, 2, 3))
    again = ['/' + lines[0], './' + lines[0], lines[1].replace('/', '//', 1)]
    write_list(regdb, 'train', 'visible', 1, lines + again)
    assert len(RegDB(str(regdb))) == 12
    assert mmreid_log.text.count('train_visible_1.txt: 3 repeated rows') == 1


def test_missing_images_are_counted_and_the_first_is_named(regdb):
    shutil.rmtree(regdb / 'Thermal' / '2')
    with pytest.raises(FileNotFoundError, match='train_thermal_1.txt line 3 .*x_t_0_2.bmp.* 2 of .* 6 '):
        RegDB(str(regdb))
    assert len(RegDB(str(regdb), split='test')) == 8


def test_lists_of_different_trials_are_refused(regdb):
    write_list(regdb, 'train', 'thermal', 1, rows('thermal', (3, 2, 1)))
    with pytest.raises(ValueError, match='train_thermal_1.txt line 1: .*label 0, .*identity 3 .* 2; .*trial'):
        RegDB(str(regdb))


@pytest.mark.parametrize('split', ['train', 'test'])
def test_training_identity_that_is_also_tested_is_refused(regdb, split):
    for modality in FOLDERS:
        write_list(regdb, 'test', modality, 1, rows(modality, (3, 4, 5)))
    with pytest.raises(ValueError, match=r'trial 1 .* 1 .*\(folders 3\)'):
        RegDB(str(regdb), split=split)


def test_two_identities_with_one_label_are_refused(regdb):
    for modality, pids in (('visible', (1, 2)), ('thermal', (1, 3))):
        write_list(regdb, 'train', modality, 1, rows(modality, pids))
    with pytest.raises(ValueError, match='train_thermal_1.txt line 3: .*label 1, .*folder 2 .*2 and 3'):
        RegDB(str(regdb))


def test_identity_in_one_modality_is_warned_of(regdb, mmreid_log):
    write_list(regdb, 'train', 'thermal', 1, rows('thermal', (1, 2)))
    assert RegDB(str(regdb)).num_classes == 3
    assert 'regdb | 1 training identities have no infrared image: 2' in mmreid_log.text


def test_counts_are_compared_with_the_published_ones(regdb, mmreid_log):
    RegDB(str(regdb))
    RegDB(str(regdb), split='test')
    assert 'train: found 3 identities, expected 206; train: found 12 images, expected 4,120' in mmreid_log.text
    assert 'gallery: found 4 images, expected 2,060' in mmreid_log.text


def test_parent_folder_is_enough_and_others_are_not_taken(regdb, mmreid_log):
    (regdb.parent / 'LLCM' / 'idx').mkdir(parents=True)
    regdb.rename(regdb.parent / 'RegDB')
    assert len(RegDB(str(regdb.parent))) == 12
    assert 'regdb (trial 1, in RegDB/) | train' in mmreid_log.text
    with pytest.raises(FileNotFoundError, match='(?s)idx or Visible .*Visible/<identity>'):
        RegDB(str(regdb.parent / 'RegDB' / 'Visible'))


def test_shipped_config_gives_training_and_test_images(regdb):
    for path in regdb.glob('*/*/*.bmp'):
        write_image(path)
    cfg = Config.fromfile(ROOT / 'configs' / '_base_' / 'datasets' / 'regdb.py')
    train = DATASETS.build(cfg.train_dataloader.dataset | dict(data_root=str(regdb)))
    test = DATASETS.build(cfg.test_dataloader.dataset | dict(data_root=str(regdb)))
    assert train[0]['inputs'].shape == test[0]['inputs'].shape == (3, 256, 128)
    assert (train.trial, test.trial, test[0]['data_samples'].modality) == (1, 1, 'visible')
