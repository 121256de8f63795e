# Copyright (c) mmreid contributors. All rights reserved.
import io

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import RandomFlip as MMCVRandomFlip
from mmengine.utils import digit_version
from PIL import Image, ImageOps
from tiny_data import write_image

from mmreid.datasets.transforms import CorruptImageError, LoadReIDImage, PackReIDInputs, RandomFlip
from mmreid.datasets.transforms.loading import read_image
from mmreid.registry import TRANSFORMS

RECORD = dict(pid=3, camid=1, split='train', modality=None, domain=0, timestamp=None, sample_idx=5, gt_label=2)


# Colors that change along both axes, so that a swap of channels, a turn or a wrap shows.
ROWS, COLS = np.mgrid[0:48, 0:32]
PEOPLE = Image.fromarray(np.stack([COLS * 8, ROWS * 5, COLS * 4 + ROWS * 2], axis=-1).astype(np.uint8))
ALPHA = Image.fromarray((255 - COLS * 8).astype(np.uint8))
WITH_ALPHA = Image.merge('RGBA', (*PEOPLE.split(), ALPHA))
MODES = {
    'rgb.jpg': (PEOPLE, {}),
    'progressive.jpg': (PEOPLE, dict(progressive=True)),
    'rgb.png': (PEOPLE, {}),
    'rgb.bmp': (PEOPLE, {}),
    'rgb.webp': (PEOPLE, {}),
    'rgb.tif': (PEOPLE, dict(compression='tiff_lzw')),
    'gray.png': (PEOPLE.convert('L'), {}),
    'gray.jpg': (PEOPLE.convert('L'), {}),
    'bilevel.png': (PEOPLE.convert('1'), {}),
    'gray_alpha.png': (Image.merge('LA', (PEOPLE.convert('L'), ALPHA)), {}),
    'rgba.png': (WITH_ALPHA, {}),
    'rgba.webp': (WITH_ALPHA, dict(lossless=True, exact=True)),
    'rgba.tif': (WITH_ALPHA, {}),
    'rgba_turned.tif': (WITH_ALPHA, dict(exif={274: 6})),
    'palette.png': (PEOPLE.quantize(64), {}),
    'palette_4_bits.png': (PEOPLE.quantize(16), dict(bits=4)),
    'palette_transparent.png': (PEOPLE.quantize(64), dict(transparency=3)),
    'palette.gif': (PEOPLE.quantize(64), {}),
    'cmyk.jpg': (PEOPLE.convert('CMYK'), dict(quality=95)),  # Pillow writes Adobe's inverted form
    'cmyk.tif': (PEOPLE.convert('CMYK'), {}),
    **{f'exif{turn}.jpg': (PEOPLE, dict(exif={274: turn})) for turn in range(2, 9)},
    'exif6.png': (PEOPLE, dict(exif={274: 6})),
    'exif8.webp': (PEOPLE, dict(exif={274: 8})),
}


# What older OpenCV cannot: read a GIF, turn a WebP by its EXIF tag (4.12 does not, 4.14 does).
NEEDED = {'palette.gif': '4.12', 'exif8.webp': '4.13'}


@pytest.mark.parametrize('name', MODES)
def test_files_of_any_mode_look_as_in_pillow(tmp_path, name):
    if digit_version(cv2.__version__) < digit_version(NEEDED.get(name, '4')):
        pytest.skip(f'{name} needs OpenCV {NEEDED[name]}')
    image, options = MODES[name]
    if 'exif' in options:
        exif = Image.Exif()
        exif.update(options['exif'])
        options = dict(exif=exif)
    image.save(tmp_path / name, **options)
    # From memory, as Pillow garbles a turned RGBA TIFF that it maps from a file.
    saved = Image.open(io.BytesIO((tmp_path / name).read_bytes()))
    expected = ImageOps.exif_transpose(saved).convert('RGBA').convert('RGB')
    loaded = read_image(tmp_path / name)
    assert loaded.dtype == np.uint8 and loaded.flags.c_contiguous
    # 2 levels: CMYK is rounded differently. Everything else is equal here; other JPEG decoders may differ by 1.
    np.testing.assert_allclose(loaded[..., ::-1].astype(int), np.asarray(expected), atol=2)


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('mode', ['gray', 'rgb', 'rgba', 'dark'])
def test_16_bits_are_scaled(tmp_path, mode, suffix):
    deep = np.stack([ROWS * 1394, COLS * 2114, 65535 - ROWS * 1394], axis=-1).astype(np.uint16)  # B G R, 0..65535
    deep = dict(gray=deep[..., 0], rgb=deep, rgba=np.dstack([deep, deep[..., :1]]), dark=deep // 16)[mode]
    if mode == 'gray':
        Image.fromarray(deep).save(tmp_path / f'x{suffix}')
    else:  # Pillow has no RGB of 16 bits
        (tmp_path / f'x{suffix}').write_bytes(cv2.imencode(suffix, deep)[1].tobytes())
    expected = np.broadcast_to((deep / 257).reshape(48, 32, -1)[..., :3], (48, 32, 3))
    loaded = read_image(tmp_path / f'x{suffix}')
    assert loaded.dtype == np.uint8
    np.testing.assert_allclose(loaded, expected, atol=1)  # rounded or cut off, but neither clipped nor wrapped


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize('share', [0.3, 0.6, 0.95])
def test_truncated_files_are_refused(tmp_path, suffix, share):
    path = write_image(tmp_path / f'x{suffix}', size=(256, 128))
    data = path.read_bytes()
    assert read_image(path).shape == (256, 128, 3)
    path.write_bytes(data + bytes(2 * len(data) // 3))
    assert read_image(path).shape == (256, 128, 3)  # what follows the end does no harm
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CorruptImageError, match=f'x{suffix} .*early'):
        read_image(path)


@pytest.mark.parametrize('name', ['rgb.webp', 'rgb.bmp', 'rgb.tif', 'palette.gif', 'rgba.tif'])
@pytest.mark.parametrize('share', [0.3, 0.95])
def test_truncated_files_of_other_formats_are_refused(tmp_path, name, share):
    MODES[name][0].save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CorruptImageError, match=f'{name} .*bytes'):
        read_image(tmp_path / name)


def test_a_header_with_too_many_pixels_is_refused(tmp_path):
    PEOPLE.save(tmp_path / 'x.bmp')
    data = bytearray((tmp_path / 'x.bmp').read_bytes())
    data[18:26] = (60000).to_bytes(4, 'little') * 2  # width and height
    (tmp_path / 'x.bmp').write_bytes(data)
    with pytest.raises(CorruptImageError, match='x.bmp .*OpenCV'):
        read_image(tmp_path / 'x.bmp', max_pixels=None)
    with pytest.raises(CorruptImageError, match='x.bmp .*60000 x 60000 .*max_pixels=64000000'):
        read_image(tmp_path / 'x.bmp')


def test_missing_empty_and_text_files_are_named(tmp_path):
    with pytest.raises(CorruptImageError, match='none.jpg .*No such file'):
        read_image(tmp_path / 'none.jpg')
    for data, message in ((b'', 'empty'), (b'hello', 'kind')):
        (tmp_path / 'x.jpg').write_bytes(data)
        with pytest.raises(CorruptImageError, match=f'x.jpg .{len(data)} bytes. .*{message}'):
            LoadReIDImage()(dict(img_path=str(tmp_path / 'x.jpg')))


@pytest.mark.parametrize('direction, prob', [('horizontal', 0.3), ('vertical', 0.9), (['horizontal', 'diagonal'], 0.7)])
def test_flip_draws_and_shows_what_mmcv_would(direction, prob):
    img = np.asarray(PEOPLE)
    ours, theirs = (flip(prob=prob, direction=direction) for flip in (RandomFlip, MMCVRandomFlip))
    pairs = []
    for flip in (ours, theirs):
        np.random.seed(0)
        pairs.append([flip(dict(img=img)) for _ in range(40)])
    assert {result['flip'] for result in pairs[0]} == {True, False}
    for own, other in zip(*pairs, strict=True):
        assert own.keys() == other.keys() and own['flip_direction'] == other['flip_direction']
        np.testing.assert_array_equal(own['img'], other['img'])
        assert own['img'].flags.c_contiguous


def test_configs_get_our_flip():
    assert type(TRANSFORMS.build(dict(type='RandomFlip', prob=0.5))) is RandomFlip


def test_pack():
    packed = PackReIDInputs()(dict(RECORD, img=np.zeros((8, 4, 3), np.uint8), img_path='a.jpg', noise=1))
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, 8, 4) and packed['inputs'].dtype == torch.uint8
    assert (sample.pid, sample.camid, sample.sample_idx, sample.gt_label.tolist()) == (3, 1, 5, [2])
    assert 'noise' not in sample


def test_pack_names_what_is_missing():
    record = dict(RECORD, img=np.zeros((8, 4, 3), np.uint8), img_path='a.jpg')
    del record['camid']
    with pytest.raises(KeyError, match=r"\['camid'\] .*a.jpg"):
        PackReIDInputs()(record)
    with pytest.raises(KeyError, match='memory_index'):
        PackReIDInputs(algorithm_keys=['memory_index'])(dict(record, camid=0))
