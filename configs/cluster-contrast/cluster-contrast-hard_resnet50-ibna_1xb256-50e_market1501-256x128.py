# The setting of the log that the authors publish: the hardest image updates a cluster, closer clusters, 400 batches.
_base_ = ['./cluster-contrast_resnet50-ibna_1xb256-50e_market1501-256x128.py']

model = dict(head=dict(memory=dict(rule='hard')))
train_dataloader = dict(batch_sampler=dict(batches_per_epoch=400))
custom_hooks = [
    *_base_.custom_hooks[:-1],
    dict(type='PseudoLabelHook', clustering=dict(type='JaccardDBSCAN', eps=0.4, min_samples=4, k1=30, k2=6)),
]
