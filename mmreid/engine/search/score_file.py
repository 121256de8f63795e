# Copyright (c) mmreid contributors. All rights reserved.
"""The short trainings that a search has finished, one JSON line each."""

import json
from pathlib import Path
from typing import Any

from mmreid.utils.atomic_io import atomic_write


class ScoreFile:
    """Finished short trainings, by architecture, length and held-out identities.

    Args:
        path (Path): The file; it is complete whenever the process is killed.
        settings (str): Names all else that results depend on. Lines of other settings are kept but not used.
    """

    def __init__(self, path: Path, settings: str) -> None:
        self.path, self.settings = path, settings
        self._lines = path.read_text(encoding='utf-8').splitlines() if path.is_file() else []
        self._scores: dict[tuple[str, int, int], float] = {}
        for number, line in enumerate(self._lines):
            found = self._read(number, line)
            if found['settings'] == settings:
                self._scores[found['arch'], found['epochs'], found['fold']] = found['score']

    def _read(self, number: int, line: str) -> dict[str, Any]:
        try:
            found = json.loads(line)
            return dict(
                settings=str(found['settings']), arch=str(found['arch']), epochs=int(found['epochs']),
                fold=int(found['fold']), score=float(found['score']),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'line {number + 1} of {self.path} is no result of a short training ({error}); delete the line, and '
                'the training is done again'
            ) from error

    def find(self, arch: str, epochs: int, fold: int) -> float | None:
        """Returns the score of a finished training; None if it is not done.

        Args:
            arch (str): The letters of :meth:`ArchSpace.key`.
            epochs (int): Its length.
            fold (int): The held-out fold.
        """
        return self._scores.get((arch, epochs, fold))

    def add(self, arch: str, epochs: int, fold: int, result: dict[str, Any], write: bool) -> None:
        """Adds a finished training.

        Args:
            arch (str): See :meth:`find`; so are ``epochs`` and ``fold``.
            epochs (int): Its length.
            fold (int): The held-out fold.
            result (dict[str, Any]): What came out, with ``score``.
            write (bool): Whether to write the file too, which one rank must do.
        """
        self._scores[arch, epochs, fold] = result['score']
        line = dict(settings=self.settings, arch=arch, epochs=epochs, fold=fold, **result)
        self._lines.append(json.dumps(line))
        if write:
            atomic_write(self.path, '\n'.join(self._lines) + '\n')
