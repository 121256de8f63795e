# Copyright (c) mmreid contributors. All rights reserved.
"""Puts the data of a report into its page: one file that loads nothing but its images."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
_PLACES = re.compile(r'/\*(STYLE|SCRIPT|DATA|POLICY)\*/')


def render_page(content: dict[str, Any]) -> str:
    """Returns the page.

    The data is text to the browser: the script shows it as text, and the policy of the page allows no other script and
    no request beyond images of this machine.

    Args:
        content (dict[str, Any]): Plain data.

    Returns:
        str: HTML.
    """
    style, script, text = ((_FOLDER / f'report.{kind}').read_text(encoding='utf-8') for kind in ('css', 'js', 'html'))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src 'self' file: data:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = dict(STYLE=style, SCRIPT=script, POLICY=policy, DATA=_as_json(content))
    return _PLACES.sub(lambda found: parts[found[1]], text)


def _as_json(content: dict[str, Any]) -> str:
    """Writes JSON that cannot end the element that holds it."""
    text = json.dumps(content, allow_nan=False, separators=(',', ':'))  # ASCII: other characters are escaped
    return text.replace('&', '\\u0026').replace('<', '\\u003c').replace('>', '\\u003e')
