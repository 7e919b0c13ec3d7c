import threading

import numpy as np
import openvino

from actionpipe.predict import compiled


def test_threads_at_once_get_one_core_and_numpy_is_set_up_before_any_of_them_infers(monkeypatch):
    # Where two threads made their first tensor at once, both could wait for each other, for ever.
    order, core, tensor = [], openvino.Core, openvino.Tensor
    monkeypatch.setattr(openvino, "Core", lambda: order.append("core") or core())
    monkeypatch.setattr(openvino, "Tensor", lambda array: order.append(type(array)) or tensor(array))
    compiled._made_core.cache_clear()
    found = []
    threads = [threading.Thread(target=lambda: found.append(compiled._core())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order == [np.ndarray, "core"]
    assert len(found) == 8 and len({id(one) for one in found}) == 1
