# Copyright (c) mmreid contributors. All rights reserved.
"""Everything that an image can be given as."""

import cv2
import numpy as np
import pytest
from PIL import Image
from tiny_data import write_image

from mmreid.apis.inputs import NamedImage, boxes_of, named_images
from mmreid.datasets.transforms.loading import MAX_PIXELS


def read(inputs, channel_order=None):
    return [(image.name, image.read()) for image in named_images(inputs, channel_order, MAX_PIXELS)]


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(['b.png', 'a.png', 'sub/d.png', 'sub/deep/c.png', '.hidden.png', '__MACOSX/x.png']):
        write_image(tmp_path / name, seed)
    (tmp_path / 'notes.txt').write_text('no image')
    return tmp_path


def names(found, folder):
    return [name.removeprefix(f'{folder}/') for name, _ in found]


def test_files_folders_and_globs(folder):
    assert names(read(folder), folder) == ['a.png', 'b.png', 'sub/d.png', 'sub/deep/c.png']
    assert names(read(f'{folder}/*.png'), folder) == ['a.png', 'b.png']
    assert sorted(names(read(f'{folder}/**/*.png'), folder)) == [
        '__MACOSX/x.png',
        'a.png',
        'b.png',
        'sub/d.png',
        'sub/deep/c.png',
    ]
    assert names(read([folder / 'sub', f'{folder}/a.png']), folder) == ['sub/d.png', 'sub/deep/c.png', 'a.png']
    assert names(read(path for path in [folder / 'b.png']), folder) == ['b.png']


def test_a_folder_that_links_to_itself_is_read_once(folder):
    (folder / 'sub' / 'loop').symlink_to(folder, target_is_directory=True)
    assert len(read(folder)) == 4


def test_a_file_whose_name_looks_like_a_glob(tmp_path):
    write_image(tmp_path / 'a[1].png')
    assert len(read(str(tmp_path / 'a[1].png'))) == 1


def test_arrays_and_pil_images_give_the_pixels_of_the_file(folder):
    pixels = cv2.imread(str(folder / 'a.png'))
    forms = [
        (folder / 'a.png', None), (pixels, 'bgr'), (pixels[..., ::-1], 'rgb'), (pixels[None], 'bgr'),
        (Image.open(folder / 'a.png'), None), ([Image.open(folder / 'a.png')], 'rgb'),
    ]  # fmt: skip
    for form, order in forms:
        ((_, found),) = read(form, order)
        np.testing.assert_array_equal(found, pixels)
    assert [name for name, _ in read([pixels, np.stack([pixels] * 2), pixels], 'bgr')] == [
        f'image {index}' for index in range(4)
    ]


def test_gray_deep_and_turned_images(tmp_path):
    gray = np.arange(12, dtype=np.uint8).reshape(4, 3)
    ((_, found),) = read(gray)
    np.testing.assert_array_equal(found, np.stack([gray] * 3, axis=2))
    deep = (gray.astype(np.uint16) * 5000 + 7).clip(0, 60000)
    Image.fromarray(deep).save(tmp_path / 'deep.png')
    ((_, of_file),) = read(tmp_path / 'deep.png')
    with Image.open(tmp_path / 'deep.png') as image:
        ((_, found),) = read(image)
    np.testing.assert_array_equal(found, of_file)
    assert len(np.unique(found)) > 9
    with pytest.raises(TypeError, match="'F'"):
        read(Image.fromarray(gray.astype(np.float32)))
    turned = Image.fromarray(gray)
    turned.getexif()[0x0112] = 6
    ((_, found),) = read(turned)
    assert found.shape == (3, 4, 3)


@pytest.mark.parametrize(
    ('array', 'order', 'named'),
    [
        (np.zeros((4, 3, 3), np.uint8), None, 'channel_order'),
        (np.zeros((4, 3, 3), np.float32), 'bgr', 'float32'),
        (np.zeros((4, 3, 4), np.uint8), 'bgr', r'\(4, 3, 4\)'),
        (np.zeros((3, 4, 5), np.uint8), 'bgr', r'\(3, 4, 5\)'),
        (np.zeros((0, 3, 3), np.uint8), 'bgr', r'\(0, 3, 3\)'),
        (np.zeros(5, np.uint8), 'bgr', r'\(5,\)'),
        (np.zeros((4, 3, 3), np.uint8), 'bgra', 'bgra'),
    ],
)
def test_arrays_that_are_no_images(array, order, named):
    with pytest.raises(ValueError, match=named):
        read(array, order)


@pytest.mark.parametrize(('inputs', 'kind'), [(7, 'int'), ([None], 'NoneType'), ([b'x'], 'bytes')])
def test_other_objects_are_refused(inputs, kind):
    with pytest.raises(TypeError, match=kind):
        read(inputs)


def test_nothing_to_read(tmp_path):
    (tmp_path / 'x.txt').write_text('x')
    for inputs in (tmp_path, f'{tmp_path}/*.jpg', f'{tmp_path}/x*'):
        with pytest.raises(ValueError, match=str(tmp_path)):
            read(inputs)
    with pytest.raises(ValueError):
        read([])


FRAME = NamedImage('frame', lambda: np.arange(10 * 20 * 3, dtype=np.uint8).reshape(10, 20, 3))


def test_boxes_are_cut_and_clipped():
    whole = FRAME.read()
    crops = boxes_of(FRAME, [[2, 1, 5, 9, 0.9], [-3.5, -1, 4.2, 30, 0.5], [0, 0, 20, 10, 1]])
    assert [crop.name for crop in crops] == ['box 0', 'box 1', 'box 2']
    for crop, wanted in zip(crops, [whole[1:9, 2:5], whole[0:10, 0:5], whole], strict=True):
        np.testing.assert_array_equal(crop.read(), wanted)
    assert boxes_of(FRAME, np.zeros((0, 4))) == boxes_of(FRAME, []) == []


@pytest.mark.parametrize(
    'box', [(20, 0, 25, 5), (-5, 0, 0, 5), (3, 10, 5, 12), (5, 5, 5, 8), (8, 1, 2, 3), (0, 0, float('nan'), 4)], ids=str
)
def test_boxes_without_pixels(box):
    with pytest.raises(ValueError, match=r'box 1 \(.*20 x 10|box 1 \(.*left < right'):
        boxes_of(FRAME, [(0, 0, 5, 5), box])


@pytest.mark.parametrize('boxes', [[1, 2, 3, 4], [[1, 2, 3]]], ids=str)
def test_boxes_of_another_shape(boxes):
    with pytest.raises(ValueError, match='boxes'):
        boxes_of(FRAME, boxes)
