# AGW (Ye et al., TPAMI 2021): the strong baseline with non-local blocks, generalized-mean pooling and the weighted
# triplet loss; center loss as in the authors' code. Its learned centers need schedules/adam-center_120e.py.
_base_ = ['./bot_resnet50.py']

model = dict(
    backbone=dict(type='ResNetNL', non_local_cfg=dict(reduction=2048)),  # a single channel inside, as in their code
    neck=dict(pool=dict(_delete_=True, type='GeneralizedMeanPooling')),
    head=dict(loss_metric=[dict(type='WeightedTripletLoss'), dict(type='CenterLoss')]),
)
