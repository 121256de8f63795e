# Copyright (c) mmreid contributors. All rights reserved.
"""A reproduction from the data to the report, on drawn people in the official layouts, stopped and continued."""

import dataclasses
import json
from pathlib import Path

import pytest
from test_tools.tool_modules import load_tool
from tiny_config import tiny_config
from warm_processes import run_warm

from mmreid.apis.reproduction import find_kit, recipe_before, rehearsal
from mmreid.datasets.synthetic import (
    CUHK03NPPlan,
    DukePlan,
    MarketPlan,
    MSMT17Plan,
    RandPersonPlan,
    RegDBPlan,
    SYSUPlan,
)
from mmreid.utils.config import load_config

TWO = dict(cameras=2)
PLANS = {
    'Market1501': (MarketPlan(train_ids=6, test_ids=3, camstyle=True), TWO),
    'DukeMTMC': (DukePlan(train_ids=6, test_ids=3), TWO),
    'MSMT17': (MSMT17Plan(train_ids=6, test_ids=3), TWO),
    'CUHK03NP': (CUHK03NPPlan(train_ids=6, test_ids=3), {}),
    'RandPerson': (RandPersonPlan(train_ids=6), TWO),
    'SYSUMM01': (SYSUPlan(train_ids=6, val_ids=1, test_ids=3), {}),
    'RegDB': (RegDBPlan(ids=12), {}),
}
# One of each method and baseline; the first is in the first tier.
METHODS = [
    'bot_resnet50_1xb64-120e_market1501',
    *(
        pytest.param(method, marks=pytest.mark.long)
        for method in (
            'agw_resnet50_*cuhk03np', 'sbs_resnet50_*dukemtmc', 'osnet-x1-0_*350e', 'pcb', 'cmnas-official*sysu',
            'cmnas-official*regdb', 'qaconv-official*msmt17-384', 'qaconv-memory', 'ecn-official*duke2market',
            'ecn-official*market2msmt', 'ecnpp*market2duke', 'agw_resnet50_*regdb', 'agw-caj*sysu',
            'cluster-contrast_resnet50_*market1501', 'cluster-contrast-uda_resnet50_1xb256-50e_msmt2market-256x128',
            'spcl_resnet50_*msmt17', 'spcl-uda_resnet50_*msmt2market', 'adca_resnet50_1xb384-50e_regdb-288x144',
        )
    ),
]  # fmt: skip


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The tool with small plans, small networks, and processes that start quickly; ``calls`` lists what it ran."""
    monkeypatch.syspath_prepend('tools')
    module, calls = load_tool('reproduce.py'), []

    def run(command, processes):
        calls.append(command)
        script = next(word for word in command[1:] if word.endswith('.py'))
        done = run_warm(script, *command[command.index(script) + 1 :], check=False)
        print(done.stdout)
        return done.returncode

    def small_kit(method):
        kit = find_kit(method)
        config = _small(kit.config, tmp_path)
        for before in (recipe_before(key, kit.config) for key in ('model.arch', 'load_from')):
            if before is not None:
                _small(before, tmp_path)
        return dataclasses.replace(kit, config=config)

    monkeypatch.setattr(rehearsal, 'PLANS', PLANS)
    monkeypatch.setattr(rehearsal, 'SIZE', (48, 24))
    monkeypatch.setattr(module, 'find_kit', small_kit)
    monkeypatch.setattr(module, 'run_command', run)
    module.calls = calls
    return module


def _small(config, folder):
    """Writes a shrunk config under its own name; what it starts from stays as it is shipped."""
    shipped = load_config(str(config))
    arch = shipped.model.get('arch')
    cfg = tiny_config(f'{config.parent.name}/{config.name}', lambda layout: folder / 'data' / layout, folder)
    cfg.pop('experiment_name')
    cfg.pop('work_dir')
    if arch is not None:
        cfg.model.arch = arch
    cfg.load_from = shipped.load_from
    cfg.dump(folder / config.name)
    return folder / config.name


def stages_of(tool):
    return [next(word.rpartition('/')[2] for word in call[1:] if word.endswith('.py')) for call in tool.calls]


@pytest.mark.slow
@pytest.mark.parametrize('method', METHODS)
def test_every_method_is_rehearsed_from_the_data_to_the_report(tool, tmp_path, method):
    command = [method, '--data-root', str(tmp_path), '--work-dir', str(tmp_path / 'run'), '--rehearse']
    assert tool.main(command) == 0
    stages = ['train.py'] * (2 if 'adca' in method else 1)
    trained = [*stages, 'test.py'] * (2 if 'regdb' in method else 1)
    searched = ['train.py'] if 'cmnas' in method else []
    assert stages_of(tool) == ['verify_dataset.py', *searched, *trained]
    page = (tmp_path / 'run/report.md').read_text()
    assert 'rehearsal on drawn people' in page and '| data as published | yes |' in page
    for part in find_kit(method).reported:
        assert f'| {part.dataset} | mAP | {part.metrics["mAP"]:g} | ' in page
    again = len(tool.calls)
    assert tool.main(command) == 0 and len(tool.calls) == again, 'nothing is done twice'


@pytest.mark.slow
def test_a_stopped_reproduction_continues_and_says_if_numbers_are_not_reached(tool, tmp_path, monkeypatch):
    command = ['bot_resnet50_1xb64-120e_market1501', '--work-dir', str(tmp_path / 'run'), '--rehearse']
    works = tool.run_command

    def fails_in_the_test(words, processes):
        if any(word.endswith('/test.py') for word in words):
            tool.calls.append(words)
            return 1
        return works(words, processes)

    monkeypatch.setattr(tool, 'run_command', fails_in_the_test)
    with pytest.raises(RuntimeError, match='tools/test.py ended with status 1'):
        tool.main(command)
    monkeypatch.setattr(tool, 'run_command', works)
    tool.main(command)
    assert stages_of(tool) == ['verify_dataset.py', 'train.py', 'test.py', 'test.py']
    with pytest.raises(ValueError, match='recipe.py was written for other options'):
        tool.main([*command, '--cfg-options', 'randomness.seed=1'])

    stages = tool.Reproduction(
        tool.find_kit(command[0]), tool.parse_args([word for word in command if word != '--rehearse'])
    )
    stages.keeps_batch = False
    results = json.loads((tmp_path / 'run/train/results.json').read_text())
    data = json.loads((tmp_path / 'run/data.json').read_text())
    assert stages.report(data, {'': dict(results, **{'market1501/mAP': 10.0})}) == 3
    assert 'Not reached' in (tmp_path / 'run/report.md').read_text()
    good = {'market1501/mAP': 90.0, 'market1501/Rank-1': 95.0}
    assert stages.report(data, {'': dict(results, **good)}) == 0


def test_each_trial_goes_on_from_its_own_first_stage(tool, tmp_path, monkeypatch):
    command = ['adca_resnet50_1xb384-50e_regdb-288x144', '--work-dir', str(tmp_path / 'run'), '--rehearse']
    stages, calls = tool.Reproduction(tool.find_kit(command[0]), tool.parse_args(command)), []
    monkeypatch.setattr(tool, 'draw_people', lambda cfg: None)
    monkeypatch.setattr(tool, 'end_of', lambda folder: folder / 'end.pth')

    def run_tool(stage, name, config, *words, ranks):
        words = [str(word) for word in words]
        calls.append((name, config.name, [word for word in words if 'load_from' in word or word.endswith('end.pth')]))
        if name == 'test.py':
            results = Path(words[words.index('--out') + 1])
            results.parent.mkdir()
            results.write_text('{}')

    monkeypatch.setattr(stages, '_run', run_tool)
    stages.write_recipe()
    assert load_config(str(stages.recipe)).load_from is None
    assert stages.results() == {'trial 1': {}, 'trial 2': {}}
    expected = []
    for trial in (tmp_path / 'run/trial1', tmp_path / 'run/trial2'):
        start = f'load_from={trial}/stage1/end.pth'
        expected += [('train.py', 'stage1.py', []), ('train.py', 'recipe.py', [start])]
        expected += [('test.py', 'recipe.py', [f'{trial}/end.pth'])]
    assert calls == expected


@pytest.mark.parametrize(('method', 'gpus', 'scaled'), [('qaconv-official*msmt17-384', 2, True), ('pcb', 2, False),
                                                       ('qaconv-official*msmt17-384', 1, False)])  # fmt: skip
def test_the_rate_grows_with_the_gpus_where_each_has_a_whole_batch(tool, tmp_path, monkeypatch, method, gpus, scaled):
    command = [method, '--work-dir', str(tmp_path / 'run'), '--gpus', str(gpus)]
    stages, calls = tool.Reproduction(find_kit(method), tool.parse_args(command)), []
    monkeypatch.setattr(stages, '_run', lambda stage, name, config, *words, ranks: calls.append(words))
    stages.write_recipe()
    stages._train('train', stages.recipe, tmp_path / 'run/train')
    assert [('--auto-scale-lr' in words) for words in calls] == [scaled]


def test_a_search_and_the_precision_are_the_authors_on_any_number_of_gpus(tool, tmp_path):
    command = ['cmnas-official*sysu', '--work-dir', str(tmp_path / 'run'), '--gpus', '4']
    stages = tool.Reproduction(find_kit(command[0]), tool.parse_args(command))
    stages.amp = True
    stages.write_recipe()
    recipe, search = (load_config(str(path)) for path in (stages.recipe, stages.search))
    assert (recipe.train_dataloader.batch_size, search.train_dataloader.batch_size) == (32, 128)
    assert recipe.model.head.gather and not search.model.head.get('gather')
    assert recipe.optim_wrapper.type == 'AmpOptimWrapper' and recipe.optim_wrapper.dtype == 'float16'
    assert recipe.channels_last and stages.precision == 'float16'
    other = [*command[:2], str(tmp_path / 'other'), '--cfg-options', 'optim_wrapper.dtype=bfloat16']
    stages = tool.Reproduction(find_kit(command[0]), tool.parse_args(other))
    stages.amp = True
    stages.write_recipe()
    assert stages.precision == 'bfloat16' == load_config(str(stages.recipe)).optim_wrapper.dtype


def test_data_with_problems_are_refused_unless_accepted(tool, tmp_path, monkeypatch):
    found = dict(clean=False, datasets=[])
    path = tmp_path / 'run/data.json'
    monkeypatch.setattr(tool, 'run_command', lambda *_: path.write_text(json.dumps(found)))
    command = ['bot_resnet50_1xb64-120e_market1501', '--work-dir', str(tmp_path / 'run')]
    for accepted in (False, True):
        stages = tool.Reproduction(tool.find_kit(command[0]), tool.parse_args(command + ['--accept-data'] * accepted))
        stages.write_recipe()
        if accepted:
            assert stages.check_data() == found
        else:
            with pytest.raises(ValueError, match='data_with_problems.json; repair .*--accept-data'):
                stages.check_data()


@pytest.mark.parametrize('text', ['[1]', '{', '{"train": "x"}'])
def test_damaged_notes_of_times_are_refused_or_left_out(tool, tmp_path, text):
    stages = tool.Reproduction(find_kit('pcb'), tool.parse_args(['pcb', '--work-dir', str(tmp_path)]))
    (tmp_path / 'times.json').write_text(text)
    if text == '{"train": "x"}':
        stages._note_time('train', 7.2)
        assert json.loads((tmp_path / 'times.json').read_text()) == dict(train=7)
    else:
        with pytest.raises(ValueError, match=r'times\.json'):
            stages._note_time('train', 7.2)


def test_what_can_be_reproduced_is_listed(tool, capsys):
    assert tool.main(['--list']) == 0
    table = capsys.readouterr().out
    assert 'cmnas-official_resnet50_1xb128-120e_sysu-256x128' in table and 'Rank-1 61.99, mAP 60.02' in table


@pytest.mark.long
@pytest.mark.dist
def test_two_processes_share_the_batch(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, 'run_command', load_tool('reproduce.py').run_command)
    command = ['bot_resnet50_1xb64-120e_market1501', '--work-dir', str(tmp_path / 'run'), '--rehearse', '--gpus', '2']
    assert tool.main(command) == 0
    log = next((tmp_path / 'run/train').glob('*/*.log')).read_text()
    assert '2 processes on' in log and 'batch_size=4,' in (tmp_path / 'run/recipe.py').read_text()
    assert '| on each | a part of the batch; float32 |' in (tmp_path / 'run/report.md').read_text()
