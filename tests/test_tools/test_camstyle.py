# Copyright (c) mmreid contributors. All rights reserved.
"""Camera-style images from the training of the network to the pipeline that shows them."""

import json
import os
import signal

import cv2
import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from test_tools.camstyle_runs import write_camstyle
from test_tools.test_resume import assert_same
from test_tools.tool_modules import load_tool
from test_tools.tool_runs import last_line
from tiny_data import write_market
from warm_processes import run_warm

from mmreid.datasets import Market1501
from mmreid.datasets.transforms import CorruptImageError, LoadCamStyleImage
from mmreid.registry import RUNNERS
from mmreid.utils.config import load_config
from mmreid.utils.run_lock import FolderInUseError, run_lock


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp('data') / 'market', cameras=3, images=2, num_train=4)


@pytest.fixture(scope='module')
def trained(data, tmp_path_factory):
    """A config and its checkpoint after twelve iterations."""
    folder = tmp_path_factory.mktemp('trained')
    config = write_camstyle(folder / 'cfg.py', data, folder / 'run')
    cfg = load_config(str(config))
    cfg.experiment_name = 'camstyle_trained'
    runner: Runner = RUNNERS.get(cfg.runner_type).from_cfg(cfg)
    runner.train()
    return config, folder / 'run/epoch_3.pth', runner


def generate(*arguments):
    return load_tool('camstyle/generate.py').main([*map(str, arguments), '--workers', '0', '--device', 'cpu'])


def records_of(data):
    dataset = Market1501(data_root=str(data))
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_both_rates_fall_to_zero_over_the_second_half(trained):
    lines = [json.loads(line) for line in next(trained[1].parent.rglob('scalars.json')).read_text().splitlines()]
    for name in ('generator.lr', 'discriminator.lr'):
        rates = [line[name] for line in lines if name in line]
        expected = [1e-4 * min(1, 1 - (iteration - 6) / 5) for iteration in range(12)]
        np.testing.assert_allclose(rates, expected, atol=1e-9)


def test_grid_and_steps(trained):
    _, checkpoint, runner = trained
    assert runner.model.cameras == [0, 1, 2] and runner.model.steps == 12
    state = torch.load(checkpoint, weights_only=True)
    steps = {name: part['state'][0]['step'] for name, part in state['optimizer'].items()}
    assert steps == dict(generator=4, discriminator=12)
    (grid,) = checkpoint.parent.rglob('style_grid_12.png')
    # 8 rows of 64x32 images, twice as large; the real one and 3 cameras
    assert cv2.imread(str(grid)).shape == (18 + 8 * (128 + 12), 4 * (64 + 12), 3)


def test_rendered_images_are_what_the_pipeline_reads(trained, data, capsys):
    config, checkpoint, runner = trained
    generate(config, checkpoint)
    assert '24 images of 3 cameras: 48 to render, 0 are there' in capsys.readouterr().out
    records = records_of(data)
    load = LoadCamStyleImage()
    load.prepare(records)
    seen = set()
    for _ in range(40):
        shown = load.transform(dict(records[0]))
        if shown['styled']:
            seen.add(shown['img'].tobytes())
    assert len(seen) == 2
    # A file is what the network makes of its image, as a JPEG.
    name = f'{records[0]["img_path"].rsplit("/", 1)[1][:-4]}_fake_3.jpg'
    written = cv2.imread(str(data / 'bounding_box_train_camstyle' / name)).astype(float)
    inputs = torch.from_numpy(cv2.imread(records[0]['img_path'])).permute(2, 0, 1)[None].flip(1) / 127.5 - 1
    made = ((runner.model.eval()(inputs)[0, 2] + 1) * 127.5).detach().flip(0).permute(1, 2, 0).numpy()
    jpeg = cv2.imdecode(cv2.imencode('.jpg', made.round().astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 95])[1], 1)
    assert written.shape == (64, 32, 3) and np.abs(written - jpeg).mean() < 1


def test_goes_on_where_it_was_stopped(trained, data, tmp_path, capsys):
    config, checkpoint, _ = trained
    out = tmp_path / 'styles'
    generate(config, checkpoint, '--out', out, '--names', 'pair', '--own', '--batch-size', 5)
    images = sorted(out.glob('*.jpg'))
    assert len(images) == 24 * 3 and (out / '0002_c2s1_000002_00_fake_2to2.jpg').is_file()
    content = {path.name: path.read_bytes() for path in images}
    times = {path: path.stat().st_mtime_ns for path in images}
    lost = images[::7]
    for path in lost:
        path.unlink()
    (out / 'x.jpg.1-2.mmreid.tmp').write_bytes(b'half')
    capsys.readouterr()
    generate(config, checkpoint, '--out', out, '--names', 'pair', '--own', '--batch-size', 5)
    assert f'{len(lost)} to render, {72 - len(lost)} are there' in capsys.readouterr().out
    # In another batch a convolution may round otherwise, which JPEG may show.
    assert {path.name for path in out.glob('*')} == {*content, 'camstyle.json'}
    assert all(path.stat().st_mtime_ns == time for path, time in times.items() if path not in lost)
    with pytest.raises(FileExistsError, match=f'{out} .* pairs .*--out'):
        generate(config, checkpoint, '--out', out)


def test_goes_on_after_a_kill_at_any_file(trained, tmp_path):
    """Killed at the marker, then at two images; each run removes what the one before left."""
    config, checkpoint, _ = trained
    out = tmp_path / 'styles'
    for renames in (0, 1, 7):
        pid = os.fork()
        if pid == 0:
            try:
                count, real_replace = [0], os.replace

                def replace(*paths, count=count, real_replace=real_replace, renames=renames):
                    if count[0] == renames:
                        os.kill(os.getpid(), signal.SIGKILL)
                    count[0] += 1
                    real_replace(*paths)

                os.replace = replace
                torch.set_num_threads(1)  # those of the parent are not there
                generate(config, checkpoint, '--out', out, '--threads', 1)
            finally:
                os._exit(1)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
        assert len(list(out.glob('*.mmreid.tmp'))) == 1
    generate(config, checkpoint, '--out', out)
    assert len(list(out.glob('*.jpg'))) == 48 and len(os.listdir(out)) == 49


def test_a_second_run_in_the_same_folder_is_refused(trained, tmp_path):
    config, checkpoint, _ = trained
    (tmp_path / 'styles').mkdir()
    with run_lock(tmp_path / 'styles'), pytest.raises(FolderInUseError, match=f'styles .* {os.getpid()} '):
        generate(config, checkpoint, '--out', tmp_path / 'styles')
    assert list((tmp_path / 'styles').iterdir()) == []


def test_never_leaves_half_an_image(trained, tmp_path, monkeypatch):
    config, checkpoint, _ = trained
    real_replace, count = __import__('os').replace, [0]

    def full_disk(source, target):
        count[0] += str(target).endswith('.jpg')
        if count[0] > 10:
            raise OSError(28, 'No space left on device', str(target))
        real_replace(source, target)

    monkeypatch.setattr('mmreid.utils.atomic_io.os.replace', full_disk)
    with pytest.raises(OSError, match='No space left'):
        generate(config, checkpoint, '--out', tmp_path / 'styles')
    names = sorted(path.name for path in (tmp_path / 'styles').iterdir())
    assert len([name for name in names if name.endswith('.jpg')]) == 10
    assert not [name for name in names if name.endswith('.tmp')]
    assert all(cv2.imread(str(path)).shape == (64, 32, 3) for path in (tmp_path / 'styles').glob('*.jpg'))


def test_a_broken_image_stops_it_even_where_the_training_skips_it(trained, tmp_path):
    data = write_market(tmp_path / 'market', cameras=3, images=2, num_train=4)
    broken = sorted((data / 'bounding_box_train').iterdir())[20]
    broken.write_bytes(broken.read_bytes()[:300])
    config = write_camstyle(tmp_path / 'cfg.py', data, tmp_path, train_dataloader=dict(dataset=dict(on_corrupt='skip')))
    with pytest.raises(CorruptImageError, match=f'{broken.name} .*early[^,]*$'):
        generate(config, trained[1], '--out', tmp_path / 'styles', '--batch-size', 6)
    assert len(list((tmp_path / 'styles').glob('*.jpg'))) >= 36  # what was rendered before is kept


def test_refuses_what_does_not_fit(trained, tmp_path, data):
    config, checkpoint, _ = trained
    two = write_market(tmp_path / 'two', cameras=2)
    other = write_camstyle(tmp_path / 'other.py', two, tmp_path / 'run')
    with pytest.raises(ValueError, match=r'epoch_3.pth: .* 3 cameras .* 2 cameras'):
        generate(other, checkpoint, '--out', tmp_path / 'out')
    one = write_market(tmp_path / 'one', cameras=1)
    single = write_camstyle(tmp_path / 'single.py', one, tmp_path / 'run')
    with pytest.raises(ValueError, match=' 18 .*market1501 .*camera'):
        generate(single, checkpoint, '--out', tmp_path / 'out')
    with pytest.raises(ValueError, match=' 18 .*market1501 .*camera'):
        cfg = load_config(str(single))
        RUNNERS.get(cfg.runner_type).from_cfg(cfg)
    foreign = tmp_path / 'foreign.pth'
    torch.save(dict(state_dict={'backbone.weight': torch.zeros(1)}), foreign)
    with pytest.raises(ValueError, match='foreign.pth '):
        generate(config, foreign, '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


@pytest.mark.long
@pytest.mark.slow
def test_command_line_and_a_killed_run(data, tmp_path):
    """Resumed in a new process, with workers, a run ends bit for bit like one that was not stopped."""
    workers = dict(train_dataloader=dict(num_workers=2))
    run_warm('tools/train.py', write_camstyle(tmp_path / 'whole.py', data, tmp_path / 'whole', **workers))
    killed = write_camstyle(
        tmp_path / 'killed.py',
        data,
        tmp_path / 'parts',
        custom_imports=dict(imports=['mmreid.registry', 'kill_hook']),
        custom_hooks=[dict(type='EpochSeedHook'), dict(type='KillHook', at_iter=11)],
        **workers,
    )
    assert run_warm('tools/train.py', killed, check=False).returncode == -signal.SIGKILL
    resumed = write_camstyle(tmp_path / 'resumed.py', data, tmp_path / 'parts', **workers)
    assert 'resumed epoch: 2, iter: 8' in run_warm('tools/train.py', resumed, '--resume').stdout
    files = [torch.load(tmp_path / folder / 'epoch_3.pth', weights_only=True) for folder in ('whole', 'parts')]
    assert_same(*files)
    grids = [next((tmp_path / folder).rglob('style_grid_12.png')).read_bytes() for folder in ('whole', 'parts')]
    assert grids[0] == grids[1]

    wrong = write_camstyle(tmp_path / 'wrong.py', write_market(tmp_path / 'two'), tmp_path / 'x')
    done = run_warm('tools/camstyle/generate.py', wrong, tmp_path / 'whole/epoch_3.pth', check=False)
    assert done.returncode == 1 and 'error: ' in done.stdout and ' 3 cameras' in done.stdout, last_line(done)
    done = run_warm('tools/camstyle/generate.py', resumed, tmp_path / 'whole/epoch_3.pth', '--out', tmp_path / 'styles')
    assert 'wrote 48 images' in done.stdout
