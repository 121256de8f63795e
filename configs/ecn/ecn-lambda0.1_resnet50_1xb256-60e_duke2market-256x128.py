# Sweep: weight 0.1 of the target; published is 0.3.
_base_ = ['./ecn_resnet50_1xb256-60e_duke2market-256x128.py']

model = dict(head=dict(target_weight=0.1))
