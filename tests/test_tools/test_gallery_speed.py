# Copyright (c) mmreid contributors. All rights reserved.
"""The benchmark of galleries runs, and its killer of writers finds what was lost."""

import json

import pytest
from test_tools.benchmark_scripts import scripts_of

from mmreid.apis import Gallery

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.dist]
_scripts = scripts_of('gallery')
pytest.importorskip('faiss', reason='faiss is not installed: pip install "mmreid[gallery]"')


def test_all_ways_are_measured(tmp_path):
    import gallery_speed

    words = ['--sizes', '1200', '--queries', '4', '--batches', '1', '--kills', '1', '--dims', '32']
    gallery_speed.main([*words, '--folder', str(tmp_path), '--out', str(tmp_path / 'out.json')])
    found = json.loads((tmp_path / 'out.json').read_text())
    assert found['kills']['lost'] == 0 and set(found['sizes'][0]['rows']) == {
        'NumPy', 'faiss exact', 'gallery exact', 'faiss hnsw', 'gallery hnsw', 'faiss ivf', 'gallery ivf'
    }  # fmt: skip
    assert all(row['recall_at_10'] > 0.9 for row in found['sizes'][0]['rows'].values())


def test_a_lost_entry_is_noticed(tmp_path, monkeypatch):
    import kills

    check = Gallery.check

    def lose_one(gallery):
        keys = [entry.key for entry in gallery]
        gallery.delete(keys=keys[:1] if keys else [1])
        return check(gallery)

    monkeypatch.setattr(Gallery, 'check', lose_one)
    with pytest.raises(AssertionError, match='lost'):
        kills.kill_writers(tmp_path / 'a.gallery', 3, 1)
