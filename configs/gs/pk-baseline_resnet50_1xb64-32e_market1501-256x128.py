# Control: random identities (P x K) in epochs of the same length, all else as in graph sampling.
_base_ = ['./gs-baseline_resnet50_1xb64-32e_market1501-256x128.py']

train_dataloader = dict(sampler=dict(warmup=32))
