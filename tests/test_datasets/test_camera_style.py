# Copyright (c) mmreid contributors. All rights reserved.
"""Images in the style of other cameras: which are drawn, and what is said about those that are missing."""

from collections import Counter

import cv2
import numpy as np
import pytest
from tiny_data import write_image, write_market, write_styles

from mmreid.datasets import LoadCamStyleImage, LoadColorStyleImage
from mmreid.datasets.transforms.loading import read_image
from mmreid.registry import DATASETS


@pytest.fixture
def root(tmp_path):
    root = write_market(tmp_path / 'target', num_train=2, num_test=1, cameras=3, images=1)
    write_styles(dict(type='Market1501', data_root=str(root)))
    return root


def styles(root):
    return root / 'bounding_box_train_camstyle'


def prepared(root, transform=LoadCamStyleImage, **kwargs):
    """The transform as it stands behind a source in a training set, and the target records."""
    source = dict(type='Market1501', data_root=str(write_market(root.parent / 'source')), pipeline=[])
    step = transform(**kwargs)
    target = dict(type='Market1501', data_root=str(root), pipeline=[step], name='target')
    dataset = DATASETS.build(dict(type='SourceTargetDataset', datasets=[source, target]))
    records = [dataset.get_data_info(i) for i in range(len(dataset))]
    return step, [record for record in records if 'slot' in record]


@pytest.mark.parametrize('own', [True, False])
def test_cameras_are_drawn_uniformly_and_the_own_one_is_the_real_image(tmp_path, own):
    """Each file is another gray, so the image tells which was drawn; both published forms of the names."""
    root = write_market(tmp_path / 'target', num_train=1, num_test=1, cameras=3, images=1)
    write_styles(dict(type='Market1501', data_root=str(root)), own=own)
    for path in styles(root).iterdir():
        cv2.imwrite(str(path), np.full((8, 4, 3), 80 * int(path.stem[-1]), np.uint8))
    step, records = prepared(root)
    record = records[1]
    np.random.seed(0)
    drawn = Counter()
    for _ in range(600):
        result = step(dict(record))
        gray = int(round(result['img'].mean() / 80)) if result['styled'] else 'real'
        drawn[gray] += 1
    assert set(drawn) == {'real', 1, 3} and min(drawn.values()) > 150  # 200 each, 11 standard deviation
    real = next(result for result in (step(dict(record)) for _ in range(60)) if not result['styled'])
    np.testing.assert_array_equal(real['img'], read_image(record['img_path']))


def test_own_renderings_of_a_generator_are_not_shown(root):
    """Some generators render every camera, the own one too; that stays the real image."""
    for path in styles(root).glob('*_c1s1_*_fake_1to2.jpg'):
        write_image(styles(root) / path.name.replace('1to2', '1to1'))
    step, records = prepared(root)
    assert [name and name[-8:] for name in step._options(records[0])] == [None, '1to2.jpg', '1to3.jpg']


def test_missing_copies_are_counted_before_the_training(root, mmreid_log):
    gone = sorted(styles(root).iterdir())[:3]
    for path in gone:
        path.unlink()
    with pytest.raises(FileNotFoundError, match='2 of 6 .*, 3 .*, 2 .*on_missing='):
        prepared(root)
    step, records = prepared(root, on_missing='real')
    assert '3 copies in all' in mmreid_log.text
    assert step._options(records[0]) == [None, None, None] and not step(dict(records[0]))['styled']


def test_a_folder_that_is_missing_empty_misnamed_or_of_another_set_is_refused(root):
    path = next(styles(root).iterdir())
    with pytest.raises(FileNotFoundError, match='nowhere .*LoadColorStyleImage'):
        prepared(root, folder=str(root / 'nowhere'))
    (root / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='target/empty .*unpacked'):
        prepared(root, folder=str(root / 'empty'))
    wrong = path.rename(path.with_name(path.name.replace('_fake_', '_style_')))
    with pytest.raises(ValueError, match='_style_.*_fake_1to2.jpg'):
        prepared(root)
    wrong.rename(path)
    moved = path.rename(path.with_name(path.name.replace('_fake_1', '_fake_2').replace('_fake_3', '_fake_2')))
    with pytest.raises((ValueError, FileNotFoundError), match='_fake_2to2.jpg .*camera 2, '):
        prepared(root)
    moved.rename(path)
    other = write_market(root.parent / 'other', num_train=9, cameras=1)
    for image in (other / 'bounding_box_train').iterdir():
        image.rename(root / 'empty' / f'{image.stem}x_fake_1to2.jpg')
    with pytest.raises(ValueError, match='target/empty .* 6 '):
        prepared(root, folder=str(root / 'empty'))


def test_a_target_without_cameras_shows_real_images_and_all_styles(tmp_path):
    root = write_market(tmp_path / 'target', num_train=2, num_test=1, cameras=1, images=2)
    for image in (root / 'bounding_box_train').iterdir():
        for style in (1, 2):
            write_image(styles(root) / f'{image.stem}_fake_{style}.jpg')
    step, records = prepared(root)
    assert [name and name[-5:] for name in step._options(records[0])] == [None, '1.jpg', '2.jpg']
    for path in styles(root).glob('*_fake_2.jpg'):
        path.unlink()
        write_image(path.with_name(path.name.replace('_2.jpg', '_3.jpg')))
    for path in styles(root).glob('0002_*_fake_3.jpg'):
        path.rename(path.with_name(path.name.replace('_3.jpg', '_2.jpg')))
    step, records = prepared(root)  # of styles 1 to 3 each image lacks one, which is that of its own camera
    assert [name and name[-5:] for name in step._options(records[0])] == [None, '1.jpg', '2.jpg']
    next(styles(root).glob('*_fake_1.jpg')).unlink()
    with pytest.raises(FileNotFoundError, match='1 of 4 .*, 2 .*on_missing='):
        prepared(root)
    with pytest.raises(ValueError, match=' 4 target .*LoadReIDImage'):
        prepared(root, LoadColorStyleImage)


def test_color_statistics_move_from_camera_to_camera(root, mmreid_log):
    """Camera 0 is dark and red, camera 1 bright; after the transfer an image has the mean color of the other."""
    for path in (root / 'bounding_box_train').iterdir():
        camera = int(path.name[6])
        noise = np.random.default_rng(camera).normal(0, 10, (32, 16, 3))
        base = {1: (20, 20, 90), 2: (200, 190, 180), 3: (90, 140, 60)}[camera]
        cv2.imwrite(str(path), np.clip(np.array(base) + noise, 0, 255).astype(np.uint8))
    step, records = prepared(root, LoadColorStyleImage)
    assert 'this is not the camera style of the published results' in mmreid_log.text
    np.random.seed(0)
    seen = {}
    for _ in range(60):
        result = step(dict(records[0]))
        seen[tuple((result['img'].mean((0, 1)) / 10).round().astype(int))] = result['styled']
    assert sorted(seen.values()) == [False, True, True]
    for color, styled in seen.items():
        nearest = min(
            [(20, 20, 90), (200, 190, 180), (90, 140, 60)], key=lambda c: np.abs(np.array(c) / 10 - color).sum()
        )
        assert np.abs(np.array(nearest) / 10 - color).max() < 3
        assert styled == (nearest != (20, 20, 90))


def test_alone_in_a_pipeline_it_says_what_is_missing(root):
    record = dict(img_path=str(next((root / 'bounding_box_train').iterdir())), camid=0)
    for transform in (LoadCamStyleImage(), LoadColorStyleImage()):
        with pytest.raises(RuntimeError, match=r'SourceTargetDataset.*prepare\(\)'):
            transform(dict(record))
    with pytest.raises(ValueError, match="on_missing='skip'"):
        LoadCamStyleImage(on_missing='skip')
