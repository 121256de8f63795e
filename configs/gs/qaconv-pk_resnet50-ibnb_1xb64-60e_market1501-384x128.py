# Control: random identities (P x K) in epochs of the same length, all else as in graph sampling.
_base_ = ['./qaconv-gs_resnet50-ibnb_1xb64-60e_market1501-384x128.py']

train_dataloader = dict(sampler=dict(warmup=60))
