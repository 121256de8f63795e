# Copyright (c) mmreid contributors. All rights reserved.
"""Domains of the procedural world: other cameras, other clothes, other people."""

from itertools import combinations

import cv2
import numpy as np
import pytest

from mmreid.datasets.synthetic import DOMAINS, World
from mmreid.datasets.synthetic.background import SCENES
from mmreid.datasets.synthetic.catalog import VISIBLE_DISTANCE
from mmreid.datasets.synthetic.contact_sheet import cluster_pids
from mmreid.datasets.synthetic.identity import color_distance

SEEDS = (0, 1, 2)


def population(domain, seed, count, **knobs):
    world = World(seed, domain, **knobs)
    return [world.person(pid) for pid in range(1, count + 1)]


def looks(domain, seed):
    """Brightness, colorfulness and sharpness of the images, and how much the first two vary over cameras."""
    world = World(seed, domain, cameras=12, size=(64, 32), noise_strength=0)
    cameras = []
    for camid in range(12):
        lab = [cv2.cvtColor(world.render(pid, camid, 0), cv2.COLOR_RGB2LAB).astype(float) for pid in (1, 4)]
        light, chroma = np.array(lab)[..., 0], np.hypot(*np.moveaxis(np.array(lab)[..., 1:] - 128, -1, 0))
        cameras.append([light.mean(), chroma.mean(), np.abs(np.diff(light, axis=2)).mean() / light.std()])
    return [*np.mean(cameras, 0), *np.std(cameras, 0)[:2]]


def clothes(domain, seed):
    """Shares of long sleeves, trousers and coats, and how colorful the upper clothes are."""
    people = population(domain, seed, 120, cluster_fraction=0)
    rows = [(p.sleeve == 'long', p.lower_kind == 'trousers', p.hem == 'coat', np.ptp(p.upper_color)) for p in people]
    return np.mean(rows, 0)


@pytest.mark.parametrize('measure', [looks, clothes])
def test_any_two_domains_differ_more_than_seeds_do(measure):
    values = {name: np.array([measure(name, seed) for seed in SEEDS]) for name in DOMAINS}
    for (first, a), (second, b) in combinations(values.items(), 2):
        apart = (a.min(0) > b.max(0)) | (b.min(0) > a.max(0))
        assert apart.any(), (first, second)


@pytest.mark.parametrize('domain', sorted(DOMAINS))
def test_near_duplicates_share_all_but_one_attribute(domain):
    for size in (2, 3):
        world = World(seed=1, domain=domain, cluster_fraction=1.0, cluster_size=size)
        pids = cluster_pids(world, 18)
        assert len(pids) == 18
        for pid in pids:
            for other in set(world.people.cluster_of(pid)) - {pid}:
                (name,) = world.person(pid).differences(world.person(other))
                first, second = (getattr(world.person(p), name) for p in (pid, other))
                assert isinstance(first, str) or color_distance(first, second) > VISIBLE_DISTANCE


def test_nobody_of_the_warm_start_lives_elsewhere():
    seen = set(population('pretrain', 0, 60))
    assert len(seen) == 60
    for domain in set(DOMAINS) - {'pretrain'}:
        for seed in (0, 1):
            assert seen.isdisjoint(population(domain, seed, 60))


def test_every_scene_is_known_and_used():
    assert {scene for domain in DOMAINS.values() for scene in domain.scenes} == set(SCENES)
    assert set(DOMAINS['pretrain'].scenes) == set(SCENES) - {'asphalt', 'lawn'}  # which came later
