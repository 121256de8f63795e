# The strong baseline with an ArcFace classifier; scale and margin as in the code of TransReID.
_base_ = ['./bot_resnet50_1xb64-120e_market1501-256x128.py']

model = dict(head=dict(classifier=dict(type='ArcFaceClassifier', scale=30, margin=0.5)))
