# Copyright (c) mmreid contributors. All rights reserved.
"""Links between the pages of the repository lead somewhere."""

import re

import pytest
from tiny_config import ROOT

PAGES = sorted(
    path.relative_to(ROOT)
    for folder in ('.', 'configs', 'benchmarks', 'docs', 'projects')
    for path in ((ROOT / folder).rglob('*.md') if folder != '.' else ROOT.glob('*.md'))
    if '_build' not in path.parts
)
LINK = re.compile(r'\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"')


@pytest.mark.parametrize('page', PAGES, ids=str)
def test_links_lead_somewhere(page):
    text = re.sub(r'```.*?```', '', (ROOT / page).read_text(), flags=re.S)
    targets = [first or second for first, second in LINK.findall(text)]
    local = [target.partition('#')[0] for target in targets if not re.match(r'\w+:', target) and target[0] != '#']
    assert not [target for target in local if not (ROOT / page.parent / target).exists()]


def test_files_of_the_security_page_exist():
    text = (ROOT / 'docs' / 'en' / 'advanced_guides' / 'security.md').read_text()
    named = re.findall(r'`((?:mmreid|tools|tests)/[^`\s]+)`', text)
    assert len(named) > 40 and not [name for name in named if not (ROOT / name).exists()]


def test_there_are_pages():
    assert {'README.md', 'README_zh-CN.md', 'configs/baseline/README.md'} <= set(map(str, PAGES))
