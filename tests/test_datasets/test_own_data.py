# Copyright (c) mmreid contributors. All rights reserved.
import os
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from tiny_data import write_image

from mmreid.datasets import CsvReIDDataset, FolderReIDDataset, Market1501
from mmreid.datasets.preparation.own_sources import read_source
from mmreid.datasets.readers import image_files
from mmreid.datasets.readers.csv_rows import read_csv_rows
from mmreid.datasets.readers.id_map import map_ids
from mmreid.datasets.readers.image_files import shared_files
from mmreid.evaluation import ReIDMetric
from mmreid.models import CosineMatcher
from mmreid.visualization.batch_grid import captions


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
    with pytest.raises(ValueError, match="column 'split', .*make_split.py"):
        CsvReIDDataset(**cfg, split='test')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('img_path\na.png\n', r"list.csv .* pid; .*\['img_path'\]"),
        ('', r'list.csv .* img_path, pid; .*\[\]'),
        ('img_path,pid\n', 'list.csv .*header'),
        ('img_path,pid\na.png,1\na.png\n', r"line 3: .* 2 .*\['a.png'\]"),
        ('img_path,pid\na.png,1,2\n', r"line 2: .* 2 .*\['a.png', '1', '2'\]"),
        ('img_path,pid\na.png,\n', r"line 2: .* 2 .*\['a.png', ''\]"),
        ('img_path,pid\na.png,1\x07\n', r"line 2: pid '1\\x07'"),
        ('img_path,pid,split\na.png,1,trian\n', "line 2: split 'trian'"),
        ('img_path,pid,modality\na.png,1,ir\n', "line 2: modality 'ir'"),
        ('img_path,pid,timestamp\na.png,1,noon\n', "line 2: timestamp 'noon'"),
        ('img_path,pid,timestamp\na.png,1,nan\n', "line 2: timestamp 'nan'"),
        ('img_path;pid;timestamp\na.png;1;1,5\n', "line 2: timestamp '1,5' .*12.5"),
        ('img_path,pid,pid\na.png,1,1\n', "list.csv .*columns 'pid'"),
        ('img_path,pid\na.png,1\na.png,2\n', "line 3: a.png .*pid '2' .*'1' .*line 2"),
        ('img_path,pid,split\na.png,1,query\na.png,1,gallery\n', "line 3: a.png .*split 'gallery' .*'query' .*line 2"),
        ('img_path,pid,split\na.png,1,query\n', "list.csv .*1 query.*split='train'"),
        ('img_path,pid\na.png,"1\nb.png,2\n', 'line 3 .*CSV .*quotation'),
        ('img_path,pid\na.png,"1\nb.png,2"\n', 'line 3: .*quotation'),
    ],
)
def test_csv_faults_are_named_with_their_line(tmp_path, text, message):
    write_image(tmp_path / 'a.png')
    with pytest.raises(ValueError, match=message):
        CsvReIDDataset(**write_csv(tmp_path, text))


@pytest.mark.parametrize(
    ('column', 'meant'),
    [
        ('camId', 'camid'), ('camera', 'camid'), ('cam', 'camid'), ('Camera ID', 'camid'), ('SPLIT', 'split'),
        ('splt', 'split'), ('modalty', 'modality'), ('time_stamp', 'timestamp'),
    ],
)  # fmt: skip
def test_csv_column_close_to_a_known_one_is_refused(tmp_path, column, meant):
    write_image(tmp_path / 'a.png')
    with pytest.raises(ValueError, match=f"list.csv .*'{column}'.*'{meant}'"):
        CsvReIDDataset(**write_csv(tmp_path, f'img_path,pid,{column}\na.png,1,1\n'))


def test_csv_columns_of_the_user_are_left_alone(tmp_path):
    write_image(tmp_path / 'a.png')
    text = 'img_path,pid,camid,camera,weather,name,time,model,,path\na.png,1,3,door,rain,x,y,z,,p\n'
    assert CsvReIDDataset(**write_csv(tmp_path, text)).camids.tolist() == [0]
    with pytest.raises(ValueError, match="list.csv .* pid; .*'pid' .*'PID'"):
        CsvReIDDataset(**write_csv(tmp_path, 'img_path,PID\na.png,1\n'))


def test_csv_in_another_encoding(tmp_path):
    (tmp_path / 'list.csv').write_bytes('img_path,pid\nä.png,1\n'.encode('latin-1'))
    with pytest.raises(ValueError, match='list.csv .*UTF-8'):
        CsvReIDDataset(str(tmp_path), 'list.csv')


def test_csv_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match='list.csv line 2 .*gone.png'):
        CsvReIDDataset(**write_csv(tmp_path, 'img_path,pid\ngone.png,1\n'))
    with pytest.raises(FileNotFoundError, match='none.csv .*ann_file'):
        CsvReIDDataset(str(tmp_path), 'none.csv')


@pytest.mark.parametrize(
    'text',
    [
        '\ufeffimg_path;pid;camid\r\nx/a.png;5;1\r\n;;\r\n',  # Excel
        'pid\tcamid\timg_path\n5\t1\tx/a.png\n\n',
        '"img_path", "pid", "camid"\n x\\a.png , 5, 1',
        'img_path,pid,camid\nx/a.png,5,1\nx/a.png,5,1\n',
    ],
)
def test_csv_dialects(tmp_path, text):
    write_image(tmp_path / 'x/a.png')
    dataset = CsvReIDDataset(**write_csv(tmp_path, text))
    assert dataset.pids.tolist() == [5] and dataset.get_data_info(0)['img_path'] == str(tmp_path / 'x/a.png')


def test_csv_repetitions_are_counted(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('mmreid.datasets.readers.csv_rows.print_log', lambda text, **_: said.append(text))
    write_csv(tmp_path, 'img_path,pid\na.png,1\nb.png,1\na.png,1\n')
    assert len(read_csv_rows(tmp_path / 'list.csv')) == 2
    assert len(said) == 1 and '1 repeated rows' in said[0]


def test_csv_names_the_first_of_the_missing_files_and_counts_them(tmp_path):
    write_image(tmp_path / 'b.png')
    with pytest.raises(FileNotFoundError, match='line 2 .*a.png, .*2 of 3 '):
        CsvReIDDataset(**write_csv(tmp_path, 'img_path,pid\na.png,1\nb.png,1\nc.png,1\n'))


@pytest.mark.parametrize('column', ['', ',camid'])
def test_without_cameras_matches_in_the_same_camera_count(tmp_path, column):
    for name in 'abcd':
        write_image(tmp_path / f'{name}.png')
    rows = 'a.png,1,query{0}\nb.png,1,gallery{0}\nc.png,2,query{0}\nd.png,2,gallery{0}\n'.format(column and ',')
    test = CsvReIDDataset(**write_csv(tmp_path, f'img_path,pid,split{column}\n{rows}'), split='test')
    assert test.camids.tolist() == [0] * 4
    metric = ReIDMetric()
    metric.validate(test)  # raises if no query had a match
    assert metric.use_cross_camera(torch.as_tensor(test.camids)) is False


def test_cameras_of_some_rows_only(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('mmreid.datasets.readers.id_map.print_log', lambda text, **_: said.append(text))
    for name in 'abcd':
        write_image(tmp_path / f'{name}.png')
    text = 'img_path,pid,camid,split\na.png,1,3,train\nb.png,1,,train\nc.png,2,{},query\nd.png,2,9,gallery\n'
    train = CsvReIDDataset(**write_csv(tmp_path, text.format('')))
    assert train.camids.tolist() == [0, 2] and '1 of 2 images have no camera' in said[0] and 'line 3' in said[0]
    with pytest.raises(ValueError, match='1 of 2 .*line 4; .*camid'):
        CsvReIDDataset(**write_csv(tmp_path, text.format('')), split='test')
    test = CsvReIDDataset(**write_csv(tmp_path, text.format(3)), split='test')
    assert test.camids.tolist() == [0, 1]


def test_camera_folders_of_some_images_only(tmp_path):
    for path in ('query/1/a.jpg', 'gallery/1/hall/b.jpg', 'train/2/a.jpg', 'train/2/hall/b.jpg'):
        write_image(tmp_path / path)
    with pytest.raises(ValueError, match='1 of 2 .*camera, .*a.jpg; .*folders'):
        FolderReIDDataset(str(tmp_path), split='test')
    assert FolderReIDDataset(str(tmp_path)).camids.tolist() == [1, 0]


def test_csv_modality_and_validation(tmp_path):
    for name in 'abcd':
        write_image(tmp_path / f'{name}.png')
    rows = 'a.png,1,visible,train\nb.png,1,,train\nc.png,2,visible,val\nd.png,2,infrared,val\n'
    cfg = write_csv(tmp_path, f'img_path,pid,modality,split\n{rows}')
    assert CsvReIDDataset(**cfg).modalities.tolist() == ['visible', '']
    val = CsvReIDDataset(**cfg, split='val')
    assert val.splits.tolist() == ['query', 'gallery'] and val.modalities.tolist() == ['infrared', 'visible']
    with pytest.raises(ValueError, match="2 train, 2 val.*split='test'"):
        CsvReIDDataset(**cfg, split='test')
    cfg = write_csv(tmp_path, 'img_path,pid,split\na.png,1,train\nb.png,2,train\nc.png,2,train\n')
    with pytest.raises(ValueError, match="3 train.*split='val' .*val_from_train"):
        CsvReIDDataset(**cfg, split='val')
    held_out = dict(val_from_train=dict(ratio=0.5))
    pids = [CsvReIDDataset(**cfg, **held_out, split=split).pids.tolist() for split in ('train', 'val')]
    assert sorted(set(pids[0] + pids[1])) == [1, 2] and not set(pids[0]) & set(pids[1])


def test_folder_of_validation_identities(tmp_path):
    for path in ('train/anna/1.jpg', 'val/bert/a/1.jpg', 'val/bert/b/2.jpg'):
        write_image(tmp_path / path)
    val = FolderReIDDataset(str(tmp_path), split='val')
    assert val.splits.tolist() == ['query', 'gallery'] and val.pids.tolist() == [1, 1]


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
    assert test.pids.tolist() == [2, 2] and test.splits.tolist() == ['query', 'gallery']


def test_identities_directly_in_the_root_and_camera_in_the_name(tmp_path):
    for path in ('7/a_cam3_.jpg', '9/b_cam1_.jpg'):
        write_image(tmp_path / path)
    dataset = FolderReIDDataset(str(tmp_path), camera_pattern=r'_cam(\d+)_')
    assert dataset.pids.tolist() == [7, 9] and dataset.camids.tolist() == [1, 0]
    write_image(tmp_path / '9/b.jpg')
    with pytest.raises(ValueError, match='9.b.jpg .*camera_pattern='):
        FolderReIDDataset(str(tmp_path), camera_pattern=r'_cam(\d+)_')


def test_images_in_the_wrong_depth_are_named(tmp_path, monkeypatch):
    for path in ('train/x.jpg', 'train/1/a.jpg', 'train/1/cam/b.jpg', 'train/1/cam/deep/c.jpg'):
        write_image(tmp_path / path)
    said = []
    monkeypatch.setattr('mmreid.datasets.folder_dataset.print_log', lambda text, **_: said.append(text))
    assert len(FolderReIDDataset(str(tmp_path))) == 2
    assert len(said) == 1 and '2 images or folders do not fit' in said[0] and 'x.jpg' in said[0]


@pytest.mark.parametrize('read', [read_source, lambda folder: FolderReIDDataset(str(folder))])
def test_what_is_not_read_is_counted(tmp_path, mmreid_log, read):
    write_image(tmp_path / 'anna/1.jpg')
    write_image(tmp_path / 'bert/door/1.jpg')
    for name in ('anna/2.HEIC', 'anna/3.heic', 'bert/door/a.gif', 'carl/b.jfif', 'anna/._x.gif', 'anna/notes.txt'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'x')
    (tmp_path / 'dora').mkdir()
    with suppress(ValueError):  # a camera for one of two people only; told after the rest
        read(tmp_path)
    said = [record.getMessage() for record in mmreid_log.records if record.levelname == 'WARNING']
    assert f'{tmp_path}: 4 images are of kinds that are not read' in said[0] and '(1 .gif, 2 .heic, 1 .jfif)' in said[0]
    assert '2 folders of identities hold no image' in said[1] and str(tmp_path / 'carl') in said[1]


def test_images_of_other_kinds_beside_telling_names(tmp_path, mmreid_log):
    write_image(tmp_path / 'train' / 'bounding_box_train/0002_c1s1_000001_00.jpg')
    (tmp_path / 'train/bounding_box_train/0003.heic').write_bytes(b'x')
    Market1501(str(tmp_path / 'train'), name='own')
    read_source(tmp_path / 'train/bounding_box_train')
    read_source(tmp_path / 'train', pattern=r'(?P<pid>\d+)_c(?P<camid>\d+)')
    said = [record.getMessage() for record in mmreid_log.records if record.levelname == 'WARNING']
    assert len(said) == 3 and all('(1 .heic)' in text and '0003.heic' in text for text in said)


def test_symlink_loop_ends(tmp_path):
    write_image(tmp_path / 'train/1/a.jpg')
    os.symlink(tmp_path / 'train', tmp_path / 'train/1/again')
    os.symlink(tmp_path / 'train/self', tmp_path / 'train/self')
    assert len(FolderReIDDataset(str(tmp_path))) == 1


def test_missing_and_empty(tmp_path):
    with pytest.raises(FileNotFoundError, match='(?s)/x; .*data_root.*<identity>'):
        FolderReIDDataset(str(tmp_path / 'x'))
    (tmp_path / 'train').mkdir()
    with pytest.raises(ValueError, match=f"split='train' .*'{tmp_path}'"):
        FolderReIDDataset(str(tmp_path))


@pytest.mark.parametrize('name', ['Train', 'QUERY', 'val', 'test', 'bounding_box_train'])
def test_split_folders_are_not_taken_for_identities(tmp_path, name):
    for folder in ('anna', name):
        write_image(tmp_path / folder / 'door' / '1.jpg')
    with pytest.raises(ValueError, match=f'/{name} .*split .*identity'):
        FolderReIDDataset(str(tmp_path))
    with pytest.raises(ValueError, match=f'/{name} .*split .*identity'):
        read_source(tmp_path)


def test_one_image_under_two_paths_is_one(tmp_path):
    write_image(tmp_path / 'a.png')
    assert len(CsvReIDDataset(**write_csv(tmp_path, 'img_path,pid\na.png,x\n./a.png,x\n'))) == 1
    with pytest.raises(ValueError, match="line 3: ./a.png .*pid 'y' .*'x' .*line 2"):
        CsvReIDDataset(**write_csv(tmp_path, 'img_path,pid\na.png,x\n./a.png,y\n'))


@pytest.mark.parametrize('kind', ['query is a symlink', 'gallery is a symlink', 'both are symlinks', 'hard link'])
def test_a_link_from_query_to_gallery_is_told(tmp_path, mmreid_log, kind):
    for name in ('q/a.png', 'q/b.png', 'g/c.png', 'elsewhere/x.png'):
        write_image(tmp_path / name)
    query, gallery, target = (tmp_path / name for name in ('q/b.png', 'g/d.png', 'elsewhere/x.png'))
    if kind == 'query is a symlink':
        write_image(gallery)
        query.unlink()
        query.symlink_to(gallery)
    elif kind == 'gallery is a symlink':
        gallery.symlink_to('../q/b.png')
    elif kind == 'both are symlinks':
        query.unlink()
        query.symlink_to(target)
        gallery.symlink_to(target)
    else:
        gallery.hardlink_to(query)
    rows = ['img_path,pid,split', 'q/a.png,1,query', 'q/b.png,2,query', 'g/c.png,1,gallery', 'g/d.png,2,gallery']
    CsvReIDDataset(**write_csv(tmp_path, '\n'.join(rows)), split='test')
    said = [record.getMessage() for record in mmreid_log.records if record.levelname == 'WARNING']
    assert len(said) == 1 and 'csv | 1 images are query and gallery at once' in said[0]
    assert f'{query} (in the gallery {gallery})' in said[0]


def test_without_links_only_the_query_is_looked_up(tmp_path, monkeypatch):
    first, second = ([str(tmp_path / f'{split}{index}.png') for index in range(3)] for split in 'qg')
    for path in [*first, *second[1:]]:
        write_image(Path(path))
    stat, seen = os.stat, []
    monkeypatch.setattr(image_files.os, 'stat', lambda path, *args, **options: (seen.append(path), stat(path))[1])
    assert shared_files(first, [*second, first[1]]) == [(first[1], first[1])]
    assert seen == first


def test_one_file_as_query_and_gallery_is_told(tmp_path, mmreid_log):
    for name in ('q/a.png', 'q/b.png', 'g/c.png'):
        write_image(tmp_path / name)
    (tmp_path / 'link').symlink_to(tmp_path / 'q')
    rows = ['img_path,pid,split', 'q/a.png,1,query', 'q/b.png,2,query', 'g/c.png,1,gallery']
    cfg = write_csv(tmp_path, '\n'.join([*rows, 'link/a.png,1,gallery', f'{tmp_path}/q/../q/b.png,2,gallery']))
    CsvReIDDataset(**cfg, split='test')
    said = [record.getMessage() for record in mmreid_log.records if record.levelname == 'WARNING']
    assert len(said) == 1 and 'csv | 2 images are query and gallery at once' in said[0]
    assert str(tmp_path / 'q/a.png') in said[0] and str(tmp_path / 'link/a.png') in said[0]
    mmreid_log.clear()
    CsvReIDDataset(**write_csv(tmp_path, '\n'.join(rows)), split='test')
    assert not [record for record in mmreid_log.records if record.levelname == 'WARNING']


def test_names_travel_with_the_images(tmp_path):
    paths = ['query/Jürgen/door/1.jpg', 'gallery/Jürgen/till/2.jpg']
    for path in paths:
        write_image(tmp_path / path)
    rows = [f'{path},{path.split("/")[1]},{path.split("/")[2]},{path.split("/")[0]}' for path in paths]
    csv = write_csv(tmp_path, chr(10).join(['img_path,pid,camid,split', *rows]))
    pipeline = [dict(type='LoadReIDImage'), dict(type='PackReIDInputs')]
    for dataset in (
        FolderReIDDataset(str(tmp_path), split='test', pipeline=pipeline),
        CsvReIDDataset(**csv, split='test', pipeline=pipeline),
    ):
        metric = ReIDMetric(cmc_topk=[1])
        metric.matcher = CosineMatcher()
        samples = [dataset[i]['data_samples'].set_feature(torch.ones(2)) for i in range(2)]
        metric.process(None, [sample.to_dict() for sample in samples])
        metric.evaluate(2)
        query, gallery = metric.records['query'], metric.records['gallery']
        assert (query.pid_name, query.camid_name) == (['Jürgen'], ['door'])
        assert (gallery.pid_name, gallery.camid_name) == (['Jürgen'], ['till'])
        assert captions(dataset[0]['data_samples'])[0] == 'pid Jürgen cam door'


def test_huge_numbers(tmp_path):
    assert map_ids(['9' * 30, '7']) == [1, 0] and map_ids(['9' * 5000, '7', '7']) == [1, 0, 0]
    name = write_image(tmp_path / 'bounding_box_train' / f'{10**20}_c1.jpg').name
    with pytest.raises(ValueError, match=f'{name} .*identity {10**20}, .* 17 '):
        Market1501(str(tmp_path), name='own', pattern=r'(?P<pid>\d+)_c(?P<camid>\d+)')
