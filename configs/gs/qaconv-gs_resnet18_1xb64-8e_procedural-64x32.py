# QAConv with graph sampling in minutes on a CPU: maps of 4 x 2 locations after the third stage of a narrow ResNet-18
# from scratch on procedural people; 32 identities x 2 images in a batch. All triplets count; from the hardest alone, an
# untrained network learns little (8.8 mAP in its own domain).
_base_ = ['./gs-baseline_resnet18_1xb64-8e_procedural-64x32.py']

model = dict(
    _delete_=True,
    type='PairwiseReID',
    backbone=dict(type='ResNet', depth=18, base_channels=16, strides=(1, 2, 2, 1), out_indices=(2,)),
    neck=dict(type='FeatureMapNeck', in_channels=64, out_channels=64),
    matcher=dict(type='QAConvMatcher', size=(4, 2)),
    head=dict(type='PairwiseHead', loss_score=dict(type='ScoreTripletLoss', margin=16.0, mining='all')),
)
train_dataloader = dict(batch_sampler=dict(instance_sampler=dict(num_instances=2)))
