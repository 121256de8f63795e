# Copyright (c) mmreid contributors. All rights reserved.
"""The tutorial runs from its first cell to its last, on drawn people."""

import pytest
from tiny_config import ROOT

nbformat = pytest.importorskip('nbformat', reason='nbformat is not installed')
pytest.importorskip('ipykernel', reason='ipykernel is not installed')
nbclient = pytest.importorskip('nbclient', reason='nbclient is not installed')
NOTEBOOK = ROOT / 'demo' / 'tutorial.ipynb'


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == 'code']


def text_of(cell):
    """What a cell printed and gave."""
    parts = [output.get('text', '') or output.get('data', {}).get('text/plain', '') for output in cell.outputs]
    return ''.join(parts)


def test_the_notebook_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, 4)
    nbformat.validate(notebook)
    assert len(code_cells(notebook)) == 10
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code_cells(notebook))


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.dist
def test_the_tutorial_runs(tmp_path, monkeypatch):
    monkeypatch.setenv('TUTORIAL_DIR', str(tmp_path))
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    notebook = nbformat.read(NOTEBOOK, 4)
    nbclient.NotebookClient(notebook, timeout=900, resources=dict(metadata=dict(path=str(ROOT)))).execute()
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, 11))
    for cell in cells:
        assert 'error:' not in text_of(cell) and 'Traceback' not in text_of(cell)
    for name in ('run/epoch_1.pth', 'report/index.html', 'people.onnx', 'people.gallery', 'metrics.json'):
        assert (tmp_path / name).is_file(), name
    assert 'mAP' in text_of(cells[4]) and '(2, 160)' in text_of(cells[5]) and '.jpg' in text_of(cells[6])
    assert 'images' in text_of(cells[8]) and len(text_of(cells[9]).splitlines()) == 5
