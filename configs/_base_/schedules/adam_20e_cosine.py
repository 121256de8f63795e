# Of small trainings from weights that tell people apart: Adam at 1e-3 that falls along a cosine, 20 epochs.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3, weight_decay=5e-4))
param_scheduler = [dict(type='CosineAnnealingLR', end=1.0, by_epoch=True, convert_to_iter_based=True)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=20, val_interval=20)
val_cfg = dict(type='ReIDValLoop')
test_cfg = dict(type='ReIDTestLoop')
