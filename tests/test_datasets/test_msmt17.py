# Copyright (c) mmreid contributors. All rights reserved.
import pytest

from mmreid.datasets import MSMT17

TRAIN = ['0000/0000_000_01_0303morning_0008_0.jpg 0', '0001/0001_000_15_0113noon_0031_1.jpg 1']
VAL = ['0000/0000_001_05_0303morning_0009_0.jpg 0']
QUERY = ['0000/0000_000_02_0302afternoon_0100_0.jpg 0', '0001/0001_000_03_0303noon_0100_0.jpg 1']
GALLERY = ['0000/0000_001_04_0302afternoon_0101_0.jpg 0', '0001/0001_001_14_0303noon_0100_0.jpg 1']


def write_msmt17(root, train='train', test='test', end='\n'):
    for folder, lists in ((train, dict(train=TRAIN, val=VAL)), (test, dict(query=QUERY, gallery=GALLERY))):
        for name, rows in lists.items():
            for row in rows:
                image = root / folder / row.split(' ')[0]
                image.parent.mkdir(parents=True, exist_ok=True)
                image.touch()
            (root / f'list_{name}.txt').write_bytes(''.join(row + end for row in rows).encode())
    return root


def write_rows(root, name, *rows):
    (root / f'list_{name}.txt').write_text('\n'.join(rows))


def test_validation_list_belongs_to_the_training_set(tmp_path, mmreid_log):
    dataset = MSMT17(str(write_msmt17(tmp_path)))
    assert (dataset.pids.tolist(), dataset.camids.tolist()) == ([0, 1, 0], [0, 14, 4])
    assert dataset.get_data_info(2)['img_path'] == str(tmp_path / 'train/0000/0000_001_05_0303morning_0009_0.jpg')
    assert dataset.get_data_info(0)['timestamp'] is None
    assert '1 images of list_val.txt are merged' in mmreid_log.text
    assert 'msmt17 (V1) | train: found 2 identities, expected 1,041; train: found 3 images, expected 32,621' in (
        mmreid_log.text
    )


def test_validation_list_can_stay_out(tmp_path, mmreid_log):
    (write_msmt17(tmp_path) / 'list_val.txt').unlink()
    assert len(MSMT17(str(tmp_path), merge_val=False)) == 2
    assert 'list_val.txt is left out' in mmreid_log.text and 'expected 30,248' in mmreid_log.text
    with pytest.raises(FileNotFoundError, match='(?s)list_val.txt.*list_train.txt.*merge_val=False'):
        MSMT17(str(tmp_path))


def test_test_identities_never_collide_with_training_identities(tmp_path):
    test = MSMT17(str(write_msmt17(tmp_path)), split='test')
    assert test.splits.tolist() == ['query'] * 2 + ['gallery'] * 2
    assert test.pids.tolist() == [10000, 10001, 10000, 10001] and test.camids.tolist() == [1, 2, 3, 13]
    everything = MSMT17(str(tmp_path), combine_all=True)
    assert len(everything) == 7 and everything.num_classes == 4


@pytest.mark.parametrize('nested', ['', 'MSMT17_V2', 'MSMT17_V1/MSMT17_V1'])
@pytest.mark.parametrize(
    'variant, train, test', [('V1', 'train', 'test'), ('V2', 'mask_train_v2', 'mask_test_v2')], ids=['V1', 'V2']
)
def test_release_and_nesting_are_found_and_named(tmp_path, mmreid_log, nested, variant, train, test):
    write_msmt17(tmp_path / nested, train, test)
    train_set, test_set = MSMT17(str(tmp_path)), MSMT17(str(tmp_path), split='test', variant=variant)
    assert train_set.variant == test_set.variant == variant and (len(train_set), len(test_set)) == (3, 4)
    assert f'msmt17 ({variant}) | train: 3 images' in mmreid_log.text
    other = {'V1': 'V2', 'V2': 'V1'}[variant]
    with pytest.raises(FileNotFoundError, match=f"of {variant} .*variant='{other}'"):
        MSMT17(str(tmp_path), variant=other)


def test_both_releases_need_a_choice(tmp_path):
    write_msmt17(tmp_path / 'MSMT17_V1')
    write_msmt17(tmp_path / 'MSMT17_V2', 'mask_train_v2', 'mask_test_v2')
    with pytest.raises(ValueError, match='V1 in .*MSMT17_V1 .*V2 in .*MSMT17_V2; .*variant='):
        MSMT17(str(tmp_path))
    assert 'MSMT17_V2' in MSMT17(str(tmp_path), variant='V2').get_data_info(0)['img_path']
    with pytest.raises(ValueError, match="variant='V3' of MSMT17"):
        MSMT17(str(tmp_path), variant='V3')


def test_line_ends_and_ghosts_do_not_matter(tmp_path):
    root = write_msmt17(tmp_path, end='\r\n\r\n')
    (root / '__MACOSX').mkdir()
    for ghost in ('._0000_000_01_0303morning_0008_0.jpg', 'Thumbs.db'):
        (root / 'train' / '0000' / ghost).touch()
    assert MSMT17(str(root)).pids.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    'row, message',
    [
        ('0000/0000_000_01_0303morning_0008_0.jpg', "list_train.txt line 3: .*got '.*_0.jpg'"),
        ('0000/0000_000_01_0303morning_0008_0.jpg x', "line 3: .*got '.*_0.jpg x'"),
        ('0000/0000_000_01_0303morning_0008_0.jpg 7', 'line 3: .*label 7 .* 0 '),
        ('0000/0000_000_00_0303morning_0008_0.jpg 0', 'line 3: .*camera 0'),
        ('0000/person.jpg 0', 'line 3: person.jpg .*0000_000_01_'),
        ('0000/0002_c1s1_000451_03.jpg 0', 'line 3: 0002_c1s1_000451_03.jpg .*Market-1501'),
        ('0000/0000_009_01_0303morning_0008_0.jpg 10000', 'line 3: label 10000'),
    ],
)
def test_bad_rows_are_named_by_file_and_line(tmp_path, row, message):
    root = write_msmt17(tmp_path)
    write_rows(root, 'train', *TRAIN, row)
    (root / 'train' / row.split(' ')[0]).touch()
    with pytest.raises(ValueError, match=message):
        MSMT17(str(root))


def test_rows_that_come_again_count_once(tmp_path, mmreid_log):
    root = write_msmt17(tmp_path)
    write_rows(root, 'train', *TRAIN, TRAIN[0])
    write_rows(root, 'val', *VAL, TRAIN[1])
    assert MSMT17(str(root)).pids.tolist() == [0, 1, 0]
    assert '1 repeated rows' in mmreid_log.text and '1 are in list_train.txt already' in mmreid_log.text
    write_rows(root, 'val', TRAIN[1][:-1] + '0')
    with pytest.raises(ValueError, match='0001_000_15.* 0 in list_val.txt .* 1 in list_train.txt'):
        MSMT17(str(root))


def test_missing_images_are_counted_and_the_first_is_named(tmp_path):
    root = write_msmt17(tmp_path)
    missing = '0001/0001_009_04_0302afternoon_0101_0.jpg', '0777/0777_001_04_0302afternoon_0101_0.jpg'
    write_rows(root, 'gallery', GALLERY[0], *(f'{image} 1' for image in missing), GALLERY[1])
    with pytest.raises(FileNotFoundError, match='list_gallery.txt line 2 .*0001_009_04.*; 2 of .* 4 '):
        MSMT17(str(root), split='test')
    assert len(MSMT17(str(root))) == 3


def test_missing_and_empty_lists(tmp_path):
    root = write_msmt17(tmp_path)
    (root / 'list_query.txt').write_text('\n')
    with pytest.raises(ValueError, match='list_query.txt .*row'):
        MSMT17(str(root), split='query')
    (root / 'list_gallery.txt').unlink()
    with pytest.raises(FileNotFoundError, match='(?s)list_gallery.txt.*list_train.txt'):
        MSMT17(str(root), split='gallery')


def test_other_data_sets_in_the_folder_are_recognized(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        MSMT17(str(tmp_path / 'nowhere'))
    (tmp_path / 'sysu' / 'exp').mkdir(parents=True)
    (tmp_path / 'sysu' / 'exp' / 'train_id.txt').touch()
    with pytest.raises(FileNotFoundError, match='(?s)mask_train_v2/.*SYSU-MM01'):
        MSMT17(str(tmp_path / 'sysu'))
    (tmp_path / 'market' / 'bounding_box_train').mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="Market-1501; .*type='Market1501'"):
        MSMT17(str(tmp_path / 'market'))


def test_two_identities_with_one_label_are_refused(tmp_path):
    write_rows(write_msmt17(tmp_path), 'train', TRAIN[0], TRAIN[1][:-1] + '0')
    with pytest.raises(ValueError, match='list_train.txt line 2: .*0000 and 0001'):
        MSMT17(str(tmp_path))
