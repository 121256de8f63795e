# The strong baseline with circle softmax; scale and margin as in SBS of fast-reid.
_base_ = ['./bot_resnet50_1xb64-120e_market1501-256x128.py']

model = dict(head=dict(classifier=dict(type='CircleClassifier', scale=64, margin=0.35)))
