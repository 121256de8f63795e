# Sweep: 2 nearest slots; published is 6.
_base_ = ['./ecn_resnet50_1xb256-60e_duke2market-256x128.py']

model = dict(head=dict(invariance=dict(neighbors=dict(k=2))))
