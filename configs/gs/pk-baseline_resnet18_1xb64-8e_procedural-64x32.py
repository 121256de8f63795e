# Control: random identities (P x K) in epochs of the same length, all else as in graph sampling.
_base_ = ['./gs-baseline_resnet18_1xb64-8e_procedural-64x32.py']

train_dataloader = dict(sampler=dict(warmup=8))
