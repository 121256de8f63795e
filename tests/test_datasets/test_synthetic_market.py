# Copyright (c) mmreid contributors. All rights reserved.
"""The procedural people: repeatable images, honest near-duplicates, a correct Market-1501 folder."""

import importlib.util
import json
import os
import re
import select
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_world import small_world

from mmreid.datasets.synthetic import MarketPlan, write_dataset, writer
from mmreid.datasets.synthetic.contact_sheet import contact_sheet, save_sheet
from mmreid.datasets.synthetic.layout import split_pids
from mmreid.datasets.synthetic.manifest import is_up_to_date

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r'(-1|\d{4})_c(\d)s(\d)_(\d{6})_(\d{2})\.jpg')
STYLE_NAME = re.compile(r'(\d{4}_c(\d)s\d_\d{6}_\d{2})_fake_(\d)to(\d)\.jpg')
PLAN = MarketPlan(train_ids=4, test_ids=3, images_per_camera=2, distractors=5, junk=4, camstyle=True)


def read_tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob('*')) if path.is_file()}


@pytest.fixture(scope='module')
def dataset(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp('procedural') / 'market'
    write_dataset(root, small_world(), PLAN)
    return root


def test_names_counts_and_disjoint_people(dataset):
    names = {
        folder.name: sorted(path.name for path in folder.iterdir()) for folder in dataset.iterdir() if folder.is_dir()
    }
    seen = {}
    for folder in ('bounding_box_train', 'bounding_box_test', 'query'):
        matches = [NAME.fullmatch(name) for name in names[folder]]
        assert all(matches), names[folder]
        assert {match[2] for match in matches} == {'1', '2', '3'}
        seen[folder] = [int(match[1]) for match in matches]
    assert len(seen['bounding_box_train']) == 4 * 3 * 2
    assert len(seen['query']) == 3 * 3
    assert len(seen['bounding_box_test']) == 3 * 3 + 5 + 4
    assert seen['bounding_box_test'].count(0) == 5
    assert seen['bounding_box_test'].count(-1) == 4
    train, query, gallery = (set(seen[name]) for name in ('bounding_box_train', 'query', 'bounding_box_test'))
    assert len(train) == 4 and len(query) == 3
    assert not train & (query | gallery)
    assert gallery - {0, -1} == query
    one_per_camera = {name.split('s')[0] for name in names['query']}
    assert len(one_per_camera) == len(names['query'])


def test_manifest_counts_the_files(dataset):
    manifest = json.loads((dataset / 'world.json').read_text())
    files = {folder.name: len(list(folder.iterdir())) for folder in dataset.iterdir() if folder.is_dir()}
    assert manifest['counts'] == files
    assert manifest['parameters']['seed'] == 3
    assert manifest['parameters']['knobs']['cluster_size'] == 3


def test_camera_style_folder_is_complete(dataset):
    expected = set()
    for path in (dataset / 'bounding_box_train').iterdir():
        own = int(NAME.fullmatch(path.name)[2])
        expected |= {f'{path.stem}_fake_{own}to{other}.jpg' for other in (1, 2, 3) if other != own}
    found = {path.name for path in (dataset / 'bounding_box_train_camstyle').iterdir()}
    assert found == expected
    assert all(STYLE_NAME.fullmatch(name) for name in found)


def test_files_are_the_images_of_the_world(dataset):
    world = small_world()
    for job in list(PLAN.jobs(world))[::7]:
        if job.kind == 'person':
            stored = cv2.imread(str(dataset / job.path))[..., ::-1].astype(int)
            assert np.abs(stored - world.render(job.pid, job.camid, job.index)).mean() < 12
            assert np.abs(stored - world.render(job.pid + 50, job.camid, job.index)).mean() > 12


def test_files_do_not_depend_on_the_number_of_workers(dataset, tmp_path):
    write_dataset(tmp_path / 'two', small_world(), PLAN, workers=2)
    assert read_tree(tmp_path / 'two') == read_tree(dataset)


def test_splits_never_cut_a_cluster():
    world = small_world(cluster_fraction=1.0)
    train, test = split_pids(world, 4, 3)
    clusters = {other for pid in train for other in world.people.cluster_of(pid)}
    assert not clusters & set(test)


def test_real_parser_reads_the_folder(dataset):
    from mmreid.datasets import Market1501

    train = Market1501(data_root=str(dataset), split='train')
    test = Market1501(data_root=str(dataset), split='test')
    train.full_init()
    test.full_init()
    assert len(train) == 24 and train.num_classes == 4
    assert set(train.camids) == {0, 1, 2}
    assert (test.splits == 'query').sum() == 9
    # Junk is dropped, distractors stay.
    assert (test.splits == 'gallery').sum() == 9 + 5


def test_same_parameters_are_done_and_others_refused(tmp_path):
    plan, root = MarketPlan(train_ids=1, test_ids=1), tmp_path / 'out'
    first = write_dataset(root, small_world(), plan)
    stamp = (root / 'world.json').stat().st_mtime_ns
    assert write_dataset(root, small_world(), plan) == first
    assert (root / 'world.json').stat().st_mtime_ns == stamp
    before = read_tree(root)
    with pytest.raises(FileExistsError, match='--force'):
        write_dataset(root, small_world(noise_strength=0.5), plan)
    assert read_tree(root) == before
    write_dataset(root, small_world(noise_strength=0.5), plan, force=True)
    assert read_tree(root) != before
    assert [path.name for path in tmp_path.iterdir()] == ['out']


def test_force_never_replaces_a_foreign_folder(tmp_path):
    root = tmp_path / 'Market-1501'
    root.mkdir()
    (root / 'precious.jpg').write_bytes(b'1')
    with pytest.raises(FileExistsError, match='Market-1501 .*content'):
        write_dataset(root, small_world(), MarketPlan(1, 1), force=True)
    assert [path.name for path in root.iterdir()] == ['precious.jpg']


def test_force_never_removes_files_of_the_user(tmp_path):
    root = tmp_path / 'out'
    write_dataset(root, small_world(), MarketPlan(1, 1))
    for name in ('query/mine.jpg', 'notes.txt'):
        (root / name).write_text('mine')
        with pytest.raises(FileExistsError, match=f' {name}'):
            write_dataset(root, small_world(seed=9), MarketPlan(1, 1), force=True)
    assert (root / 'query' / 'mine.jpg').read_text() == 'mine'


@pytest.mark.parametrize('workers', [1, 2])
@pytest.mark.parametrize('force', [False, True])
def test_failure_leaves_no_half_written_folder(tmp_path, monkeypatch, force, workers):
    root = tmp_path / 'out'
    if force:
        write_dataset(root, small_world(seed=9), MarketPlan(1, 1))
    before = read_tree(tmp_path)
    original = writer.write_job

    def fail_late(job, world, folder):
        if job.path.startswith('query'):
            raise OSError('disk full')
        return original(job, world, folder)

    monkeypatch.setattr(writer, 'write_job', fail_late)
    with pytest.raises(OSError, match='disk full'):
        write_dataset(root, small_world(), MarketPlan(2, 1), force=force, workers=workers)
    assert read_tree(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == (['out'] if force else [])


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(images_per_camera=1), 'images_per_camera is 1'),
        (dict(train_ids=0), 'train_ids is 0'),
        (dict(junk=-1), 'junk is -1'),
    ],
)
def test_wrong_plans_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        MarketPlan(**kwargs)


def test_layout_limits_are_named(tmp_path):
    with pytest.raises(ValueError, match="'market1501' .* 10 .* 2 to 9"):
        write_dataset(tmp_path / 'a', small_world(cameras=10), MarketPlan(1, 1))
    with pytest.raises(ValueError, match=r'9999 \+ 1 .* 10000, .* 4 '):
        write_dataset(tmp_path / 'b', small_world(), MarketPlan(9999, 1))
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------- sheets and command line


def test_sheet_has_the_right_cells(tmp_path):
    world, plan = small_world(cluster_fraction=0), MarketPlan(train_ids=2, test_ids=1)
    sheet = contact_sheet(world, plan, people=2, per_camera=2)
    assert sheet.shape == (16 + 2 * 66, 28 + 6 * 34, 3)
    # Row of person 2, second image of camera 2: after the head, the side, and three images.
    top, left = 16 + 66, 28 + 3 * 34
    np.testing.assert_array_equal(sheet[top : top + 64, left : left + 32], world.render(2, 1, 1))
    save_sheet(sheet, tmp_path / 'new' / 'sheet.jpg', max_bytes=20_000)
    assert 0 < (tmp_path / 'new' / 'sheet.jpg').stat().st_size <= 20_000
    with pytest.raises(ValueError, match=' 100 bytes'):
        save_sheet(sheet, tmp_path / 'tiny.jpg', max_bytes=100)


def test_sheet_ends_with_near_duplicates_and_leaves_unseen_places_white():
    world, plan = small_world(cluster_fraction=1.0), MarketPlan(train_ids=3, test_ids=3, camera_fraction=0.01)
    sheet = contact_sheet(world, plan, people=4, per_camera=1)
    # Four people; the first row is none of the cluster 1, 2, 3.
    camids = sorted({job.camid for job in plan.jobs(world) if job.pid == 4})
    assert len(camids) == 2
    for camid in range(3):
        cell = sheet[16 : 16 + 64, 28 + camid * 34 :][:, :32]
        np.testing.assert_array_equal(cell, world.render(4, camid, 0) if camid in camids else np.full_like(cell, 255))


@pytest.fixture(scope='module')
def command():
    path = ROOT / 'tools' / 'dataset_converters' / 'make_procedural.py'
    spec = importlib.util.spec_from_file_location('make_procedural', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_command_line(command, tmp_path, capsys):
    out, sheet = tmp_path / 'out', tmp_path / 'sheet.jpg'
    args = [str(out), '--train-ids', '2', '--test-ids', '1', '--cameras', '2', '--size', '64', '32', '--camstyle',
            '--distractors', '3', '--junk', '2', '--domain', 'other', '--seed', '7']  # fmt: skip
    assert command([*args, '--contact-sheet', str(sheet)]) == 0
    assert '8 in bounding_box_train,' in capsys.readouterr().out
    assert sheet.stat().st_size > 1000
    manifest = json.loads((out / 'world.json').read_text())
    assert manifest['counts'] == {
        'bounding_box_test': 7, 'bounding_box_train': 8, 'bounding_box_train_camstyle': 8, 'query': 2,
    }  # fmt: skip
    assert manifest['parameters']['domain'] == 'other'
    assert command(args) == 0
    assert 'is done' in capsys.readouterr().out
    assert command([*args, '--cast-strength', '0.5']) == 1
    assert '--force' in capsys.readouterr().err
    assert command([*args, '--cast-strength', '0.5', '--force', '--workers', '2']) == 0
    assert json.loads((out / 'world.json').read_text())['parameters']['knobs']['cast_strength'] == 0.5


def test_damaged_folder_is_not_done(tmp_path):
    world, plan = small_world(), MarketPlan(train_ids=2, test_ids=2)
    write_dataset(tmp_path / 'out', world, plan)
    assert is_up_to_date(tmp_path / 'out', world, plan)
    next((tmp_path / 'out' / 'query').iterdir()).unlink()
    assert not is_up_to_date(tmp_path / 'out', world, plan)
    write_dataset(tmp_path / 'out', world, plan, force=True)
    next((tmp_path / 'out' / 'query').iterdir()).write_bytes(b'')
    assert not is_up_to_date(tmp_path / 'out', world, plan)
    with pytest.raises(FileExistsError, match='--force'):
        write_dataset(tmp_path / 'out', world, plan)
    write_dataset(tmp_path / 'out', world, plan, force=True)
    assert is_up_to_date(tmp_path / 'out', world, plan)


def test_leftovers_of_killed_runs_are_removed(tmp_path):
    left, young = tmp_path / '.out.partial-9999991', tmp_path / '.out.partial-9999992'  # larger than any pid
    for folder in (left, young):
        (folder / 'query').mkdir(parents=True)
    os.utime(left, (0, 0))
    write_dataset(tmp_path / 'out', small_world(), MarketPlan(train_ids=2, test_ids=2))
    assert not left.exists() and young.exists()


def test_workers_end_with_a_killed_parent():
    """A fork plays the parent: it starts a worker's watch in a child of its own and dies."""
    reader, held = os.pipe()
    parent = os.fork()
    if parent == 0:
        own = os.getpid()
        if os.fork() == 0:
            os.close(reader)
            writer._end_with_parent(own)
        os._exit(0)
    os.waitpid(parent, 0)
    os.close(held)
    # The pipe closes when its last holder, the orphan, is gone.
    assert select.select([reader], [], [], 10)[0] and os.read(reader, 1) == b''
    os.close(reader)
