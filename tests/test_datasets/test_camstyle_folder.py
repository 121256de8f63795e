# Copyright (c) mmreid contributors. All rights reserved.
"""The folder that camera-style images are written to."""

import numpy as np
import pytest

from mmreid.datasets.preparation.camstyle_folder import MARKER, CamStyleFolder, default_folder

RECORDS = [dict(img_path='train/a_c1.jpg', camid=0), dict(img_path='train/b_c3.png', camid=2)]
IMAGE = np.full((8, 4, 3), 99, np.uint8)
FACTS = dict(cameras=[1, 3], weights='abc')


def test_names():
    assert CamStyleFolder('x').name(RECORDS[1], 0) == 'b_c3_fake_1.jpg'
    assert CamStyleFolder('x', pairs=True).name(RECORDS[1], 0) == 'b_c3_fake_3to1.jpg'


def test_knows_what_is_missing(tmp_path):
    folder = CamStyleFolder(tmp_path / 'styles')
    folder.open(FACTS)
    assert folder.missing(RECORDS, [0, 2]) == {0: [2], 1: [0]}
    folder.write(RECORDS[0], 2, IMAGE)
    (tmp_path / 'styles/b_c3_fake_1.jpg.12-ab.mmreid.tmp').write_bytes(b'half an image')
    again = CamStyleFolder(tmp_path / 'styles', own=True)
    again.open(FACTS)
    assert again.missing(RECORDS, [0, 2]) == {0: [0], 1: [0, 2]}
    assert sorted(path.name for path in (tmp_path / 'styles').iterdir()) == ['a_c1_fake_3.jpg', MARKER]


def test_keeps_what_was_made_otherwise(tmp_path):
    CamStyleFolder(tmp_path / 'styles').open(FACTS)
    with pytest.raises(FileExistsError, match='styles .*pairs, weights'):
        CamStyleFolder(tmp_path / 'styles', pairs=True).open(dict(FACTS, weights='def'))
    (tmp_path / 'styles' / MARKER).write_text('{')
    with pytest.raises(FileExistsError, match=f'styles/{MARKER}'):
        CamStyleFolder(tmp_path / 'styles').open(FACTS)
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/mine.jpg').write_bytes(b'')
    with pytest.raises(FileExistsError, match='other .*content .*--out'):
        CamStyleFolder(tmp_path / 'other').open(FACTS)
    with pytest.raises(ValueError, match='quality 0 '):
        CamStyleFolder('x', quality=0)


def test_goes_on_after_a_kill_before_anything_was_whole(tmp_path):
    for name in (f'{MARKER}.12-ab.mmreid.tmp', '.mmreid.lock'):
        (tmp_path / name).write_text('half')
    CamStyleFolder(tmp_path).open(FACTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['.mmreid.lock', MARKER]
    (tmp_path / MARKER).unlink()
    (tmp_path / 'a.jpg.12-ab.mmreid.tmp').write_text('of another tool')
    with pytest.raises(FileExistsError, match=f'{tmp_path} .*content .*--out'):
        CamStyleFolder(tmp_path).open(FACTS)


def test_default_place():
    assert str(default_folder(RECORDS, 'data')) == 'train_camstyle'
    several = [*RECORDS, dict(img_path='train/0001/c.jpg', camid=0)]
    assert default_folder(several, 'data').as_posix() == 'data/bounding_box_train_camstyle'
    with pytest.raises(ValueError, match='train/a_c1.jpg .*train/0002/a_c1.jpg'):
        default_folder([*RECORDS, dict(img_path='train/0002/a_c1.jpg', camid=0)], 'data')
