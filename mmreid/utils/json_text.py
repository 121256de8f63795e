# Copyright (c) mmreid contributors. All rights reserved.
"""JSON of a stranger: plain values, or one kind of error."""

import json
from typing import Any


def parse_json(text: str) -> Any:
    """Reads JSON.

    Args:
        text (str): The text.

    Returns:
        Any: What it says.

    Raises:
        ValueError: If it is no JSON, also where Python raises something else (nested too deeply).
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError('it is nested too deeply') from error


def is_number(value: Any) -> bool:
    """Tells whether a value of JSON is a number that fits a float; NaN and infinity do, True and False are none.

    Args:
        value (Any): The value.

    Returns:
        bool: Whether it is.
    """
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)
