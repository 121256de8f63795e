# Adam for 60 epochs: 2000 iterations of warm-up, then a constant rate, and a cosine from epoch 30 (fast-reid, SBS). If
# 30 epochs have fewer than 2000 iterations, shorten the warm-up.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=3.5e-4, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=2000, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=30, end=60, eta_min=7e-7, by_epoch=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=60, val_interval=20)
val_cfg = dict(type='ReIDValLoop')
test_cfg = dict(type='ReIDTestLoop')

# Identities x images of all GPUs that the learning rate was chosen for.
auto_scale_lr = dict(base_batch_size=64, enable=False)
