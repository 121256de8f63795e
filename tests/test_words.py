# Copyright (c) mmreid contributors. All rights reserved.
"""The words of the project: American spelling and one name for each thing, in code, keys, file names and docs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ('mmreid', 'configs', 'tools', 'tests', 'docs', 'benchmarks', 'demo', 'projects', 'requirements', '.github')
SUFFIXES = ('.py', '.md', '.rst', '.sh', '.txt', '.toml', '.yml', '.yaml', '.cff', '.svg', '.json')

# What must not come back -> what to write.
INSTEAD = {
    r'colour': 'color',
    r'neighbour': 'neighbor',
    r'(?<![a-z])grey': 'gray',
    r'centre|centring': 'center',
    r'(?<!aria-)labelled|labelling': 'labeled',
    r'(?:normal|initial|general|random|minim|maxim|optim|recogn|synchron|penal|regular|summar|organ)is(?:e|ing|ation)':
        '-ize',
    r'favour|behaviour|licence': '-or, license',
    r'\btowards\b': 'toward',
    r'\bshall\b': 'should, must, will',
    r'catalogue': 'catalog',
    r'modell(?:ed|ing)': 'modeled, modeling',
    r'cancell(?:ed|ing)': 'canceled, canceling',
    r'picture': 'image (plot, figure)',
    r'drawer': 'instance sampler',
    r'chooser': 'identity sampler',
    r'\bModality(?:Norm|BN2d|LN|LN2d|Context)\b': 'Branch...',
    r'IdentityStream|GraphStream': '...ReferenceSampler',
    r'SlotSimilarity|NearestSlots': 'MemorySimilarity, NearestNeighbors',
    r'KeptScores|kept_scores': 'CachedScores',
    r'\bMapNeck': 'FeatureMapNeck',
}  # fmt: skip
BANNED = re.compile('|'.join(f'({pattern})' for pattern in INSTEAD), re.IGNORECASE)

# Names that others gave.
ALLOWED = {
    'mmreid/datasets/cuhk03_np.py': ('labelled',),  # a folder name in use
    'docs/en/datasets/cuhk03np.md': ('labelled',),
    'tests/test_datasets/test_market_like.py': ('labelled',),
}


def files() -> list[Path]:
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob('*') if path.suffix in SUFFIXES]
    found += [path for path in ROOT.iterdir() if path.suffix in SUFFIXES]
    names = ('data', '__pycache__', '.mim', '_build', Path(__file__).name)
    return sorted(path for path in found if not set(names) & set(path.relative_to(ROOT).parts))


@pytest.mark.parametrize('folder', [*FOLDERS, ''])
def test_words_that_were_replaced_stay_away(folder):
    found = []
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        if (name.split('/')[0] if '/' in name else '') != folder:
            continue
        lines = [(0, name), *enumerate(path.read_text(encoding='utf-8').splitlines(), 1)]
        for number, line in lines:
            for match in BANNED.finditer(line):
                if match[0].lower() not in ALLOWED.get(name, ()):
                    found.append(f'{name}:{number}: {match[0]} -> {list(INSTEAD.values())[match.lastindex - 1]}')
    assert not found, '\n'.join(found)


@pytest.mark.parametrize(
    'text',
    ['the colours', 'Neighbour', 'set_neighbours', 'normalise_feat', 'a grey one', 'to_grey', 'Towards', 'drawer='],
)
def test_the_rule_finds_what_it_should(text):
    assert BANNED.search(text)


@pytest.mark.parametrize('text', ['otherwise', 'analysis', 'color', 'rise', 'precise', 'marshall', 'cancellation'])
def test_the_rule_leaves_other_words_alone(text):
    assert not BANNED.search(text)
