"""Networks, transforms and datasets that mmaction2 and mmdet lack, one a file."""
