# Copyright (c) mmreid contributors. All rights reserved.
import os

import pytest
from tiny_data import write_image

from mmreid.datasets import CsvReIDDataset, FolderReIDDataset
from mmreid.datasets.id_map import map_ids


def write_csv(folder, text):
    (folder / 'list.csv').write_text(text, encoding='utf-8')
    return dict(data_root=str(folder), ann_file='list.csv')


def test_ids():
    assert map_ids(['7', ' 7', '12']) == [7, 7, 12]
    assert map_ids(['07', '7', '12']) == [0, 2, 1]  # different texts are different people
    assert map_ids(['1_11', '11_1', '111']) == [2, 1, 0]  # Python would read all three as 111
    assert map_ids(['7', '12', '7'], dense=True) == [0, 1, 0]
    assert map_ids(['7', 'x', '12']) == [1, 2, 0]


def test_csv_with_string_ids(tmp_path):
    for name in 'abcd':
        write_image(tmp_path / f'{name}.png')
    cfg = write_csv(
        tmp_path,
        'img_path,pid,camid,split,timestamp\na.png,bob,hall,train,1.5\nb.png,anna,hall,train,\n'
        'c.png,carl,door,query,\nd.png,carl,hall,gallery,2\n',
    )
    train, test = CsvReIDDataset(**cfg), CsvReIDDataset(**cfg, split='test')
    assert train.pids.tolist() == [1, 0] and train.gt_labels.tolist() == [1, 0] and train.camids.tolist() == [1, 1]
    assert train.get_data_info(0)['timestamp'] == 1.5 and train.get_data_info(1)['timestamp'] is None
    assert test.splits.tolist() == ['query', 'gallery'] and test.camids.tolist() == [0, 1]


def test_csv_without_split_is_all_of_the_split(tmp_path):
    write_image(tmp_path / 'a.png')
    cfg = write_csv(tmp_path, '\ufeffimg_path,pid\r\na.png,5\r\n')
    assert CsvReIDDataset(**cfg).pids.tolist() == [5]
    with pytest.raises(ValueError, match="no column 'split'"):
        CsvReIDDataset(**cfg, split='test')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('img_path\na.png\n', r'lacks the column\(s\) pid'),
        ('', r'lacks the column\(s\) img_path, pid'),
        ('img_path,pid\n', 'has a header but no rows'),
        ('img_path,pid\na.png,1\na.png\n', 'line 3: expected 2 cells'),
        ('img_path,pid\na.png,1,2\n', 'line 2: expected 2 cells'),
        ('img_path,pid\na.png,\n', 'line 2: expected 2 cells'),
        ('img_path,pid,split\na.png,1,trian\n', "line 2: split 'trian' is not"),
        ('img_path,pid,modality\na.png,1,ir\n', "line 2: modality 'ir' is not"),
        ('img_path,pid,timestamp\na.png,1,noon\n', "line 2: timestamp 'noon' is not"),
    ],
)
def test_csv_faults_are_named_with_their_line(tmp_path, text, message):
    write_image(tmp_path / 'a.png')
    with pytest.raises(ValueError, match=message):
        CsvReIDDataset(**write_csv(tmp_path, text))


def test_csv_in_another_encoding(tmp_path):
    (tmp_path / 'list.csv').write_bytes('img_path,pid\nä.png,1\n'.encode('latin-1'))
    with pytest.raises(ValueError, match='list.csv is not UTF-8 text .*save it as CSV UTF-8'):
        CsvReIDDataset(str(tmp_path), 'list.csv')


def test_csv_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match='line 2 names .*gone.png, which does not exist'):
        CsvReIDDataset(**write_csv(tmp_path, 'img_path,pid\ngone.png,1\n'))
    with pytest.raises(FileNotFoundError, match='none.csv does not exist; set ann_file'):
        CsvReIDDataset(str(tmp_path), 'none.csv')


def test_folders(tmp_path):
    for path in (
        'train/anna/1.jpg',
        'train/bob/hall/1.jpg',
        'train/bob/door/2.jpg',
        'query/carl/1.jpg',
        'gallery/carl/2.jpg',
    ):
        write_image(tmp_path / path)
    (tmp_path / 'train' / '.DS_Store').write_bytes(b'')
    train = FolderReIDDataset(str(tmp_path))
    assert train.gt_labels.tolist() == [0, 1, 1] and len(set(train.camids.tolist())) == 3
    test = FolderReIDDataset(str(tmp_path), split='test')
    assert test.pids.tolist() == [0, 0] and test.splits.tolist() == ['query', 'gallery']


def test_identities_directly_in_the_root_and_camera_in_the_name(tmp_path):
    for path in ('7/a_cam3_.jpg', '9/b_cam1_.jpg'):
        write_image(tmp_path / path)
    dataset = FolderReIDDataset(str(tmp_path), camera_pattern=r'_cam(\d+)_')
    assert dataset.pids.tolist() == [7, 9] and dataset.camids.tolist() == [1, 0]
    write_image(tmp_path / '9/b.jpg')
    with pytest.raises(ValueError, match='9.b.jpg shows no camera'):
        FolderReIDDataset(str(tmp_path), camera_pattern=r'_cam(\d+)_')


def test_images_in_the_wrong_depth_are_named(tmp_path, monkeypatch):
    for path in ('train/x.jpg', 'train/1/a.jpg', 'train/1/cam/b.jpg', 'train/1/cam/deep/c.jpg'):
        write_image(tmp_path / path)
    said = []
    monkeypatch.setattr('mmreid.datasets.folder_dataset.print_log', lambda text, **_: said.append(text))
    assert len(FolderReIDDataset(str(tmp_path))) == 2
    assert len(said) == 1 and '2 images or folders do not fit' in said[0] and 'x.jpg' in said[0]


def test_symlink_loop_ends(tmp_path):
    write_image(tmp_path / 'train/1/a.jpg')
    os.symlink(tmp_path / 'train', tmp_path / 'train/1/again')
    os.symlink(tmp_path / 'train/self', tmp_path / 'train/self')
    assert len(FolderReIDDataset(str(tmp_path))) == 1


def test_missing_and_empty(tmp_path):
    with pytest.raises(FileNotFoundError, match='(?s)found no folder .*x; set data_root.*<identity>'):
        FolderReIDDataset(str(tmp_path / 'x'))
    (tmp_path / 'train').mkdir()
    with pytest.raises(ValueError, match="found no image for split='train'"):
        FolderReIDDataset(str(tmp_path))
