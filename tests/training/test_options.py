"""The flags of training: what is refused, and what of them makes another result."""

from dataclasses import fields

import pytest

from actionpipe.errors import UserError
from actionpipe.training.options import Options

NAN = float("nan")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"precision": "int8"}, "--precision takes auto, fp32, bf16, fp16; found 'int8'"),
        *(
            ({"ema": value}, f"--ema takes between 0 and 1, such as 0.999; found {value}")
            for value in (0, 1, -1.0, NAN)
        ),
        *(({"patience": value}, f"--patience takes a number of epochs from 1 up; found {value}") for value in (0, -3)),
        *(
            ({"micro_batch": value}, f"--micro-batch takes a number of clips from 1 up; found {value}")
            for value in (0, -1)
        ),
        *(
            ({"label_smoothing": value}, f"--label-smoothing takes a share from 0 to below 1; found {value}")
            for value in (-0.1, 1.0, NAN)
        ),
        *(
            ({name: value}, f"--{flag} must not be negative; found {value}")
            for name, flag in (("mixup", "mixup"), ("save_minutes", "save-minutes"), ("cache_gb", "cache-gb"))
            for value in (-0.5, NAN)
        ),
        ({"keep_every": -1}, "--keep-every must not be negative; found -1"),
    ],
    ids=str,
)
def test_what_no_run_can_have_is_refused_by_the_flag_s_name(given, message):
    with pytest.raises(UserError) as caught:
        Options(**given)
    assert str(caught.value) == message


COUNTED = {
    "precision": "bf16",
    "auto_scale_lr": True,
    "ema": 0.999,
    "patience": 1,
    "mixup": 0.2,
    "label_smoothing": 0.1,
}
NOT_COUNTED = {"keep_every": 2, "save_minutes": 0.0, "micro_batch": 1, "compile": True, "cache_gb": 0.0}


def test_these_are_all_options():
    assert {field.name for field in fields(Options)} == {*COUNTED, *NOT_COUNTED}


@pytest.mark.parametrize("name", COUNTED)
def test_what_changes_what_is_learnt_counts_when_it_is_given(name):
    assert Options(**{name: COUNTED[name]}).that_count() == {name: COUNTED[name]}


@pytest.mark.parametrize("name", NOT_COUNTED)
def test_how_it_is_computed_and_kept_does_not_count(name):
    assert Options(**{name: NOT_COUNTED[name]}).that_count() == {}


def test_as_they_are_by_default_none_counts():
    assert Options().that_count() == {}
    assert Options(**COUNTED, **NOT_COUNTED).that_count() == COUNTED
    given = {name: getattr(Options(), name) for name in COUNTED}
    assert Options(**given).that_count() == {}, "given as it is anyway"
