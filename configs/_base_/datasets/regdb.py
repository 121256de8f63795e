# RegDB at 256x128, trial 1, batches of 16 identities x (4 visible + 4 thermal) images per GPU.
_base_ = ['./reid_256x128.py']

dataset_type = 'RegDB'
data_root = 'data/RegDB'
trial = 1  # of 10; the same for the training and the test set

train_dataloader = dict(
    batch_size=128,
    batch_sampler=dict(instance_sampler=dict(type='CrossModalityInstanceSampler', num_instances=4)),
    dataset=dict(type=dataset_type, data_root=data_root, trial=trial),
)
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, trial=trial, direction='v2t'))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='RegDBMetric')  # both directions
test_evaluator = val_evaluator
