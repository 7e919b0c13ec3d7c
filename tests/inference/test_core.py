import subprocess
import sys

from conftest import CHECKOUT

THREADS_AT_ONCE = """
import threading
import openvino
from actionpipe.inference import compiled_network

order, found, core, tensor = [], [], openvino.Core, openvino.Tensor
openvino.Core = lambda: order.append("core") or core()
openvino.Tensor = lambda array: order.append(type(array).__name__) or tensor(array)
threads = [threading.Thread(target=lambda: found.append(compiled_network._core())) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(order, len(found), len({id(one) for one in found}))
"""


def test_threads_at_once_get_one_core_and_numpy_is_set_up_before_any_of_them_infers():
    # Where two threads made their first tensor at once, both could wait for each other, for ever. In a process of its
    # own: a second core in this one would upset OpenVINO.
    command = [sys.executable, "-c", THREADS_AT_ONCE]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "['ndarray', 'core'] 8 1", result.stderr
