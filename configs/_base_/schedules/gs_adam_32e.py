# Adam for 32 epochs of graph sampling, each class an anchor once: on Market-1501 (751 identities) about as many
# iterations as adam_120e.py has with P x K, and the same steps in proportion.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=3.5e-4, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=3, by_epoch=True, convert_to_iter_based=True),
    dict(type='MultiStepLR', milestones=[11, 19], gamma=0.1, by_epoch=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=32, val_interval=16)
val_cfg = dict(type='ReIDValLoop')
test_cfg = dict(type='ReIDTestLoop')

# Identities x images of all GPUs that the learning rate was chosen for.
auto_scale_lr = dict(base_batch_size=64, enable=False)
