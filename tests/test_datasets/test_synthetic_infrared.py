# Copyright (c) mmreid contributors. All rights reserved.
"""Infrared cameras of the procedural world: another reflectance, the same people."""

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from tiny_world import small_world

from mmreid.datasets.synthetic import PersonSpec, World
from mmreid.datasets.synthetic.camera import photograph
from mmreid.datasets.synthetic.contact_sheet import cluster_pids
from mmreid.datasets.synthetic.domain import get_domain
from mmreid.datasets.synthetic.identity import CLOTH_COLORS
from mmreid.datasets.synthetic.reflectance import Surroundings, person_in_infrared

COLORS = {
    field.name for field in fields(PersonSpec) if field.name.endswith(('color', 'accent')) or field.name == 'skin'
}
CLEAN = dict(blur_strength=0, noise_strength=0, crop_jitter=0, occlusion_prob=0, passerby_prob=0, ir_strength=0)


def luminance(color):
    return float(np.dot(color, (0.299, 0.587, 0.114)))


def crowd(count):
    world = World(seed=0, cluster_fraction=0)
    return [world.person(pid) for pid in range(1, count + 1)]


def in_infrared(person, **knobs):
    return person_in_infrared(person, seed=0, domain=get_domain('default', **knobs))


def test_infrared_cameras_see_gray_and_the_others_see_what_they_saw():
    visible, mixed = small_world(cameras=4), small_world(cameras=4, infrared=(1, 3))
    assert [camera.modality for camera in mixed.cameras] == ['visible', 'infrared', 'visible', 'infrared']
    for camid in range(4):
        for image, old in (
            (mixed.render(2, camid, 0), visible.render(2, camid, 0)),
            (mixed.render_distractor(camid, 1), visible.render_distractor(camid, 1)),
            (mixed.render_junk(2, camid, 0), visible.render_junk(2, camid, 0)),
        ):
            assert image.shape == (64, 32, 3) and image.dtype == np.uint8
            is_gray = bool((image == image[..., :1]).all())
            assert is_gray == (camid in (1, 3))
            assert np.array_equal(image, old) == (camid in (0, 2))


def test_infrared_image_does_not_depend_on_the_order():
    first, second = (small_world(infrared=(0, 2)) for _ in range(2))
    keys = [(pid, camid, 0) for pid in (1, 4) for camid in range(3)]
    forward = [first.render(*key) for key in keys]
    backward = [second.render(*key) for key in reversed(keys)][::-1]
    np.testing.assert_array_equal(forward, backward)


def test_body_and_cut_of_the_clothes_stay():
    for person in crowd(30):
        assert set(person.differences(in_infrared(person))) <= COLORS
        assert all(len(set(getattr(in_infrared(person), name))) == 1 for name in COLORS)


def test_images_show_the_infrared_level_of_the_person_in_every_camera():
    world = World(seed=0, cameras=3, infrared=(0, 1, 2), **CLEAN)
    people = [pid for pid in range(1, 150) if world.person(pid).upper_texture == 'plain']
    people = [pid for pid in people if world.person(pid).bag == 'none' and world.person(pid).hair_style != 'long']
    assert len(people) > 8
    wanted = np.array([in_infrared(world.person(pid)).upper_color[0] for pid in people])
    anybody = np.median(np.abs(wanted[:, None] - wanted))
    for camid in range(3):
        seen = [np.median(world.render(pid, camid, 0)[44:58, 27:37]) for pid in people]
        assert np.median(np.abs(seen - wanted)) < anybody / 3
        assert abs(np.corrcoef(seen, [luminance(world.person(pid).upper_color) for pid in people])[0, 1]) < 0.7


@pytest.mark.parametrize('dependence, low, high', [(0.0, -0.15, 0.15), (0.3, 0.2, 0.9), (1.0, 0.999, 1.0)])
def test_color_dependence_decides_how_much_infrared_follows_the_color(dependence, low, high):
    people = crowd(300)
    levels = [in_infrared(person, ir_color_dependence=dependence).upper_color[0] for person in people]
    assert low <= np.corrcoef(levels, [luminance(person.upper_color) for person in people])[0, 1] <= high


def test_black_and_white_may_look_alike_and_equal_coats_may_differ():
    people = crowd(199)
    black, white = (
        np.array([in_infrared(replace(person, lower_color=CLOTH_COLORS[name])).lower_color[0] for person in people])
        for name in ('black', 'white')
    )
    assert 0.1 < np.mean(np.abs(black - white) < 25) < 0.6
    assert np.std(black) > 25  # 199 people in the same black trousers


def test_near_duplicates_share_the_infrared_of_what_they_share():
    world = World(seed=0, cluster_fraction=1.0)
    for pid in cluster_pids(world, 60):
        for other in world.people.cluster_of(pid):
            first, second = world.person(pid), world.person(other)
            # The contrast of a print is kept relative to its cloth, so another cloth changes both.
            allowed = {name: {name, name.replace('color', 'accent')} for name in first.differences(second)}
            assert set(in_infrared(first).differences(in_infrared(second))) <= set().union(*allowed.values())


def test_texture_knob_decides_how_much_of_a_print_is_left():
    people = crowd(300)

    def contrast(share):
        seen = [in_infrared(person, ir_texture=share) for person in people]
        return np.array([abs(person.upper_accent[0] - person.upper_color[0]) for person in seen])

    assert contrast(0.0).max() == 0
    assert contrast(1.0).mean() > 40
    assert abs(contrast(0.4).mean() / contrast(1.0).mean() - 0.4) < 0.06
    assert np.mean(contrast(0.4) < 5) > 0.15  # some prints vanish


def test_skin_is_bright_whatever_its_color():
    people = crowd(99)
    visible, infrared = [luminance(person.skin) for person in people], [in_infrared(p).skin[0] for p in people]
    assert np.mean(infrared) > np.mean(visible) + 20
    assert np.std(infrared) < np.std(visible) / 3


def test_surroundings_are_gray_smooth_and_plants_are_bright():
    surroundings = Surroundings(0, get_domain('default'))
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    seen = surroundings.translate(image)
    assert all(tuple(seen[y, x]) == surroundings.color(tuple(image[y, x].tolist())) for y in range(9) for x in range(7))
    assert (seen == seen[..., :1]).all()
    assert surroundings.color((60, 130, 40))[0] > surroundings.color((95, 95, 95))[0]
    assert abs(surroundings.color((100, 110, 120))[0] - surroundings.color((108, 110, 120))[0]) < 20
    exact = Surroundings(0, get_domain('default', ir_color_dependence=1)).translate(image)[..., 0]
    assert np.abs(exact - cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float)).max() <= 5


def test_lamp_lights_the_middle_and_cameras_have_their_own_level():
    def levels(**knobs):
        world = World(seed=0, cameras=4, size=(64, 32), infrared=range(4), **knobs)
        images = np.array([[world.render(pid, camid, 0) for pid in range(1, 13)] for camid in range(4)], float)
        rim = np.concatenate([images[:, :, :6], images[:, :, -6:]], axis=2).mean()
        return rim / images[:, :, 24:40].mean(), np.percentile(images, 1, axis=(1, 2, 3, 4))

    plain_rim, plain_blacks = levels(ir_strength=0, noise_strength=0)
    rim, blacks = levels(noise_strength=0)
    assert rim < plain_rim - 0.1
    assert np.ptp(blacks) > 15 > np.ptp(plain_blacks)


def test_camera_style_stays_inside_a_modality():
    world = small_world(infrared=(1, 2))
    assert np.abs(world.render(1, 1, 0, style_camid=2).astype(int) - world.render(1, 1, 0)).mean() > 2
    for camid, style in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match=f'camera {style} {world.cameras[style].modality}'):
            world.render(1, camid, 0, style_camid=style)


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(infrared=(3,)), r'infrared is \(3,\).* 3 '),
        (dict(infrared=(1, 1)), r'infrared is \(1, 1\)'),
        (dict(infrared=(-1,)), r'infrared is \(-1,\)'),
        (dict(ir_color_dependence=1.2), 'ir_color_dependence .* 1.2'),
        (dict(ir_texture=-0.1), 'ir_texture .* -0.1'),
        (dict(ir_strength=-1), 'ir_strength .* -1'),
        (dict(ir_gain=(1.2, 0.8)), r'ir_gain .*\(1.2, 0.8\)'),
        (dict(noise=(1.0, float('nan'))), r'^noise .*\(1.0, nan\)'),
        (dict(ir_level=3), 'ir_level .* 3'),
    ],
)
def test_wrong_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        small_world(**kwargs)


def test_wrong_modalities_are_named():
    camera = small_world(infrared=(1,)).camera(1)
    with pytest.raises(ValueError, match="camera 1 .*'thermal'"):
        replace(camera, modality='thermal')
    with pytest.raises(ValueError, match='Camera 1 .*photograph_infrared'):
        photograph(np.zeros((64, 32, 3), np.uint8), camera, np.random.default_rng(0), (64, 32))
