# Copyright (c) mmreid contributors. All rights reserved.
"""The layouts of the procedural people: names and lists as on real disks, read back by the real parsers."""

import importlib.util
import re
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmreid.datasets import CUHK03NP, LLCM, MSMT17, SYSUMM01, DukeMTMC, RandPerson, RegDB
from mmreid.datasets.synthetic import (
    LAYOUTS,
    CUHK03NPPlan,
    DukePlan,
    LLCMPlan,
    MarketPlan,
    MSMT17Plan,
    RandPersonPlan,
    RegDBPlan,
    SYSUPlan,
    write_dataset,
)
from mmreid.datasets.synthetic.layout import seen_by
from mmreid.datasets.synthetic.regdb_layout import divide

ROOT = Path(__file__).resolve().parents[2]
SMALL = dict(seed=3, size=(32, 16), supersample=1)
PLANS = {
    'market1501': MarketPlan(3, 2, distractors=2, junk=1, camstyle=True),
    'dukemtmc': DukePlan(3, 2, camera_fraction=0.5),
    'msmt17': MSMT17Plan(3, 2, camera_fraction=0.3),
    'cuhk03np': CUHK03NPPlan(3, 2, images_per_camera=3),
    'sysu': SYSUPlan(3, 2, 3, images_per_camera=2, camera_fraction=0.5),
    'regdb': RegDBPlan(8, images_per_camera=3),
    'llcm': LLCMPlan(3, 2, images_per_camera=1, camera_fraction=1.0),
    'randperson': RandPersonPlan(4),
}
FILES = {
    'market1501': r'(bounding_box_(train|test)|query)/(-1|\d{4})_c\ds\d_\d{6}_\d\d\.jpg'
    r'|bounding_box_train_camstyle/\d{4}_c\ds\d_\d{6}_\d\d_fake_\dto\d\.jpg',
    'dukemtmc': r'(bounding_box_(train|test)|query)/\d{4}_c[1-8]_f\d{7}\.jpg',
    'msmt17': r'(train|test)/(\d{4})/\2_\d{3}_(0[1-9]|1[0-5])_(01|03)\d\d(morning|noon|afternoon)_\d{4}_\d\.jpg'
    r'|list_(train|val|query|gallery)\.txt',
    'cuhk03np': r'(detected|labeled)/(bounding_box_(train|test)|query)/\d{4}_c[12]_\d+\.png',
    'sysu': r'cam[1-6]/\d{4}/\d{4}\.jpg|exp/(train|val|test|available)_id\.txt',
    'regdb': r'(Visible|Thermal)/(\d+)/(fe)?male_(front|back)_[vt]_\d{5}_\2\.bmp'
    r'|idx/(train|test)_(visible|thermal)_([1-9]|10)\.txt',
    'llcm': r'(vis|test_vis/cam([1-9]))/(\d{4})/\3_c0[1-9]_s\d{6}_f\d+_vis\.jpg'
    r'|(nir|test_nir/cam([124-9]))/(\d{4})/\6_c0[124-9]_s\d{6}_f\d+_nir\.jpg|idx/(train_vis|train_nir|test_id)\.txt',
    'randperson': r'randperson_subset/\d{6}_s(0\d|10)_c0[0-3]_f\d{6}\.jpg',
}


def make(layout: str, root: Path, **kwargs) -> Path:
    write_dataset(root, PLANS[layout].make_world(**SMALL, **kwargs), PLANS[layout])
    return root


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    folder = tmp_path_factory.mktemp('layouts')
    return {layout: make(layout, folder / layout) for layout in LAYOUTS}


def read(kind, root, split, **kwargs):
    dataset = kind(str(root), split=split, **kwargs)
    dataset.full_init()
    return dataset


@pytest.mark.parametrize('layout', LAYOUTS)
def test_files_are_named_as_in_the_real_data_set(roots, layout):
    files = [str(path.relative_to(roots[layout])) for path in roots[layout].rglob('*') if path.is_file()]
    files.remove('world.json')
    assert [file for file in files if not re.fullmatch(FILES[layout], file)] == []
    planned = [path for job in PLANS[layout].jobs(PLANS[layout].make_world(**SMALL)) for path in job.paths()]
    assert len(set(planned)) == len(planned) == len([file for file in files if not file.endswith('.txt')])


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_image_is_readable_and_of_the_asked_size(roots, layout):
    for path in roots[layout].rglob('*'):
        if path.suffix in ('.jpg', '.png', '.bmp'):
            assert cv2.imread(str(path)).shape == (32, 16, 3), path


@pytest.mark.parametrize('layout', ['msmt17', 'cuhk03np', 'sysu', 'regdb', 'llcm'])
def test_files_do_not_depend_on_the_number_of_workers(roots, layout, tmp_path):
    write_dataset(tmp_path / 'two', PLANS[layout].make_world(**SMALL), PLANS[layout], workers=2)
    trees = [
        {str(path.relative_to(root)): path.read_bytes() for path in root.rglob('*') if path.is_file()}
        for root in (roots[layout], tmp_path / 'two')
    ]
    assert trees[0] == trees[1]


@pytest.mark.parametrize('layout', ['market1501', 'dukemtmc', 'msmt17', 'cuhk03np', 'sysu', 'llcm'])
def test_near_duplicates_are_never_in_training_and_test(layout):
    plan = PLANS[layout]
    world = plan.make_world(**SMALL, cluster_fraction=1.0)
    train = {job.pid for job in plan.jobs(world) if job.pid in range(1, plan.train_ids + 1)}
    clusters = {twin for pid in train for twin in world.people.cluster_of(pid)}
    others = {job.pid for job in plan.jobs(world) if job.pid > 0} - train
    assert others and not clusters & others


# ---------------------------------------------------------------------------------------------- the parsers read them


def test_dukemtmc_is_read(roots):
    assert len(set(read(DukeMTMC, roots['dukemtmc'], 'train').pids)) == 3
    test = read(DukeMTMC, roots['dukemtmc'], 'test')
    assert_each_query_has_a_match_in_another_camera(test)


def test_msmt17_is_read(roots):
    train = read(MSMT17, roots['msmt17'], 'train')
    without_val = read(MSMT17, roots['msmt17'], 'train', merge_val=False)
    assert len(set(train.pids)) == len(set(without_val.pids)) == 3
    assert len(train) == len(without_val) + 3
    test = read(MSMT17, roots['msmt17'], 'test')
    assert len(set(test.pids)) == 2
    assert_each_query_has_a_match_in_another_camera(test)


def test_both_releases_of_msmt17_hold_the_same_images(roots, tmp_path):
    plan = MSMT17Plan(3, 2, camera_fraction=0.3, release='V2')
    write_dataset(tmp_path / 'v2', plan.make_world(**SMALL), plan)
    second = {path.name: path.read_bytes() for path in (tmp_path / 'v2' / 'mask_test_v2').rglob('*.jpg')}
    assert second == {path.name: path.read_bytes() for path in (roots['msmt17'] / 'test').rglob('*.jpg')}
    assert read(MSMT17, tmp_path / 'v2', 'test').variant == 'V2'


def test_cuhk03np_shows_the_same_images_with_both_boxes(roots):
    pixels = {}
    for variant in ('detected', 'labeled'):
        assert len(read(CUHK03NP, roots['cuhk03np'], 'train', variant=variant)) == 3 * 2 * 3
        test = read(CUHK03NP, roots['cuhk03np'], 'test', variant=variant)
        assert Counter(test.splits) == {'query': 4, 'gallery': 8}
        paths = sorted(test.get_data_info(i)['img_path'] for i in range(len(test)))
        pixels[variant] = [cv2.imread(path).astype(int) for path in paths]
    same = [np.abs(np.subtract(*pair)).mean() for pair in zip(pixels['detected'], pixels['labeled'], strict=True)]
    others = [np.abs(pixels['detected'][0] - image).mean() for image in pixels['labeled'][4:]]
    assert min(same) > 0 and np.mean(same) < 0.7 * np.mean(others)


def test_perfect_boxes_make_both_variants_of_cuhk03np_equal(tmp_path):
    root = make('cuhk03np', tmp_path / 'out', crop_jitter=0.0)
    for path in (root / 'detected').rglob('*.png'):
        assert path.read_bytes() == (root / 'labeled' / path.relative_to(root / 'detected')).read_bytes()


def test_sysu_is_read(roots):
    train = read(SYSUMM01, roots['sysu'], 'train')
    assert len(set(train.pids)) == 5 and len(set(read(SYSUMM01, roots['sysu'], 'train', merge_val=False).pids)) == 3
    assert {(camid + 1) for camid in train.camids[train.modalities == 'infrared']} <= {3, 6}
    test = read(SYSUMM01, roots['sysu'], 'test')
    query, gallery = test.splits == 'query', test.splits == 'gallery'
    for pid in set(test.pids):
        # At least one infrared camera, and two visible ones: cameras 2 and 3 hang at the same place.
        assert len(set(test.camids[query & (test.pids == pid)])) >= 1
        assert len(set(test.camids[gallery & (test.pids == pid)])) >= 2
    available = (roots['sysu'] / 'exp' / 'available_id.txt').read_text()
    assert available.count('\n') == 1 and len(available.split(',')) == 8


def test_only_the_infrared_cameras_are_gray(roots):
    for path in roots['sysu'].glob('cam*/*/*.jpg'):
        spread = np.ptp(cv2.imread(str(path)).astype(int), axis=2).mean()
        assert (spread < 2) == (path.parts[-3] in ('cam3', 'cam6')), path


def test_enough_images_for_ten_shots(tmp_path):
    plan = SYSUPlan(1, 1, 1)
    files = Counter(job.path.rpartition('/')[0] for job in plan.jobs(plan.make_world(**SMALL)))
    assert len(files) == 3 * 6 and set(files.values()) == {10}


def test_regdb_is_read(roots):
    halves = set()
    for trial in (1, 2, 3, 10):
        train = read(RegDB, roots['regdb'], 'train', trial=trial)
        test = read(RegDB, roots['regdb'], 'test', trial=trial)
        assert Counter(train.modalities) == {'visible': 12, 'infrared': 12}
        assert Counter(test.splits) == {'query': 12, 'gallery': 12}
        halves.add(tuple(sorted({Path(train.get_data_info(i)['img_path']).parent.name for i in range(len(train))})))
    assert len(halves) > 1


@pytest.mark.parametrize('fraction', [0.0, 0.3, 1.0])
@pytest.mark.parametrize('ids', [4, 5, 6, 7, 40])
def test_halves_of_regdb_never_cut_a_cluster(ids, fraction):
    world = RegDBPlan().make_world(**SMALL, cluster_fraction=fraction)
    for trial in range(1, 11):
        train, test = divide(world, ids, trial)
        assert sorted(train + test) == list(range(1, ids + 1))
        assert ids // 2 - 2 <= len(train) <= ids // 2 and train
        assert not {twin for pid in train for twin in world.people.cluster_of(pid)} & set(test)


def test_llcm_is_read(roots):
    train = read(LLCM, roots['llcm'], 'train')
    assert sorted(set(train.pids)) == [0, 1, 2]
    for direction, modality in (('i2v', 'infrared'), ('v2i', 'visible')):
        test = read(LLCM, roots['llcm'], 'test', direction=direction)
        assert set(test.modalities[test.splits == 'query']) == {modality}
        assert_each_query_has_a_match_in_another_camera(test)


def test_randperson_is_read(roots):
    train = read(RandPerson, roots['randperson'], 'train')
    assert sorted(set(train.pids)) == [0, 1, 2, 3]
    assert min(len(set(train.camids[train.pids == pid])) for pid in range(4)) >= 2


def assert_each_query_has_a_match_in_another_camera(test):
    gallery = test.splits == 'gallery'
    for pid, camid in zip(test.pids[test.splits == 'query'], test.camids[test.splits == 'query'], strict=True):
        assert (gallery & (test.pids == pid) & (test.camids != camid)).any(), (pid, camid)


def test_one_layout_may_replace_another(roots, tmp_path):
    root = make('regdb', tmp_path / 'out')
    write_dataset(root, PLANS['sysu'].make_world(**SMALL), PLANS['sysu'], force=True)
    assert sorted(path.name for path in root.iterdir()) == sorted(path.name for path in roots['sysu'].iterdir())


# ------------------------------------------------------------------------------------------------------ plans and CLI


def test_camera_fraction_is_kept_on_average():
    world = RandPersonPlan().make_world(**SMALL)
    counts = [len(seen_by(world, pid, 0.25, (range(19), 2))) for pid in range(1, 400)]
    assert min(counts) == 2 and 4.2 < np.mean(counts) < 5.4
    assert seen_by(world, 1, 1.0, ((0, 3), 1), ((5, 7), 1)) == [0, 3, 5, 7]


@pytest.mark.parametrize(
    'plan, kwargs, message',
    [
        (RegDBPlan, dict(ids=3), '^ids is 3'),
        (SYSUPlan, dict(val_ids=0), 'val_ids is 0'),
        (MSMT17Plan, dict(release='V3'), "MSMT17 .*'V3'"),
        (LLCMPlan, dict(camera_fraction=0.0), 'camera_fraction .* 0.0'),
        (CUHK03NPPlan, dict(images_per_camera=1), 'images_per_camera is 1'),
    ],
)
def test_wrong_sizes_are_named(plan, kwargs, message):
    with pytest.raises(ValueError, match=message):
        plan(**kwargs)


def test_worlds_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'sysu' .* 5 .* 6"):
        SYSUPlan().make_world(cameras=5)
    with pytest.raises(ValueError, match=r"infrared .*'market1501' .*\(\), .*\(1,\)"):
        write_dataset(tmp_path / 'out', MarketPlan().make_world(infrared=(1,)), MarketPlan(1, 1))
    assert not list(tmp_path.iterdir())


def test_cameras_that_see_nobody_are_refused(tmp_path):
    plan = LLCMPlan(3, 1, camera_fraction=0.1)
    with pytest.raises(
        ValueError,
        match=r'test_vis/cam1 .*test_ids \(now 1\) .*camera_fraction \(now 0.1\)',
    ):
        write_dataset(tmp_path / 'out', plan.make_world(**SMALL), plan)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope='module')
def command():
    path = ROOT / 'tools' / 'dataset_converters' / 'make_procedural.py'
    spec = importlib.util.spec_from_file_location('make_procedural', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.mark.parametrize('layout', LAYOUTS)
def test_command_line_makes_every_layout(command, layout, tmp_path, capsys):
    sizes = ['--ids', '4'] if layout == 'regdb' else ['--train-ids', '1']
    sizes += [] if layout in ('regdb', 'randperson') else ['--test-ids', '1']
    sizes += {'sysu': ['--val-ids', '1'], 'llcm': ['--camera-fraction', '1']}.get(layout, [])
    sheet = tmp_path / 'sheet.jpg'
    args = [str(tmp_path / 'out'), '--layout', layout, *sizes, '--images-per-camera', '2', '--size', '32', '16']
    assert command([*args, '--contact-sheet', str(sheet)]) == 0
    assert sheet.stat().st_size > 500
    assert 'world.json' not in capsys.readouterr().out
    assert command(args) == 0
    assert 'is done' in capsys.readouterr().out


@pytest.mark.parametrize(
    'args, message',
    [
        (['--layout', 'sysu', '--junk', '3'], "layout 'sysu' has no --junk; it has --train-ids, --val-ids"),
        (['--layout', 'cuhk03np', '--cameras', '3'], "'cuhk03np' cannot hold 3 cameras; use 2"),
        (['--layout', 'msmt17', '--release', 'v2'], "no release 'v2'"),
        (['--ids', '3'], "'market1501' has no --ids"),
        (['--seed', '-1'], 'seed is -1, but must be 0 or more'),
    ],
)
def test_command_line_refuses_what_a_layout_does_not_have(command, args, message, tmp_path, capsys):
    assert command([str(tmp_path / 'out'), *args]) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ') and message in error
    assert not list(tmp_path.iterdir())
