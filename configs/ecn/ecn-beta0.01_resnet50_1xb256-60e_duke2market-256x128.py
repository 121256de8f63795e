# Sweep: temperature 0.01; published is 0.05.
_base_ = ['./ecn_resnet50_1xb256-60e_duke2market-256x128.py']

model = dict(head=dict(temperature=0.01))
