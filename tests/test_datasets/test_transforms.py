# Copyright (c) mmreid contributors. All rights reserved.
import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from tiny_data import write_image

from mmreid.datasets.transforms import CorruptImageError, LoadReIDImage, PackReIDInputs
from mmreid.datasets.transforms.loading import read_image

RECORD = dict(pid=3, camid=1, split='train', modality=None, domain=0, timestamp=None, sample_idx=5, gt_label=2)


def test_colours_are_kept_whatever_the_mode(tmp_path):
    red = Image.new('RGB', (32, 64), (200, 30, 40))
    red.save(tmp_path / 'rgb.png')
    red.convert('RGBA').save(tmp_path / 'rgba.png')
    red.convert('CMYK').save(tmp_path / 'cmyk.jpg', quality=100)
    for name in ('rgb.png', 'rgba.png', 'cmyk.jpg'):
        np.testing.assert_allclose(read_image(tmp_path / name)[32, 16], (40, 30, 200), atol=6, err_msg=name)


def test_gray_and_16_bit_become_three_channels_of_8_bits(tmp_path):
    cv2.imwrite(str(tmp_path / 'gray.png'), np.full((8, 4), 100, np.uint8))
    cv2.imwrite(str(tmp_path / 'deep.png'), np.full((8, 4, 3), 100 * 257, np.uint16))
    for name in ('gray.png', 'deep.png'):
        image = read_image(tmp_path / name)
        assert image.shape == (8, 4, 3) and image.dtype == np.uint8
        np.testing.assert_allclose(image, 100, atol=1)


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # rotate by 90 degrees
    Image.new('RGB', (20, 10)).save(tmp_path / 'turned.jpg', exif=exif)
    assert read_image(tmp_path / 'turned.jpg').shape == (20, 10, 3)


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize('share', [0.3, 0.6, 0.95])
def test_truncated_files_are_refused(tmp_path, suffix, share):
    path = write_image(tmp_path / f'x{suffix}', size=(256, 128))
    data = path.read_bytes()
    assert read_image(path).shape == (256, 128, 3)
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CorruptImageError, match=f'x{suffix}.*ends early'):
        read_image(path)


def test_missing_empty_and_text_files_are_named(tmp_path):
    with pytest.raises(CorruptImageError, match='none.jpg cannot be read .No such file'):
        read_image(tmp_path / 'none.jpg')
    for data, message in ((b'', 'is empty'), (b'hello', 'is not an image')):
        (tmp_path / 'x.jpg').write_bytes(data)
        with pytest.raises(CorruptImageError, match=f'x.jpg .{len(data)} bytes. {message}'):
            LoadReIDImage()(dict(img_path=str(tmp_path / 'x.jpg')))


def test_pack():
    packed = PackReIDInputs()(dict(RECORD, img=np.zeros((8, 4, 3), np.uint8), img_path='a.jpg', noise=1))
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, 8, 4) and packed['inputs'].dtype == torch.uint8
    assert (sample.pid, sample.camid, sample.sample_idx, sample.gt_label.tolist()) == (3, 1, 5, [2])
    assert 'noise' not in sample


def test_pack_names_what_is_missing():
    record = dict(RECORD, img=np.zeros((8, 4, 3), np.uint8), img_path='a.jpg')
    del record['camid']
    with pytest.raises(KeyError, match=r"misses \['camid'\] for a.jpg"):
        PackReIDInputs()(record)
    with pytest.raises(KeyError, match='memory_index'):
        PackReIDInputs(algorithm_keys=['memory_index'])(dict(record, camid=0))
