# Copyright (c) mmreid contributors. All rights reserved.
"""Embeddings of image files in a file of their own."""

import argparse
import csv

import cv2
import numpy as np
import pytest
from test_tools.tool_modules import load_tool
from tiny_models import trained

from mmreid.apis import ReIDInferencer
from mmreid.cli.inferencer_options import add_inferencer_options, build_inferencer

TOOL = load_tool('extract.py')


class Fake:
    """Gives each image its mean color."""

    def extract(self, images, modality=None, normalize=True, on_error='raise', return_names=False):
        paths = sorted(images) if isinstance(images, list) else [images]
        means = np.stack([cv2.imread(path).mean((0, 1)) for path in paths]).astype(np.float32)
        if normalize:
            means /= np.linalg.norm(means, axis=1, keepdims=True)
        return means, paths


@pytest.fixture
def images(tmp_path, monkeypatch) -> list[str]:
    monkeypatch.setattr(TOOL, 'build_inferencer', lambda args: Fake())
    paths = []
    for number, color in enumerate([(0, 3, 4), (8, 0, 6)]):
        paths.append(str(tmp_path / f'{number}.png'))
        cv2.imwrite(paths[-1], np.full((4, 2, 3), color, np.uint8))
    return paths


def test_npz_holds_names_and_features(tmp_path, images):
    TOOL.main(['model.pth', *images, '--out', str(tmp_path / 'a.npz')])
    with np.load(tmp_path / 'a.npz') as found:
        assert found['names'].tolist() == images
        np.testing.assert_allclose(found['features'], [[0, 0.6, 0.8], [0.8, 0, 0.6]], rtol=1e-6)


def test_csv_has_a_row_per_image(tmp_path, images):
    TOOL.main(['model.pth', *images, '--raw', '--out', str(tmp_path / 'a.csv')])
    with open(tmp_path / 'a.csv', newline='') as file:
        rows = list(csv.reader(file))
    assert rows[0] == ['name', 'f0', 'f1', 'f2'] and rows[2] == [images[1], '8.0', '0.0', '6.0']


def test_files_are_kept_and_folders_must_exist(tmp_path, images):
    (tmp_path / 'a.csv').write_text('mine')
    for name, error in (('a.csv', FileExistsError), ('none/a.csv', FileNotFoundError)):
        with pytest.raises(error, match=name.split('/')[0]):
            TOOL.main(['model.pth', *images, '--out', str(tmp_path / name)])
    assert (tmp_path / 'a.csv').read_text() == 'mine'
    TOOL.main(['model.pth', *images, '--out', str(tmp_path / 'a.csv'), '--force'])
    assert (tmp_path / 'a.csv').read_text().startswith('name')


def test_maps_do_not_fit_into_a_table(tmp_path):
    with pytest.raises(ValueError, match=r'\(2, 3, 3\).*a\.csv.*npz'):
        TOOL.write(str(tmp_path / 'a.csv'), ['a'], np.zeros((1, 2, 3, 3)))
    assert not list(tmp_path.iterdir())


def test_another_kind_of_file_is_refused(images, capsys):
    with pytest.raises(SystemExit):
        TOOL.parse_args(['model.pth', *images, '--out', 'a.pkl'])
    assert 'a.pkl' in capsys.readouterr().err


def test_options_reach_the_model(tmp_path):
    trained('ImageReID', tmp_path / 'a.pth')
    trained('ImageReID', tmp_path / 'b.pth', seed=1)
    parser = argparse.ArgumentParser()
    add_inferencer_options(parser)

    def built(*words):
        return build_inferencer(parser.parse_args([str(word) for word in words]))

    plain = built(tmp_path / 'a.pth', '--device', 'cpu')
    assert (plain.batch_size, plain.num_workers, plain.dtype) == (32, 2, None) and plain.max_pixels > 10**6
    assert (
        not plain.model.flip_test and plain.fingerprint == ReIDInferencer(tmp_path / 'a.pth', device='cpu').fingerprint
    )
    words = ['--batch-size', 3, '--num-workers', 1, '--precision', 'bf16', '--max-pixels', 0, '--flip-test']
    other = built(tmp_path / 'a.pth', '--weights', tmp_path / 'b.pth', '--device', 'cpu', *words)
    assert (other.batch_size, other.num_workers, other.max_pixels) == (3, 1, None) and other.model.flip_test
    assert str(other.dtype) == 'torch.bfloat16' and str(other.device) == 'cpu'
    expected = ReIDInferencer(tmp_path / 'b.pth', device='cpu', flip_test=True)
    assert other.fingerprint == expected.fingerprint != plain.fingerprint


def test_unreadable_images_are_left_out_on_request(tmp_path):
    trained('ImageReID', tmp_path / 'a.pth')
    for number in range(2):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((8, 4, 3), 60 * number, np.uint8))
    (tmp_path / '1.png').write_bytes(b'')
    words = [str(tmp_path / name) for name in ('a.pth', '0.png', '1.png')]
    words += ['--device', 'cpu', '--out', str(tmp_path / 'a.npz')]
    with pytest.raises(ValueError, match=r'1\.png'):
        TOOL.main(words)
    TOOL.main([*words, '--skip-unreadable'])
    with np.load(tmp_path / 'a.npz') as found:
        assert found['names'].tolist() == [str(tmp_path / '0.png')] and found['features'].shape == (1, 32)
