# Copyright (c) mmreid contributors. All rights reserved.
"""What training writes into the meta of its checkpoints, so that they can be used without the config file."""

import logging
from collections.abc import Mapping

from mmengine.logging import print_log
from torch import nn

from mmreid.models import BaseReID
from mmreid.models.reid.inference_contract import contract_of
from mmreid.structures.inference_contract import META_KEY


def inference_meta(cfg: Mapping, model: nn.Module, arch: Mapping[str, str] | None = None) -> dict[str, str]:
    """Gives the contract as an entry of the meta; nothing, with a line in the log, where it cannot say it all."""
    if not isinstance(model, BaseReID):
        return {}
    try:
        return {META_KEY: contract_of(cfg, model, arch).to_json()}
    except ValueError as error:
        print_log(f'checkpoints of this run need their config file to be used: {error}', 'current', logging.INFO)
        return {}
