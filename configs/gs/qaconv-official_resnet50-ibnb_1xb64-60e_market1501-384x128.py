# The official recipe of QAConv 2.1, batches of its own sampler included. The authors train in float16:
# --amp --cfg-options optim_wrapper.dtype=float16. What still differs: docs/en/methods/gs.md.
_base_ = ['./qaconv-gs_resnet50-ibnb_1xb64-60e_market1501-384x128.py']

train_dataloader = dict(
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    batch_sampler=dict(_delete_=True, type='QAConvReferenceSampler', num_instances=2),
)
custom_hooks = [
    *[hook for hook in _base_.custom_hooks if hook['type'] != 'GraphSamplingHook'],
    dict(type='GraphSamplingHook', fp16=True, feature_dtype='float16'),
]
