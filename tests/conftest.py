# Copyright (c) mmreid contributors. All rights reserved.
"""Settings and fixtures that every test shares."""

import gc
import os

# Before torch and OpenCV start their thread pools.
os.environ['OMP_NUM_THREADS'] = '1'

from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402
from mmengine.logging import MMLogger  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402

torch.set_num_threads(1)

# Outside a Runner, MMEngine logs two lines for every parameter that is initialized.
MMLogger.get_instance('test', log_level='ERROR')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the files of slow tests, so that no process is left with a long file when the others are done."""
    slow = {item.path for item in items if item.get_closest_marker('slow')}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True, scope='session')
def plain_configs() -> Iterator[None]:
    """Writes configs as they are: laying out the text of each takes a Runner longer than all else it does here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, True))
        yield


@pytest.fixture(autouse=True)
def sets_aside_what_stays() -> None:
    """Keeps what is imported out of garbage collection: MMEngine collects for each data set, 0.2 s with all of that."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope='module')
def begins_without_scope() -> None:
    """Forgets the scope that MMEngine keeps after a Runner, so that no test file depends on those before it."""
    DefaultScope._instance_dict.clear()


@pytest.fixture
def work_dir(tmp_path: Path) -> str:
    """Gives a test its own empty folder for a Runner.

    Args:
        tmp_path (Path): The temporary folder of the test.

    Returns:
        str: The folder, as the string that MMEngine's configs expect.
    """
    folder = tmp_path / 'work_dir'
    folder.mkdir()
    return str(folder)


@pytest.fixture
def mmreid_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Shows a test what mmreid logs: MMEngine's loggers do not hand their messages on to Python's root logger.

    Args:
        caplog (pytest.LogCaptureFixture): pytest's own.

    Yields:
        pytest.LogCaptureFixture: The same, hearing MMEngine's current logger.
    """
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.addHandler(caplog.handler)
    logger.setLevel('INFO')
    yield caplog
    logger.removeHandler(caplog.handler)
    logger.setLevel(level)
