# Copyright (c) mmreid contributors. All rights reserved.
"""Own images become training, query and gallery."""

import csv
import shutil

import numpy as np
import pytest
from test_tools.tool_modules import load_tool
from test_tools.tool_runs import last_line
from tiny_data import write_image, write_market
from warm_processes import run_warm

from mmreid.datasets import CsvReIDDataset, FolderReIDDataset
from mmreid.datasets.preparation.own_sources import read_source
from mmreid.datasets.preparation.own_split import SplitPlan, split_rows
from mmreid.utils.config import load_config

TOOL = load_tool('dataset_converters/make_split.py')


def people(number=10, cameras=('a', 'b'), images=2):
    return [
        dict(img_path=f'{pid}/{camera}/{index}.jpg', pid=f'p{pid}', camid=camera)
        for pid in range(number)
        for camera in cameras
        for index in range(images)
    ]


def pids_of(rows, *splits):
    return {row['pid'] for row in rows if row['split'] in splits}


def write_people(root, number=6, cameras=('hall', 'door'), images=2):
    for pid in range(number):
        for camera in cameras:
            for index in range(images):
                write_image(root / f'person {pid}' / camera / f'{index}.jpg', pid)
    return root


def test_identities_are_in_one_part_only():
    rows, counts = split_rows(people(), SplitPlan(test_ids=0.4, val_ids=2))
    train, val, test = pids_of(rows, 'train'), pids_of(rows, 'val'), pids_of(rows, 'query', 'gallery')
    assert (len(train), len(val), len(test)) == (4, 2, 4) and not train & val and not (train | val) & test
    assert counts == dict(leftover=0, distractors=0)


@pytest.mark.parametrize(('images', 'per_camera', 'queries'), [(1, 1, 1), (2, 1, 2), (5, 3, 6), (3, 9, 4)])
def test_every_query_has_a_match_in_another_camera(images, per_camera, queries):
    rows, _ = split_rows(people(images=images), SplitPlan(query_per_cam=per_camera))
    for pid in pids_of(rows, 'query'):
        own = [row for row in rows if row['pid'] == pid]
        asked = [row['camid'] for row in own if row['split'] == 'query']
        kept = {row['camid'] for row in own if row['split'] == 'gallery'}
        assert len(asked) == queries and all(kept - {camera} for camera in asked)


def test_order_of_the_files_does_not_matter_but_the_seed_does():
    rows = people()
    shuffled = [rows[index] for index in np.random.default_rng(0).permutation(len(rows))]
    assert split_rows(rows, SplitPlan()) == split_rows(shuffled, SplitPlan())
    assert split_rows(rows, SplitPlan())[0] != split_rows(rows, SplitPlan(seed=1))[0]


@pytest.mark.parametrize('leftover', ['train', 'gallery'])
def test_identities_that_cannot_be_queries(leftover):
    lonely = [dict(img_path=f'x{i}.jpg', pid='lonely', camid='a') for i in range(3)]
    rows, counts = split_rows(people() + lonely, SplitPlan(leftover=leftover))
    assert counts['leftover'] == 1 and {row['split'] for row in rows if row['pid'] == 'lonely'} == {leftover}
    rows, counts = split_rows(people() + lonely, SplitPlan(test_ids=9, ignore_cameras=True))
    assert counts['leftover'] == 0  # three images of one camera are enough where cameras do not count


def test_two_modalities():
    rows = [
        dict(img_path=f'{pid}{modality}{i}.jpg', pid=str(pid), camid=modality, modality=modality)
        for pid in range(6)
        for modality in ('visible', 'infrared')
        for i in range(2)
    ]
    rows, _ = split_rows(rows, SplitPlan())
    assert {row['modality'] for row in rows if row['split'] == 'query'} == {'infrared'}
    assert {row['modality'] for row in rows if row['split'] == 'gallery'} == {'visible'}


@pytest.mark.parametrize(
    ('plan', 'message'),
    [
        (dict(test_ids=1.0), 'test_ids=1.0 .*0 and 1'),
        (dict(test_ids=float('nan')), 'test_ids=nan '),
        (dict(test_ids=0), 'test_ids=0 '),
        (dict(val_ids=-1), 'val_ids=-1 '),
        (dict(query_per_cam=0), 'query_per_cam=0 '),
        (dict(test_ids=20), ' 10 .* 10 .*test_ids=20 .* 20 .* 0 .* -10 '),
        (dict(test_ids=0.1), 'test_ids=0.1 .* 1 .* 0 .* 9 '),
        (dict(test_ids=0.5, val_ids=0.45), 'val_ids=0.45 .* 5 .* 4 .* 1 '),
    ],
)
def test_bad_shares(plan, message):
    with pytest.raises(ValueError, match=message):
        split_rows(people(), SplitPlan(**plan))


def test_cameras_that_nobody_passes_twice():
    rows = [dict(row, camid=row['pid']) for row in people()]
    with pytest.raises(ValueError, match=' 0 .*--ignore-cameras'):
        split_rows(rows, SplitPlan())


def test_csv_is_read_back(tmp_path, capsys):
    root = write_people(tmp_path / 'people')
    TOOL.main([str(root), '--out', str(tmp_path / 'split'), '--val-ids', '2', '--test-ids', '2'])
    shown = capsys.readouterr().out
    assert '| train   |          2 |      8 |       2 |' in shown and "ann_file='../split/split.csv'" in shown
    cfg = dict(data_root=str(root), ann_file='../split/split.csv')
    sets = {split: CsvReIDDataset(**cfg, split=split) for split in ('train', 'val', 'test')}
    assert {name: len(found) for name, found in sets.items()} == dict(train=8, val=8, test=8)
    pids = [set(found.pids.tolist()) for found in sets.values()]
    assert len(set.union(*pids)) == 6 == sum(map(len, pids))
    assert sets['test'].splits.tolist() == ['query'] * 4 + ['gallery'] * 4 and set(sets['test'].camids) == {0, 1}


@pytest.mark.parametrize('flag', ['--copy', '--link'])
def test_folders_are_read_back(tmp_path, flag):
    root = write_people(tmp_path / 'people')
    TOOL.main([str(root), '--out', str(tmp_path / 'split'), flag])
    train, test = (FolderReIDDataset(str(tmp_path / 'split'), split=split) for split in ('train', 'test'))
    assert len(train) == len(test) == 12 and not set(train.pids) & set(test.pids)
    assert (tmp_path / 'split/train').is_dir() and next((tmp_path / 'split').rglob('*.jpg')).is_symlink() == (
        flag == '--link'
    )
    assert len(list(root.rglob('*.jpg'))) == 24


def test_folders_keep_images_of_the_same_name(tmp_path):
    rows = ['img_path,pid']
    for number in range(4):
        for place in 'xy':
            write_image(tmp_path / place / str(number) / '1.jpg')
            rows.append(f'{place}/{number}/1.jpg,{number}')
    (tmp_path / 'list.csv').write_text('\n'.join(rows))
    TOOL.main([str(tmp_path / 'list.csv'), '--out', str(tmp_path / 'out'), '--copy'])
    assert len(FolderReIDDataset(str(tmp_path / 'out'))) == len(FolderReIDDataset(str(tmp_path / 'out'), split='test'))
    assert len(list((tmp_path / 'out').rglob('*.jpg'))) == 8


def test_csv_source_keeps_its_columns(tmp_path, capsys):
    for row in people(4):
        write_image(tmp_path / 'img' / row['img_path'])
    lines = [f'{row["pid"]};{row["camid"]};{row["img_path"]};1.5;red' for row in people(4)]
    (tmp_path / 'list.csv').write_text('pid;camid;img_path;timestamp;shirt\r\n' + '\r\n'.join(lines))
    TOOL.main([str(tmp_path / 'list.csv'), '--data-root', str(tmp_path / 'img'), '--out', str(tmp_path)])
    with open(tmp_path / 'split.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16 and {(row['timestamp'], row['shirt']) for row in rows} == {('1.5', 'red')}
    dataset = CsvReIDDataset(str(tmp_path / 'img'), '../split.csv')
    assert dataset.get_data_info(0)['timestamp'] == 1.5
    with pytest.raises(FileNotFoundError, match='16 of 16 .*line 2: .*--data-root'):
        read_source(tmp_path / 'list.csv')


def test_names_of_market1501_and_own_names(tmp_path):
    source = tmp_path / 'flat'
    for path in write_market(tmp_path / 'market').rglob('*.jpg'):
        source.mkdir(exist_ok=True)
        shutil.copy(path, source)
    for name in ('0000_c1s1_000001_00.jpg', '-1_c1s1_000001_00.jpg'):
        write_image(source / name)
    found = read_source(source)
    assert len(found.rows) == 69 and found.distractors == {'0000'} and '1 junk' in found.notes[0]
    rows, counts = split_rows(found.rows, SplitPlan(), found.distractors)
    assert counts['distractors'] == 1 and {row['split'] for row in rows if row['pid'] == '0000'} == {'gallery'}

    write_image(tmp_path / 'own/cam7/anna-1.png')
    own = read_source(tmp_path / 'own', pattern=r'cam(?P<camid>\d+)/(?P<pid>\w+)-')
    assert own.rows == [dict(img_path='cam7/anna-1.png', pid='anna', camid='7')]
    with pytest.raises(ValueError, match='1 of 1 .*cam7/anna-1.png'):
        read_source(tmp_path / 'own', pattern=r'id(?P<pid>\d+)')
    with pytest.raises(ValueError, match="'x' .* pid"):
        read_source(tmp_path / 'own', pattern='x')
    with pytest.raises(ValueError, match='market .*split'):
        read_source(tmp_path / 'market')
    write_image(tmp_path / 'strange/x.jpg')
    with pytest.raises(ValueError, match=' 0002_c1s1.* x.jpg'):
        read_source(tmp_path / 'strange')


def test_cameras_of_some_images_only(tmp_path):
    write_people(tmp_path / 'people')
    write_image(tmp_path / 'people/person 7/1.jpg')
    with pytest.raises(ValueError, match='1 of 25 .*camera, .*person 7/1.jpg'):
        read_source(tmp_path / 'people')
    (tmp_path / 'people/list.csv').write_text('img_path,pid,camid\nperson 7/1.jpg,7,\nperson 1/hall/1.jpg,1,hall\n')
    with pytest.raises(ValueError, match='1 of 2 .*list.csv .*camera'):
        read_source(tmp_path / 'people/list.csv')


def test_nothing_is_overwritten(tmp_path):
    root, out = write_people(tmp_path / 'people'), tmp_path / 'out'
    TOOL.main([str(root), '--out', str(out)])
    before = (out / 'split.csv').read_text()
    with pytest.raises(FileExistsError, match='split.csv .*--force'):
        TOOL.main([str(root), '--out', str(out), '--seed', '1'])
    assert (out / 'split.csv').read_text() == before
    TOOL.main([str(root), '--out', str(out), '--seed', '1', '--force'])
    assert (out / 'split.csv').read_text() != before
    with pytest.raises(FileExistsError, match=f'{out} .*content'):
        TOOL.main([str(root), '--out', str(out), '--copy', '--force'])
    with pytest.raises(ValueError, match=f'--out {tmp_path} .*{root}'):
        TOOL.main([str(root), '--out', str(tmp_path), '--copy', '--force'])
    with pytest.raises(ValueError, match='split.csv .*--out'):
        TOOL.main([str(out / 'split.csv'), '--data-root', str(root), '--out', str(out), '--force'])
    TOOL.main([str(root), '--out', str(tmp_path / 'copy'), '--copy'])
    with pytest.raises(FileExistsError, match='copy .*--force'):
        TOOL.main([str(root), '--out', str(tmp_path / 'copy'), '--copy'])
    TOOL.main([str(root), '--out', str(tmp_path / 'copy'), '--copy', '--force'])
    (tmp_path / 'copy/train/mine.txt').write_text('')
    with pytest.raises(FileExistsError, match=' train/mine.txt'):
        TOOL.main([str(root), '--out', str(tmp_path / 'copy'), '--copy', '--force'])
    assert sorted(path.name for path in tmp_path.iterdir()) == ['copy', 'out', 'people']


def test_failed_copy_leaves_nothing(tmp_path):
    root = write_people(tmp_path / 'people')
    rows = '\n'.join(f'person {i}/{cam}/0.jpg,../p{i},{cam}' for i in range(6) for cam in ('hall', 'door'))
    (root / 'list.csv').write_text('img_path,pid,camid\n' + rows)
    with pytest.raises(ValueError, match="pid '../p.'"):
        TOOL.main([str(root / 'list.csv'), '--out', str(tmp_path / 'out'), '--copy'])
    assert [path.name for path in tmp_path.iterdir()] == ['people']


@pytest.mark.parametrize(
    ('name', 'fault'),
    [('two\nlines', 'line break'), ('tab\t', 'control'), ('blank ', 'blank at'), ('a\\b', 'backslash'),
     ('\udcff', 'UTF-8')],
)  # fmt: skip
def test_names_that_a_csv_cannot_hold_are_refused_before_anything_is_written(tmp_path, name, fault):
    root = write_people(tmp_path / 'people')
    (root / 'person 3').rename(root / name)
    with pytest.raises(ValueError) as error:
        TOOL.main([str(root), '--out', str(tmp_path / 'out')])
    assert fault in str(error.value) and repr(name) in str(error.value).replace('/door/0.jpg', '')
    assert [path.name for path in tmp_path.iterdir()] == ['people']
    # Without a fault the reader finds the same identities again.
    (root / name).rename(root / 'Müller, "3"')
    TOOL.main([str(root), '--out', str(tmp_path / 'out')])
    read = [CsvReIDDataset(str(root), str(tmp_path / 'out/split.csv'), split=split) for split in ('train', 'test')]
    assert sum(len(np.unique(dataset.pids)) for dataset in read) == 6


def test_config_is_written_and_read(tmp_path, capsys):
    root, config = write_people(tmp_path / 'people', cameras=('only',)), tmp_path / 'cfg/own.py'
    arguments = [str(root), '--out', str(tmp_path / 'shop'), '--config', str(config)]
    TOOL.main(arguments)
    assert 'one camera' in capsys.readouterr().out
    cfg = load_config(str(config))
    dataset = cfg.test_dataloader.dataset
    assert (dataset.type, dataset.name, dataset.data_root) == ('CsvReIDDataset', 'shop', str(root))
    assert cfg.train_dataloader.batch_size == 12 and cfg.test_evaluator.cross_camera is False
    assert dataset.pipeline[0].type == 'LoadReIDImage' and 'indices' not in dataset
    assert CsvReIDDataset(dataset.data_root, dataset.ann_file).num_classes == 3
    with pytest.raises(FileExistsError, match='own.py .*--force'):
        TOOL.main([*arguments[:2], str(tmp_path / 'other'), *arguments[3:]])
    assert not (tmp_path / 'other').exists()


def test_error_is_one_sentence(tmp_path):
    done = run_warm('tools/dataset_converters/make_split.py', tmp_path / 'none', '--out', tmp_path / 'x', check=False)
    assert done.returncode == 1 and f'error: {tmp_path / "none"} ' in done.stdout
    assert 'Traceback' not in done.stdout and 'MMREID_TRACEBACK' in last_line(done)
