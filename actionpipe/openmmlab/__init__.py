"""mmaction2, mmdet, mmcv and mmengine on current torch, and the registration of what is ours."""
