# The strong baseline with its last trick, the center loss.
_base_ = [
    '../_base_/models/bot_resnet50.py',
    '../_base_/datasets/market1501.py',
    '../_base_/schedules/adam-center_120e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(loss_metric=[dict(type='TripletLoss', margin=0.3), dict(type='CenterLoss', loss_weight=5e-4)]))
