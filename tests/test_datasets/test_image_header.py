# Copyright (c) mmreid contributors. All rights reserved.
"""Small files that are huge images."""

import struct
import tracemalloc
import zlib
from contextlib import nullcontext
from io import BytesIO

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope
from PIL import Image
from tiny_data import write_image

from mmreid.datasets.preparation.checking import read_all
from mmreid.datasets.transforms import CorruptImageError, LoadCamStyleImage, LoadColorStyleImage, LoadReIDImage
from mmreid.datasets.transforms.image_header import size_in_header
from mmreid.datasets.transforms.loading import MAX_PIXELS, max_pixels_of, read_image
from mmreid.registry import TRANSFORMS
from mmreid.visualization import RankedImage, draw_rank_list

PEOPLE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (37, 21, 3), dtype=np.uint8))


def encode(image, kind, **options):
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_bomb(width, height):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = bytes(3 * width + 1)
    pixels = b''.join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', pixels) + chunk(b'IEND', b'')


@pytest.mark.filterwarnings('ignore::UserWarning')  # of Pillow, about garbled files
@pytest.mark.parametrize(
    'data',
    [
        encode(PEOPLE, 'png'),
        encode(PEOPLE, 'jpeg'),
        encode(PEOPLE, 'jpeg', progressive=True, exif=b'Exif\0\0' + bytes(300), comment=b'\xff\xc0\0\x11\x08\xff\xff'),
        encode(PEOPLE.convert('L'), 'jpeg'),
        encode(PEOPLE, 'bmp'),
        encode(PEOPLE, 'tiff'),
        encode(PEOPLE, 'tiff', big_tiff=True),
        cv2.imencode('.tif', np.zeros((37, 21, 3), np.uint16))[1].tobytes(),  # which Pillow cannot open
        encode(PEOPLE, 'webp'),
        encode(PEOPLE.convert('P'), 'gif'),
        encode(PEOPLE, 'ppm'),
    ],
)
def test_reads_the_size_of_every_kind(data):
    assert size_in_header(data) == (21, 37)
    for end in (0, 1, 2, 3, 5, 9, 15, 17, 20, 25, 40, 120):
        assert size_in_header(data[:end]) in (None, (21, 37))
    rng = np.random.default_rng(0)
    for _ in range(200):  # garbled, never an error of another kind
        garbled = bytearray(data)
        garbled[rng.integers(2, len(data))] = rng.integers(256)
        size_in_header(bytes(garbled))


def test_a_top_down_bitmap_and_one_of_os_2():
    data = bytearray(encode(PEOPLE, 'bmp'))
    data[22:26] = struct.pack('<i', -37)
    assert size_in_header(bytes(data)) == (21, 37)
    assert size_in_header(b'BM' + bytes(12) + struct.pack('<IHH', 12, 21, 37)) == (21, 37)


def test_tiles_larger_than_their_image_count():
    tags = [(256, 4, 9), (257, 3, 8), (322, 4, 70_000), (323, 4, 60_000)]
    entries = b''.join(struct.pack('<HHII', tag, kind, 1, value) for tag, kind, value in tags)
    assert size_in_header(b'II*\0' + struct.pack('<IH', 8, len(tags)) + entries) == (70_000, 60_000)


def test_a_bomb_is_not_decoded(tmp_path):
    path = tmp_path / 'bomb.png'
    path.write_bytes(png_bomb(9000, 8000))
    assert path.stat().st_size < 300_000
    tracemalloc.start()  # NumPy reports its memory, and the image would be an array
    for max_pixels in (MAX_PIXELS, 71_999_999):
        with pytest.raises(CorruptImageError, match=f'bomb.png .*9000 x 8000 .*max_pixels={max_pixels} '):
            read_image(path, max_pixels)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    sizes, faults, _ = read_all([str(path)], 1)
    assert not sizes.any() and '9000 x 8000' in faults[str(path)]
    with pytest.raises(CorruptImageError, match='9000 x 8000'):
        draw_rank_list([RankedImage(str(path), ('', ''))])


def test_every_way_of_loading_has_the_limit_as_an_option(tmp_path):
    folder = tmp_path / 'train'
    record = dict(img_path=str(write_image(folder / 'a.png')), camid=0)
    other = dict(img_path=str(write_image(folder / 'b.png')), camid=1)
    for name in ('a_fake_2', 'b_fake_1'):
        write_image(tmp_path / f'train_camstyle/{name}.png')
    for kind in (LoadReIDImage, LoadCamStyleImage, LoadColorStyleImage):
        for limit in (None, 64 * 32, 64 * 32 - 1):
            with DefaultScope.overwrite_default_scope('mmreid'):
                load = TRANSFORMS.build(dict(type=kind.__name__, max_pixels=limit))
            small = limit == 64 * 32 - 1
            with pytest.raises(CorruptImageError, match='32 x 64') if small else nullcontext():
                if kind is not LoadReIDImage:
                    load.prepare([record, other])
                load(dict(record))
    for wrong in (0, -1, 'many', True):
        with pytest.raises(ValueError, match=f'max_pixels={wrong!r} '):
            LoadReIDImage(max_pixels=wrong)
    assert max_pixels_of([dict(type='LoadReIDImage', max_pixels=5), dict(type='RandomFlip')]) == 5
    assert max_pixels_of([dict(type='LoadReIDImage', max_pixels=None)]) is None
    assert max_pixels_of([]) == MAX_PIXELS
