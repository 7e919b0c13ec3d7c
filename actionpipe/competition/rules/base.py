"""The kinds of fusion rules, as data: what a rule of the competition file may say."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]


class Data(BaseModel):
    """Part of a competition file: validated, unknown keys refused, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Distrust(Data):
    """``label`` with a probability below ``below`` becomes the most probable other class."""

    kind: Literal["distrust"]
    label: str
    below: Probability


class Prefer(Data):
    """``over`` becomes ``label`` when ``label`` is among the runners-up: ranks 2 to ``ranks`` by probability."""

    kind: Literal["prefer"]
    label: str
    over: str
    ranks: int = Field(default=3, ge=2, le=10**6)


class Detect(Data):
    """A label in ``when`` becomes ``label`` when the detector finds more than ``more_than`` boxes (or frames)."""

    kind: Literal["detect"]
    label: str
    when: list[str] = Field(min_length=1)
    detected: str
    """The detector's class to count."""
    score: Probability
    """Only boxes with a score strictly above this count."""
    more_than: int = Field(ge=0, le=10**9)
    count: Literal["boxes", "frames"] = "boxes"


Rule = Annotated[Distrust | Prefer | Detect, Field(discriminator="kind")]
