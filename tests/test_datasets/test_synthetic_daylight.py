# Copyright (c) mmreid contributors. All rights reserved.
"""People in daylight: soft light from one side, boxes that fit, everyday clothes."""

import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mmreid.datasets.synthetic import MarketPlan, World
from mmreid.datasets.synthetic.identity import TWO_TONES
from mmreid.datasets.synthetic.manifest import describe
from mmreid.datasets.synthetic.relief import Folds, ReliefPainter

CLEAN = dict(cast_strength=0, blur_strength=0, noise_strength=0, occlusion_prob=0, passerby_prob=0)


def test_images_stay_as_they_are():
    world = World(seed=7, domain='daylight', cameras=4, size=(64, 32))
    images = [world.render(pid, camid, 0) for pid in range(1, 9) for camid in range(4)]
    assert np.mean(images) == pytest.approx(120.747, abs=0.1)
    # Another release of OpenCV may round a pixel in another way.
    if cv2.__version__.startswith('5.0'):
        assert zlib.crc32(np.stack(images).tobytes()) == 1648473359


def lit_ball(light, folds=0.0):
    canvas = np.full((128, 64, 3), 120, np.uint8)
    painter = ReliefPainter(canvas, light, np.full((128, 64), folds, np.float32))
    painter.ellipse((32, 64), (24, 40), (100, 100, 100))
    return painter.finish()[..., 0].astype(int)


@pytest.mark.parametrize('light, brighter', [((0.5, 0.0), 'left'), ((-0.5, 0.0), 'right'), ((0.0, 0.5), 'top')])
def test_the_side_of_the_light_is_brighter(light, brighter):
    image = lit_ball(light)
    sides = dict(left=image[64, 12], right=image[64, 52], top=image[29, 32], bottom=image[99, 32])
    assert max(sides, key=sides.get) == brighter
    assert sides[brighter] - min(sides.values()) > 20


def test_neither_light_nor_folds_change_the_background():
    image = lit_ball((0.5, 0.5), folds=0.3)
    assert (image[:20] == 120).all() and (image[:, :4] == 120).all()
    assert image[64, 32] == pytest.approx(130, abs=3)


def test_folds_vary_by_their_strength():
    rng = np.random.default_rng(0)
    folds = Folds(rng, (64, 32))
    parts = np.stack([folds.cut(rng, 0.1) for _ in range(40)])
    assert parts.shape == (40, 64, 32) and parts.dtype == np.float32
    assert 0.07 < parts.std() < 0.13 and abs(parts.mean()) < 0.05


def test_tight_boxes_end_where_the_person_ends():
    def margins(**knobs):
        """Rows and columns without the person, who is red before a green ground, as fractions of the sides."""
        world = World(seed=2, domain='daylight', cameras=2, size=(128, 64), crop_jitter=0, light=(0.2, 0.2), **knobs)
        world._backdrop(world.camera(0)).panoramas = [np.full((333, 410, 3), (0, 255, 0), np.uint8)]
        found = []
        for pid in range(1, 9):
            scene = world.scene(pid, 0, 0).astype(int)
            person = np.abs(scene - (0, scene[..., 1].max(), 0)).sum(2) > 60
            found.append([1 - person.any(axis).mean() for axis in (0, 1)])
        return np.mean(found, 0)

    tight, loose = margins(**CLEAN), margins(**CLEAN, tight_boxes=False)
    assert (tight < 0.15).all()
    assert loose[0] > tight[0] + 0.1


@pytest.mark.parametrize('slack, box', [((-3, -3, 3, 3), (17, 47, 43, 73)), ((-90, -90, 90, 90), (0, 0, 64, 128))])
def test_box_has_the_slack_and_stays_inside(slack, box):
    painter = ReliefPainter(np.zeros((128, 64, 3), np.uint8), (0.2, 0.2), np.zeros((128, 64), np.float32))
    painter.polygon([(20, 50), (39, 50), (39, 69), (20, 69)], (9, 9, 9), rounded=1)
    assert painter.box(np.array(slack)) == pytest.approx(box, abs=1)
    left, top, right, bottom = painter.box(np.array((30, 30, -30, -30)))
    assert right - left >= 16 and bottom - top >= 16 and 0 <= left < right <= 64


def test_people_wear_dull_colors_in_several_cuts():
    worlds = {domain: World(seed=0, domain=domain, cluster_fraction=0) for domain in ('daylight', 'default')}
    people = {domain: [world.person(pid) for pid in range(1, 201)] for domain, world in worlds.items()}
    colorful = {domain: np.mean([np.ptp(person.upper_color) for person in people[domain]]) for domain in people}
    assert colorful['daylight'] < 0.7 * colorful['default']
    assert {person.two_tone for person in people['daylight']} == set(TWO_TONES)
    assert min(np.std([(person.bulk, person.leg_width) for person in people['daylight']], axis=0)) > 0.1
    assert {(person.bulk, person.leg_width, person.two_tone) for person in people['default']} == {(1.0, 1.0, 'none')}


@pytest.mark.parametrize(
    'change', [dict(bulk=1.45), dict(leg_width=1.3), dict(two_tone='sleeves'), dict(two_tone='shirt')]
)
def test_the_cut_of_clothes_is_seen(change):
    world = World(seed=0, domain='daylight', cameras=2, **CLEAN)
    plain = dict(
        sleeve='long', lower_kind='trousers', hem='normal', bulk=1.0, leg_width=1.0, two_tone='none', bag='none'
    )
    person = replace(world.person(1), **plain, upper_color=(20, 20, 20), upper_accent=(230, 230, 230))
    seen = []
    for who in (person, replace(person, **change)):
        world.people._known[1] = who
        seen.append(np.stack([world.render(1, camid, index).astype(int) for camid in (0, 1) for index in range(3)]))
    assert np.abs(seen[0] - seen[1]).mean() > 1


def test_other_domains_do_not_mention_the_new_knobs():
    plan = MarketPlan(train_ids=1, test_ids=1)
    old, new = (describe(plan.make_world(domain=domain), plan)['knobs'] for domain in ('default', 'daylight'))
    assert {'light', 'folds', 'tight_boxes'} == set(new) - set(old)
