# AGW in the schedule of the strong baseline. The authors' code has 160 epochs, the last 90 at one rate, and a warm-up
# from a hundredth of it.
_base_ = [
    '../_base_/models/agw_resnet50.py',
    '../_base_/datasets/market1501.py',
    '../_base_/schedules/adam-center_120e.py',
    '../_base_/default_runtime.py',
]
