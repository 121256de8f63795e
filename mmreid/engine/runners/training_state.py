# Copyright (c) mmreid contributors. All rights reserved.
"""What a run may take over from a checkpoint that a stranger may have made: plain data of the expected types."""

CODE = 'config'  # the key of `meta` that MMEngine runs as Python when a run is resumed; it writes none


def plain_training_state(checkpoint: dict) -> dict:
    """Leaves out of a checkpoint what MMEngine would run as code.

    Args:
        checkpoint (dict): What the file holds.

    Returns:
        dict: The same without the text of a config.
    """
    meta = {key: value for key, value in checkpoint['meta'].items() if key != CODE}
    return dict(checkpoint, meta=meta)
