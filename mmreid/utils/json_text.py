# Copyright (c) mmreid contributors. All rights reserved.
"""Reads untrusted JSON; every fault is a ValueError."""

import json
from typing import Any


def parse_json(text: str) -> Any:
    """Reads JSON; raises a ValueError also where Python raises something else (too deep nesting)."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError('it is nested too deeply') from error


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number that fits a float: NaN and infinity are, True and False are not."""
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)
