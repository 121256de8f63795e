# The built-in model: the same without the last two stages, which hold most of the weights.
_base_ = ['./bot_mobilenet-v2_1xb64-2e_procedural-128x64.py']

model = dict(
    backbone=dict(out_indices=(5,), frozen_stages=2),
    neck=dict(in_channels=160),
    head=dict(in_channels=160),
)
