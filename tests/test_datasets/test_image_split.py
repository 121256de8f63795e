# Copyright (c) mmreid contributors. All rights reserved.
"""Two halves of the training images with the same identities."""

from collections import Counter

import numpy as np
import pytest
import tiny_search  # noqa: F401  registers PlantedImages

from mmreid.datasets.image_split import divide
from mmreid.datasets.preparation.leaks import image_paths
from mmreid.registry import DATASETS


def part(number, images=10, **kwargs):
    return DATASETS.build(
        dict(type='ImageSplit', part=number, dataset=dict(type='PlantedImages', num_ids=5, images=images), **kwargs)
    )


def group_sizes(dataset):
    return set(Counter(zip(dataset.pids.tolist(), dataset.modalities.tolist(), strict=True)).values())


def test_halves_are_disjoint_complete_and_show_the_same_identities():
    halves = [part(0), part(1)]
    paths = [set(image_paths(half)) for half in halves]
    assert not paths[0] & paths[1] and len(paths[0] | paths[1]) == 100
    for half in halves:
        assert group_sizes(half) == {5} and half.num_classes == 5
        assert np.array_equal(half.gt_labels, half.pids) and half.get_data_info(0)['gt_label'] == 0
    assert image_paths(part(0)) == image_paths(halves[0]) != image_paths(part(0, seed=1))


@pytest.mark.parametrize(
    ('images', 'ratio', 'sizes'), [(10, 0.8, {6}), (20, 0.8, {16}), (7, 0.5, {4}), (7, 0.9, {4}), (2, 0.9, {1})]
)
def test_each_part_keeps_enough_images(images, ratio, sizes):
    assert group_sizes(part(0, images, ratio=ratio)) == sizes
    assert group_sizes(part(1, images, ratio=ratio)) == {images - sizes.copy().pop()}


def test_single_images_are_in_both_parts(mmreid_log):
    halves = [part(0, images=1), part(1, images=1)]
    assert image_paths(halves[0]) == image_paths(halves[1]) and len(halves[0]) == 10
    assert '10 images are the only ones of their identity and modality' in mmreid_log.text


def test_the_division_does_not_depend_on_the_order_of_the_images():
    pids, modalities = np.repeat(np.arange(3), 8), np.tile(['visible', 'infrared'], 12)
    paths = [f'{index:02d}' for index in range(24)]
    (first, _), _ = divide(pids, modalities, paths, 0.5, 4, seed=0)
    order = np.random.default_rng(0).permutation(24)
    (again, _), _ = divide(pids[order], modalities[order], [paths[i] for i in order], 0.5, 4, seed=0)
    assert np.array_equal(first[order], again)


def test_a_half_of_a_data_set_can_be_joined_with_another():
    half = dict(type='ImageSplit', part=0, dataset=dict(type='PlantedImages', num_ids=5, images=10))
    joined = DATASETS.build(dict(type='ConcatReIDDataset', datasets=[half, dict(type='PlantedImages', num_ids=3)]))
    assert (joined.domains == 0).sum() == len(part(0)) and len(set(joined.pids[joined.domains == 0].tolist())) == 5


@pytest.mark.parametrize(('kwargs', 'message'), [(dict(ratio=1.0), 'ratio=1.0'), (dict(min_images=0), 'min_images=0')])
def test_refusals(kwargs, message):
    with pytest.raises(ValueError, match=message):
        part(0, **kwargs)
    with pytest.raises(ValueError, match='part=2'):
        part(2)
    with pytest.raises(ValueError, match="ImageSplit .*split='test'"):
        DATASETS.build(dict(type='ImageSplit', part=0, dataset=dict(type='PlantedImages', split='test')))
