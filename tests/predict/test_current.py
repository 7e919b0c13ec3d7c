import subprocess
import sys

from conftest import CHECKOUT

LOADED = """
import sys
from actionpipe.predict.current import count_current
from actionpipe.stages.postprocess import postprocess
print(sorted({"torch", "mmengine", "openvino", "sklearn"} & set(sys.modules)))
"""


def test_what_is_current_is_found_out_without_loading_what_runs_networks():
    found = subprocess.run([sys.executable, "-c", LOADED], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
