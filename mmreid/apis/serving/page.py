# Copyright (c) mmreid contributors. All rights reserved.
"""The page of the server: one file without anything from elsewhere."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name('page.html')


@cache
def page() -> tuple[str, dict[str, str]]:
    """Returns the page, and headers that let a browser run its own script and style only."""
    text = _FILE.read_text(encoding='utf-8')
    script, style = (_hash(text, tag) for tag in ('script', 'style'))
    policy = (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, {'Content-Security-Policy': policy}


def _hash(text: str, tag: str) -> str:
    content = re.search(f'<{tag}>(.*?)</{tag}>', text, re.DOTALL)[1]
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
