# Copyright (c) mmreid contributors. All rights reserved.
"""Prints a config after inheritance and overrides: ``python tools/misc/print_config.py CONFIG``."""

import argparse

from mmreid.utils.config import OptionsAction, load_config
from mmreid.utils.one_line_errors import one_line_errors


def main() -> None:
    """Prints the config as a file that could be run."""
    parser = argparse.ArgumentParser(description='Print the whole config')
    parser.add_argument('config', help='config file')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction, help='override config entries, key=value ...')
    args = parser.parse_args()
    print(load_config(args.config, args.cfg_options).pretty_text)


if __name__ == '__main__':
    with one_line_errors():
        main()
