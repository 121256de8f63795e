# Copyright (c) mmreid contributors. All rights reserved.
"""Transforms of the official recipes: against recorded outputs, Pillow, and obvious slow versions."""

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmreid.datasets.transforms import RedrawnErasing, UprightCrop
from mmreid.registry import TRANSFORMS
from mmreid.utils.config import load_config

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / 'tests/data/golden/09_random_erasing.npz'
MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])  # of the shipped models, R G B
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (90, 40, 3), dtype=np.uint8)


def step_of(config, kind, section='train_dataloader', domain=0):
    """The transform of a type in a shipped config."""
    dataset = load_config(str(ROOT / 'configs' / config))[section].dataset
    pipeline = dataset.datasets[domain].pipeline if 'datasets' in dataset else dataset.pipeline
    return next(step for step in pipeline if step.type == kind)


def test_the_rectangles_of_the_official_erasing_are_drawn_number_for_number():
    golden = np.load(GOLDEN)
    random.seed(int(golden['seed']))
    erase = RedrawnErasing()
    for before, after in zip(golden['images'], golden['output'], strict=True):
        changed = erase(dict(img=np.zeros((24, 12, 3), np.uint8)))['img'].any(-1)
        np.testing.assert_array_equal(changed, (before != after).any(0))
        assert np.allclose(after[:, changed].T, [0.485, 0.456, 0.406])


def test_what_is_filled_is_the_official_color_after_normalization_up_to_rounding():
    blank = np.zeros((24, 12, 3), np.uint8)
    random.seed(0)
    img = RedrawnErasing(erase_prob=1.0)(dict(img=blank))['img']
    assert not blank.any(), 'the image that was given stays'
    (color,) = np.unique(img[img.any(-1)], axis=0)
    np.testing.assert_allclose((color[::-1] - MEAN) / STD, [0.485, 0.456, 0.406], atol=0.5 / 57)


def by_hand(height, width, area, aspect, may_span):
    """Draws until it fits: top, left, height, width."""
    for _ in range(100):
        pixels = random.uniform(*area) * height * width
        ratio = random.uniform(*aspect)
        h, w = int(round((pixels * ratio) ** 0.5)), int(round((pixels / ratio) ** 0.5))
        if (h <= height and w <= width) if may_span else (h < height and w < width):
            return random.randint(0, height - h), random.randint(0, width - w), h, w
    return None


@pytest.mark.parametrize(
    ('config', 'area', 'aspect', 'may_span'),
    [
        ('cmnas/cmnas-official_resnet50_1xb128-120e_sysu-256x128.py', (0.02, 0.4), (0.3, 1 / 0.3), False),
        ('ecn/ecn-official_resnet50_1xb256-60e_duke2market-256x128.py', (0.02, 0.2), (0.3, 3), True),
    ],
)
def test_erasing_of_the_official_recipes_is_the_slow_version_of_it(config, area, aspect, may_span):
    erase = TRANSFORMS.build(step_of(config, 'RedrawnErasing'))
    erase.erase_prob = 1.0
    heights = []
    for seed in range(200):
        random.seed(seed)
        img = erase(dict(img=np.zeros((48, 12, 3), np.uint8)))['img']
        random.seed(seed)
        random.random()
        top, left, h, w = by_hand(48, 12, area, aspect, may_span)
        expected = np.zeros((48, 12), bool)
        expected[top : top + h, left : left + w] = True
        np.testing.assert_array_equal(img.any(-1), expected)
        heights.append(w)
    assert max(heights) == (12 if may_span else 11)


def test_about_half_of_the_images_are_erased():
    random.seed(0)
    erase = RedrawnErasing()
    assert 230 < sum(erase(dict(img=np.zeros((24, 12, 3), np.uint8)))['img'].any() for _ in range(500)) < 270


@pytest.mark.parametrize(
    'wrong',
    [
        dict(erase_prob=1.5),
        dict(area_range=(0.4, 0.02)),
        dict(area_range=(0.02, 1.2)),
        dict(aspect_range=(0, 3)),
        dict(fill_color=(0, 0, 256)),
    ],
)
def test_erasing_that_cannot_be_is_refused(wrong):
    (name, value), *_ = wrong.items()
    with pytest.raises(ValueError, match=f'{name}=' + str(value).replace('(', r'\(').replace(')', r'\)')):
        RedrawnErasing(**wrong)


@pytest.mark.parametrize('domain', [0, 1])
def test_the_crop_of_ecn_is_the_slow_version_of_it_in_pillow(domain):
    config = 'ecn/ecn-official_resnet50_1xb256-60e_duke2market-256x128.py'
    crop = TRANSFORMS.build(step_of(config, 'UprightCrop', domain=domain))
    whole = 0
    for seed in range(60):
        random.seed(seed)
        found = crop(dict(img=IMAGE))['img']
        random.seed(seed)
        box = (0, 0, 40, 90)
        for _ in range(10):
            area, aspect = random.uniform(0.64, 1.0) * 40 * 90, random.uniform(2, 3)
            h, w = int(round((area * aspect) ** 0.5)), int(round((area / aspect) ** 0.5))
            if w <= 40 and h <= 90:
                left = random.randint(0, 40 - w)
                top = random.randint(0, 90 - h)
                box = (left, top, left + w, top + h)
                break
        whole += box == (0, 0, 40, 90)
        expected = Image.fromarray(IMAGE).crop(box).resize((128, 256), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(found, np.array(expected))
    assert whole < 60


def test_where_no_crop_fits_the_whole_image_is_resized():
    wide = np.ascontiguousarray(IMAGE.transpose(1, 0, 2))
    found = UprightCrop((32, 16))(dict(img=wide))['img']
    np.testing.assert_array_equal(found, np.array(Image.fromarray(wide).resize((16, 32), Image.Resampling.BILINEAR)))


@pytest.mark.parametrize(
    ('config', 'sections', 'filter_', 'size'),
    [
        ('cmnas/cmnas-official_resnet50_1xb128-120e_sysu-256x128.py', 2, Image.Resampling.LANCZOS, (128, 256)),
        ('cmnas/cmnas-official_resnet50_1xb128-120e_regdb-256x128.py', 2, Image.Resampling.LANCZOS, (128, 256)),
        ('gs/qaconv-official_resnet50-ibnb_1xb64-60e_randperson-384x128.py', 1, Image.Resampling.BICUBIC, (128, 384)),
        ('ecn/ecn-official_resnet50_1xb256-60e_duke2market-256x128.py', 0, Image.Resampling.BICUBIC, (128, 256)),
    ],
)
def test_images_are_resized_as_pillow_does(config, sections, filter_, size):
    steps = [step_of(config, 'Resize', 'train_dataloader')] if sections else []
    loader = load_config(str(ROOT / 'configs' / config)).test_dataloader
    first = loader[0] if isinstance(loader, list) else loader
    steps.append(next(step for step in first.dataset.pipeline if step.type == 'Resize'))
    for step in steps:
        found = TRANSFORMS.build(step)(dict(img=IMAGE))['img']
        np.testing.assert_array_equal(found, np.array(Image.fromarray(IMAGE).resize(size, filter_)))
