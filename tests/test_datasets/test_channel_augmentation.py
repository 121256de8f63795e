# Copyright (c) mmreid contributors. All rights reserved.
"""Channel augmentation against the recorded outputs of CAJ, and the views of a batch."""

import random

import numpy as np
import pytest
import torch
from golden_networks import GOLDEN

from mmreid.datasets import reid_collate
from mmreid.datasets.transforms import AdaptiveGray, ChannelExchange, ModalityViews, RedrawnErasing
from mmreid.models import ReIDDataPreprocessor
from mmreid.registry import TRANSFORMS

AUGMENT = np.load(GOLDEN / '11_caj_augment.npz')
AS_IS = dict(mean=(0, 0, 0), std=(1, 1, 1))  # the recorded images are normalized
FILL = (0.4465, 0.4822, 0.4914)
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (24, 12, 3), dtype=np.uint8)

CASES = {
    'exchange_gray2': [ChannelExchange(**AS_IS)],
    'exchange_gray3': [ChannelExchange(gray=True, **AS_IS)],
    'adap': [AdaptiveGray(gray_prob=0, **AS_IS)],
    'adap_gray_p0_5': [AdaptiveGray(**AS_IS)],
    'adap_gray_p0_9': [AdaptiveGray(gray_prob=0.9, **AS_IS)],
    'erase_p0_5': [RedrawnErasing(fill_color=FILL)],
    'erase_p1': [
        RedrawnErasing(erase_prob=1, area_range=(0.1, 0.3), aspect_range=(0.5, 2), fill_color=(0.3, 0.2, 0.1))
    ],
    'chain_visible_aug': [RedrawnErasing(fill_color=FILL), ChannelExchange(**AS_IS)],
    'chain_thermal': [RedrawnErasing(fill_color=FILL), AdaptiveGray(**AS_IS)],
}


@pytest.mark.parametrize('case', CASES)
def test_the_official_augmentation_is_drawn_number_for_number(case):
    random.seed(int(AUGMENT[f'{case}/py_seed']))
    for before, after in zip(AUGMENT['images'], AUGMENT[f'{case}/output'], strict=True):
        results = dict(img=before[::-1].transpose(1, 2, 0))  # B, G, R, as we load images
        for transform in CASES[case]:
            results = transform(results)
        np.testing.assert_allclose(results['img'].transpose(2, 0, 1)[::-1], after, rtol=0, atol=1e-6)


def network_input(img):
    preprocessor = ReIDDataPreprocessor()
    return preprocessor(dict(inputs=torch.from_numpy(img.copy()).permute(2, 0, 1)[None]))['inputs'][0]


@pytest.mark.parametrize(
    ('transform', 'choices'),
    [(ChannelExchange(), 'RGB'), (ChannelExchange(gray=True), 'RGBm'), (AdaptiveGray(), 'RGBmu')],
)
def test_the_network_sees_what_the_official_one_does(transform, choices):
    """Red, green, blue, their mean, or the unchanged image."""
    normalized = network_input(IMAGE)
    gray = torch.tensor([0.2989, 0.5870, 0.1140])[:, None, None].mul(normalized).sum(0)
    possible = torch.stack([*(channel.expand(3, -1, -1) for channel in (*normalized, gray)), normalized])
    seen = set()
    random.seed(0)
    for _ in range(60):
        found = network_input(transform(dict(img=IMAGE))['img'])
        errors = (possible - found).abs().amax((1, 2, 3))
        assert errors.min() < 1e-5
        seen.add('RGBmu'[int(errors.argmin())])
    assert seen == set(choices)


def test_gray_levels_as_loaded_stay_whole():
    random.seed(1)
    seen = {ChannelExchange(mean=None)(dict(img=IMAGE))['img'].tobytes() for _ in range(30)}
    assert seen == {np.repeat(IMAGE[..., [c]], 3, -1).tobytes() for c in range(3)}
    img = AdaptiveGray(gray_prob=1, mean=None)._spread(IMAGE, 3)
    assert img.dtype == np.uint8
    np.testing.assert_allclose(img[..., 0], IMAGE @ np.array([0.1140, 0.5870, 0.2989]), atol=0.5 + 1e-4)


def test_about_half_of_the_images_are_exchanged_with_a_probability():
    random.seed(0)
    exchange = ChannelExchange(prob=0.5)
    assert 220 < sum(exchange(dict(img=IMAGE))['img'] is not IMAGE for _ in range(500)) < 280


@pytest.mark.parametrize(
    ('kind', 'wrong'),
    [
        (ChannelExchange, dict(prob=1.5)),
        (ChannelExchange, dict(std=(1, 0, 1))),
        (AdaptiveGray, dict(gray_prob=-1)),
        (AdaptiveGray, dict(mean=(1, 2))),
        (ModalityViews, dict(visible=[], infrared=[[]])),
    ],
)
def test_what_cannot_be_is_refused(kind, wrong):
    (name, value), *_ = wrong.items()
    with pytest.raises(ValueError) as error:
        kind(**wrong)
    assert f'{name}={value}' in str(error.value)


def record(modality, number):
    return dict(
        img=np.full((4, 2, 3), number, np.uint8), img_path=f'{number}.jpg', pid=number, camid=0, split='train',
        modality=modality, domain=0, timestamp=None, sample_idx=number, gt_label=number,
    )  # fmt: skip


def test_a_batch_has_all_first_views_then_the_second_ones_and_one_type():
    views = TRANSFORMS.build(
        dict(type='ModalityViews', visible=[[], [dict(type='ChannelExchange')]], infrared=[[dict(type='AdaptiveGray')]])
    )
    random.seed(0)
    records = [record('visible', 1), record('visible', 2), record('infrared', 3)]
    batch = reid_collate([views(dict(item)) for item in records])
    assert [sample.pid for sample in batch['data_samples']] == [1, 2, 3, 1, 2]
    assert batch['inputs'].shape == (5, 3, 4, 2) and batch['inputs'].dtype == torch.float32
    assert (batch['inputs'][0] == 1).all() and not (batch['inputs'][3] == 1).all()
    with pytest.raises(ValueError, match='7.jpg .*None'):
        views(record(None, 7))


def test_a_view_leaves_the_image_of_the_next_one_alone():
    erase = dict(type='RandomErasing', erase_prob=1.0, mode='const', min_area_ratio=0.9, max_area_ratio=1.0)
    first, second = ModalityViews(visible=[[erase], []], infrared=[[]])(record('visible', 9))
    assert not (first['inputs'] == 9).all() and (second['inputs'] == 9).all()
