# The recipe of CAJ on LLCM, which is younger than it.
_base_ = ['./agw_resnet50_1xb64-81e_llcm-288x144.py', '../_base_/datasets/caj_views.py']

model = dict(head=dict(loss_triplet=dict(type='SquaredDifferenceTripletLoss')), flip_test=True)
train_dataloader = dict(dataset=dict(pipeline=_base_.caj_pipeline))
train_cfg = dict(max_epochs=100, val_interval=25)
