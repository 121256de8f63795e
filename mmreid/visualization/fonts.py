# Copyright (c) mmreid contributors. All rights reserved.
"""Finds a font that has all letters of a text: the one that matplotlib brings along, or one of the system."""

import logging
import unicodedata
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

# Parts of file names of fonts with Chinese, Japanese and Korean letters; they are looked at first.
PREFERRED = ('notosanscjk', 'sourcehansans', 'wqy', 'droidsansfallback')
CJK = ('CJK', 'HIRAGANA', 'KATAKANA', 'HANGUL', 'BOPOMOFO', 'IDEOGRAPHIC', 'FULLWIDTH', 'HALFWIDTH')

_warned = False


def font_for(text: str) -> tuple[str, str]:
    """Chooses a font for a text; letters that no font has become escape codes, which one warning says.

    Args:
        text (str): The text.

    Returns:
        tuple[str, str]: The text as it can be written, and the file of the font.
    """
    path, missing = _best_font(frozenset(text))
    shown = sorted(letter for letter in missing if letter.isprintable())
    if shown:
        _warn_once(shown)
    return ''.join(_escape(letter) if letter in missing else letter for letter in text), path


@lru_cache(4096)
def _best_font(letters: frozenset[str]) -> tuple[str, frozenset[str]]:
    """Gives the first font that has all letters, or else the one that lacks fewest, and what it lacks."""
    import matplotlib  # only here: whoever imports mmreid need not wait for it

    best = str(Path(matplotlib.get_data_path()) / 'fonts' / 'ttf' / 'DejaVuSans.ttf')
    missing = _missing(best, letters)
    for path in _system_fonts() if missing else ():
        lacking = _missing(path, letters)
        if len(lacking) < len(missing):
            best, missing = path, lacking
        if not missing:
            break
    return best, missing


@cache
def _system_fonts() -> tuple[str, ...]:
    from matplotlib.font_manager import findSystemFonts

    def order(path: str) -> tuple:
        name = Path(path).name.lower()
        rank = next((rank for rank, part in enumerate(PREFERRED) if part in name), len(PREFERRED))
        return rank, 'regular' not in name, name, path

    return tuple(sorted(findSystemFonts(), key=order))


def _missing(path: str, letters: frozenset[str]) -> frozenset[str]:
    codes = _codes(path)
    return frozenset(letter for letter in letters if not _holds(codes, ord(letter)))


def _holds(codes: np.ndarray, code: int) -> bool:
    place = int(np.searchsorted(codes, code))
    return place < len(codes) and int(codes[place]) == code


@cache
def _codes(path: str) -> np.ndarray:
    """Lists the letters of a font, sorted; none of one that cannot be read, or has images in place of outlines."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path)
    except (RuntimeError, OSError):
        return np.empty(0, np.int32)
    return np.array(sorted(font.get_charmap()) if font.scalable else [], np.int32)


def _escape(letter: str) -> str:
    return letter.encode('unicode_escape').decode()


def _warn_once(letters: list[str]) -> None:
    global _warned
    if _warned:
        return
    _warned = True
    asian = any(unicodedata.name(letter, '').startswith(CJK) for letter in letters)
    package = 'fonts-noto-cjk' if asian else 'fonts-noto-core'
    named = ', '.join(f'{letter} ({_escape(letter)})' for letter in letters)
    print_log(
        f'no font of this system has the letters {named}, so captions show their codes; on Debian or Ubuntu, '
        f'`apt install {package}` brings a font that has them',
        logger='current',
        level=logging.WARNING,
    )
