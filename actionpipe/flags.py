"""Flags that several commands share, from what is typed to what it means."""

from typing import Any

from actionpipe.errors import UserError


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """``["a.b=3", "c=[1, 2]"]`` to ``{"a.b": 3, "c": [1, 2]}``; values are YAML.

    Raises:
        UserError: a pair without ``=``, or a value that is not YAML.
    """
    import yaml

    overrides = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise UserError(f"--cfg-options takes key=value, found '{pair}'; for example train_cfg.max_epochs=10")
        try:
            overrides[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"--cfg-options {pair}: the value is not YAML; quote it, or close its brackets") from None
    return overrides


def parse_folds(text: str | None, number: int) -> list[int] | None:
    """``None``, ``all`` or ``0,2`` to fold numbers.

    Raises:
        UserError: something else.
    """
    if text is None:
        return None
    if text == "all":
        return list(range(number))
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--folds takes 'all' or numbers such as 0,2; found '{text}'") from None
