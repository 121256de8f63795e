# Copyright (c) mmreid contributors. All rights reserved.
"""The tool of the report, and its page as users meet it: in a browser, without a network."""

import json

import numpy as np
import pytest
from chromium import CHROMIUM, Browser
from report_data import people, write_features

from mmreid.utils.arch_io import Architecture, save_arch

from .tool_modules import load_tool

TOOL = load_tool('analysis_tools/report.py')
EVIL = '<img src=x onerror=document.title="run">'


@pytest.mark.parametrize(
    'words', [[], ['a.pth', '--topk', '0'], ['a.pth', '--topk', '51'], ['a.pth', '--num-queries', '0']]
)
def test_wrong_options_are_refused(words, capsys):
    with pytest.raises(SystemExit):
        TOOL.parse_args(words)
    assert 'usage' in capsys.readouterr().err


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """Two models, one with two seeds and one that errs; names that are markup; a missing image; parts of methods."""
    folder = tmp_path_factory.mktemp('report')
    query, gallery = people(folder, num_people=30)
    for side in (query, gallery):
        side['pid_name'] = [f'{EVIL}{pid}' if pid == 1 else f'id {pid}' for pid in side['pid'].tolist()]
    gallery['img_path'][20] = str(folder / 'gone <b>.png')
    gallery['pid'][(gallery['pid'] == 7)] = 6  # two people under one identity
    for name, noise in (('a', 0.3), ('b', 0.4), ('c', 1.4)):
        sides = people(folder, 30, noise, draw=False)
        features = [dict(side, feature=new['feature']) for side, new in zip((query, gallery), sides, strict=True)]
        write_features(folder / f'{name}.pth', *features)
        write_features(folder / f'{name}2.pth', *features, name='second')
    np.savez(folder / 'e.npz', names=np.array(gallery['img_path'][:30]), features=gallery['feature'][:30].numpy())
    run = folder / 'run'
    run.mkdir()
    save_arch(run / 'arch.json', Architecture({'layer1.0.bn1': 'split', 'layer1.0.bn2': 'share'}))
    files = [f'good={folder / "a.pth"}', f'good={folder / "b.pth"}', f'{EVIL.replace("=", ":")}={folder / "c.pth"}']
    files += [f'good={folder / "a2.pth"}', f'{folder / "e.npz"}', f'{folder / "absent.pth"}']
    TOOL.main(
        [*files, '--qe', '--title', EVIL, '--work-dir', str(run), '--out', str(folder / 'out'), '--num-queries', '40']
    )
    return folder / 'out' / 'index.html'


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason='there is no Chromium; Debian: apt-get install chromium')
def test_the_page_in_a_browser(page, tmp_path):
    browser = Browser(tmp_path / 'profile')
    browser.open(page.as_uri())
    browser.wait_for('document.querySelectorAll("#lists .list").length')
    shown = browser.value('[...document.querySelectorAll("section")].filter(s => !s.hidden).map(s => s.id)')
    assert shown == ['results', 'curves', 'pairs', 'cameras', 'hardest', 'confused', 'labels', 'lists', 'unlabeled0',
                     'methods', 'faults']  # fmt: skip
    links = browser.value('[...document.querySelectorAll("#links a")].filter(a => !a.hidden).map(a => a.hash.slice(1))')
    assert links == shown

    # The table: two test sets, a row for each post-processing, seeds with their spread.
    cells = browser.value(
        '[...document.querySelectorAll("#results tbody tr")].map(r => [...r.cells].map(c => c.innerText))'
    )
    assert [row[:3] for row in cells] == [
        ['own', 'good', 'none'], ['own', 'good', 'qe'], ['own', EVIL.replace('=', ':'), 'none'],
        ['own', EVIL.replace('=', ':'), 'qe'], ['second', 'good', 'none'], ['second', 'good', 'qe'],
    ]  # fmt: skip
    assert [row[3] for row in cells] == ['2', '2', '1', '1', '1', '1'] and '±' in cells[0][4] and '±' not in cells[2][4]
    assert browser.value('document.querySelectorAll("#curves svg").length') == 2
    assert 'good (2 seeds)' in browser.value('document.querySelector("#curves").textContent')
    assert browser.value('document.querySelectorAll("#pairs svg").length') == 2
    assert browser.value('document.querySelectorAll("#cameras td").length') == 9

    # Names are text.
    assert browser.value('document.title') == EVIL and browser.value('document.querySelector("h1").innerText') == EVIL
    assert browser.value('document.querySelectorAll("img[src=x]").length') == 0

    # What is suspected, and what is missing.
    assert 'Two people under one identity? (1)' in browser.value('document.querySelector("#labels").textContent')
    assert 'absent.pth' in browser.value('document.querySelector("#faults").textContent')

    # Ranked lists: pages, filters, order.
    lists = '[...document.querySelectorAll("#lists .list")]'
    where = 'document.querySelector("#lists .where").textContent'
    assert browser.value(where) == '1–10 of 40' and browser.value(f'{lists}.length') == 10
    first = browser.value(f'{lists}[0].textContent')
    browser.value('document.querySelector("#lists .next").click()')
    assert browser.value(where) == '11–20 of 40' and browser.value(f'{lists}[0].textContent') != first
    browser.value('document.querySelector("#lists .back").click()')
    assert browser.value('document.querySelector("#lists .back").disabled')

    def choose(name, value):
        node = f'document.querySelector("#lists .{name}")'
        browser.value(f'{node}.value = {json.dumps(value)}; {node}.dispatchEvent(new Event("input"))')

    choose('camera', '1')
    assert browser.value(f'{lists}.every(l => l.querySelector(".query").textContent.includes("cam 1"))')
    choose('camera', '')
    choose('search', 'id 9')
    assert browser.value(f'{lists}.length') >= 1
    assert browser.value(f'{lists}.every(l => l.querySelector(".query").textContent.includes("id 9"))')
    choose('search', 'nobody')
    assert browser.value(where) == 'none' and browser.value(f'{lists}.length') == 0
    choose('search', '')

    # The other model errs, and its lists show it.
    browser.value('document.getElementById("model").selectedIndex = 1;'
                  'document.getElementById("model").dispatchEvent(new Event("change"))')  # fmt: skip
    choose('which', 'wrong')
    assert browser.value(f'{lists}.length') and browser.value(f'{lists}.every(l => l.querySelector(".tile.bad"))')
    choose('which', '')
    choose('order', 'easy')
    values = browser.value(f'{lists}.map(l => parseFloat(l.querySelector("b").textContent.slice(3)))')
    assert len(values) == 10 and values == sorted(values, reverse=True) and values[0] > values[-1]

    # Images are there; a missing one has a field with its name. A linked file that vanishes gets one too.
    browser.value('[...document.images].forEach(image => image.loading = "eager")')
    browser.wait_for('[...document.images].every(image => image.complete && image.naturalWidth > 0)')
    choose('search', '')
    assert browser.value('document.body.textContent.includes("gone <b>.png")')

    # Images without labels have no filters by labels.
    bar = 'document.querySelector("#unlabeled0 .bar")'
    assert browser.value(f'{bar}.innerText.trim()').split('\n')[0].startswith('‹')
    assert browser.value(f'{bar}.querySelectorAll("select").length') == 0

    # The other test set.
    browser.value('document.getElementById("set").selectedIndex = 1;'
                  'document.getElementById("set").dispatchEvent(new Event("change"))')  # fmt: skip
    assert 'second' in browser.value('document.querySelector("#curves").textContent')
    assert browser.value('document.querySelectorAll("#model option").length') == 1

    asked = [url for url in browser.asked() if not url.startswith(('data:', 'about:'))]
    assert len(asked) > 20 and all(url.startswith(page.parent.as_uri()) for url in asked)
    assert browser.complaints() == []
    # The policy of the page refuses requests and foreign scripts.
    assert browser.value('fetch("http://127.0.0.1:9/").then(() => "sent", () => "refused")') == 'refused'
    browser.value(
        'const s = document.createElement("script"); s.textContent = "window.ran = 1"; document.body.append(s)'
    )
    assert browser.value('window.ran') is None
    assert any('Content Security Policy' in text for text in browser.complaints())
    browser.screenshot(tmp_path / 'page.png')
    assert (tmp_path / 'page.png').stat().st_size > 20_000
    browser.close()
