"""The competition file: WHAT is to be solved, as a validated, typed object. Data, never code."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from actionpipe.competition.class_names import check_alike, hint, in_order
from actionpipe.competition.rules.base import KINDS, AnyRule, Data
from actionpipe.errors import UserError
from actionpipe.storage import reading, scalars
from actionpipe.storage.endings import files_with
from actionpipe.storage.faults import Faults

COMPETITIONS = Path(str(files("actionpipe"))) / "configs" / "competitions"
DEFAULT = COMPETITIONS / "aiconnect21.yaml"

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
"""A name that becomes a folder or file name."""


def _possible(path: Path | str) -> Path | str:
    fault = reading.why_no_path(str(path))
    if fault is not None:
        raise ValueError(f"no file can be called so: {fault}")
    return path


FilePath = Annotated[Path, AfterValidator(_possible)]
RecipeName = Annotated[str, AfterValidator(_possible)]
"""A shipped recipe, one of mmaction2's, or one in a folder of ``--recipes``; never a path."""


def _known_metric(name: str) -> str:
    from actionpipe.metrics.registry import METRICS

    if name not in METRICS:
        *names, last = (f"'{known}'" for known in METRICS)
        raise PydanticCustomError("metric", "Input should be {expected}", {"expected": f"{', '.join(names)} or {last}"})
    return name


def _name_metrics(schema: dict[str, Any]) -> None:
    from actionpipe.metrics.registry import METRICS

    schema["enum"] = list(METRICS)


MetricName = Annotated[str, AfterValidator(_known_metric), Field(json_schema_extra=_name_metrics)]
"""One of ``metrics.registry.METRICS``."""


class Table(Data):
    """Column names of ``train.csv`` and ``sample_submission.csv``."""

    video: str = "video_filename"
    """The column of the videos' names, in both tables."""
    label: str = "class"
    """The column of the classes, in both tables."""
    group: str | None = None
    """A column of ``train.csv``, such as the scene; clips with the same value never stand in two folds."""


class Folds(Data):
    """How the training clips are cut into folds."""

    number: int = Field(default=5, ge=2, le=1000)
    """Into so many folds the training clips are cut."""
    seed: int = Field(default=42, ge=0, lt=2**32)
    """Decides the cut, and what training draws."""
    train: list[int] | Literal["all"] = Field(default_factory=lambda: [0])
    """The folds that ``train.sh`` trains when it is not told."""

    @property
    def to_train(self) -> list[int]:
        """The folds that ``train.sh`` trains when it is not told, as numbers."""
        return list(range(self.number)) if self.train == "all" else list(self.train)

    @model_validator(mode="after")
    def _folds_exist(self) -> Self:
        wrong = [fold for fold in self.to_train if not 0 <= fold < self.number]
        if wrong or not self.to_train:
            raise ValueError(f"train: {self.train} must be 'all' or name folds from 0 to {self.number - 1}")
        return self


class Oversampling(Data):
    """Classes whose clips stand ``times`` times in the oversampled list."""

    classes: list[str] = Field(default_factory=list)
    """The classes to oversample."""
    times: int = Field(default=3, ge=1, le=1000)
    """How often each of their clips stands in the list."""


class Member(Data):
    """One classifier of the ensemble."""

    name: Name
    """Names its folder below ``results`` and its score tables."""
    recipe: RecipeName
    """How it is trained and tested: a shipped recipe, one of mmaction2's, or one in a folder of ``--recipes``."""
    clips: Literal["plain", "oversampled"] = "plain"
    """The list that it is trained on."""
    weight: float = Field(default=1.0, ge=0, le=1e6)
    """Its share of the ensemble; one with 0 is trained and scored and only has a rung of the ladder."""
    augment: bool = True
    """Whether its training clips are cropped, flipped and distorted at random; False prepares them as for testing."""
    checkpoint: FilePath | None = None
    """Weights to score with when none were trained here; relative to DATA."""
    weights: Literal["scratch"] | FilePath | None = None
    """Starting weights (relative to DATA) in place of the recipe's own; ``scratch`` starts from random weights."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Dotted keys of the recipe and their values, as ``--cfg-options`` takes them."""


class Detector(Data):
    """The object detector whose findings the rules may use."""

    name: Name = "detector"
    """Names its folder below ``results`` and its detections."""
    recipe: RecipeName
    """How it is trained and tested."""
    classes: list[str] = Field(min_length=1)
    """What it detects; rules name these."""
    boxes: FilePath = Path("train_boxes.csv")
    """A table (video, frame, class, xmin, ymin, xmax, ymax) or a COCO .json; relative to DATA."""
    background_frames: int = Field(default=0, ge=0, le=10**6)
    """So many frames of each training clip that has no box at all are shown to the detector as background."""
    every: int = Field(default=1, ge=1, le=10**6)
    """Of the frames with boxes of a clip, only every so many-th is used: neighbours look alike."""
    checkpoint: FilePath | None = None
    """Weights to detect with when none were trained here; relative to DATA."""
    weights: Literal["scratch"] | FilePath | None = None
    """Starting weights (relative to DATA) in place of the recipe's own; ``scratch`` starts from random weights."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Dotted keys of the recipe and their values, as ``--cfg-options`` takes them."""

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: list[str]) -> list[str]:
        if len(set(classes)) != len(classes):
            raise ValueError("name each class once")
        _refuse_alike(classes)
        return classes


class Competition(Data):
    """One competition. ``classes`` in this order are the columns of every score table."""

    name: Name
    """Of the competition."""
    classes: list[str] | Literal["auto"]
    """In the order of the score columns; ``auto`` takes the labels of ``train.csv``, numbers by value, else sorted."""
    table: Table = Table()
    """The columns of the user's tables."""
    metric: MetricName = "macro_f1"
    """What is to be as good as it can be: the best epoch, the decisions of ``tune`` and the ladder go by it."""
    folds: Folds = Folds()
    """How the training clips are cut."""
    oversampling: Oversampling = Oversampling()
    """What stands several times in the list of oversampled members."""
    members: list[Member] = Field(min_length=1)
    """The classifiers whose probabilities are averaged."""
    detector: Detector | None = None
    """The detector, where rules count what it finds."""
    fallback: str | None = None
    """The label of a test video that cannot be read; the most frequent training label when not named."""
    thresholds: dict[str, Annotated[float, Field(gt=0, le=1000)]] = Field(default_factory=dict)
    """A class's probability is divided by its threshold, 1 when not named, before classes are compared: below 1 the
    class is chosen sooner. Rules see the probabilities after that, brought back to sum up to 1."""
    rules: list[AnyRule] = Field(default_factory=list)
    """Applied in order, each to the labels that the one before has left."""

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: list[str] | str, info: ValidationInfo) -> list[str] | str:
        if classes != "auto" and (len(classes) < 2 or len(set(classes)) != len(classes)):
            raise ValueError("name at least two classes, each once, or write auto")
        # Labels of the table have been checked with their lines.
        if isinstance(classes, list) and not info.context:
            _refuse_alike(classes)
        return classes

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        names = [member.name for member in self.members] + ([self.detector.name] if self.detector else [])
        if len(set(names)) != len(names):
            raise ValueError(f"members and detector need different names, found {names}")
        if not any(member.weight > 0 for member in self.members):
            raise ValueError("at least one member needs a weight above 0")
        if self.classes != "auto":
            self._check_labels(self.classes)
        for rule in self.rules:
            if rule.counted is not None:
                detected = rule.counted.detected
                if self.detector is None:
                    raise ValueError(f"a rule detects '{detected}' but no detector is given")
                if detected not in self.detector.classes:
                    raise ValueError(
                        f"a rule detects '{detected}', which is not among the detector's classes "
                        f"{self.detector.classes}"
                    )
        return self

    def _check_labels(self, classes: list[str]) -> None:
        used = {("oversampling.classes", label) for label in self.oversampling.classes}
        used |= {("fallback", self.fallback)} if self.fallback is not None else set()
        used |= {("thresholds", label) for label in self.thresholds}
        for number, rule in enumerate(self.rules):
            used |= {(f"rules.{number}", label) for label in rule.named}
        unknown = sorted(pair for pair in used if pair[1] not in classes)
        if unknown:
            found = ", ".join(f"{where}: '{label}'{hint(label, classes)}" for where, label in unknown)
            raise ValueError(f"unknown class in {found}; the classes are {classes}")

    def resolved(self, labels: list[str]) -> "Competition":
        """The competition with ``classes: auto`` replaced by the ``labels`` of the training table, ``in_order``.

        Raises:
            UserError: a rule or the oversampling names a class that is not among them.
        """
        if self.classes != "auto":
            return self
        try:
            content = {**self.model_dump(), "classes": in_order(labels)}
            return Competition.model_validate(content, context={"checked": True})
        except ValidationError as error:
            raise UserError(
                f"competition '{self.name}' with the classes of the training table: {_lines(error)}"
            ) from None

    @property
    def class_names(self) -> list[str]:
        """The classes in order; ``resolved`` must have been called when the file says ``auto``."""
        if isinstance(self.classes, str):
            raise UserError("the classes are 'auto' and not known yet; run: python preprocess.py")
        return self.classes


def _refuse_alike(classes: list[str]) -> None:
    """Refuse a list in which two classes look alike."""
    faults = Faults()
    check_alike({name: [place] for place, name in enumerate(classes, 1)}, "classes", faults, unit="place", meant=True)
    if faults:
        raise ValueError("; ".join(faults.lines))


def find(data: Path, given: Path | None = None) -> Path:
    """The competition file: the one given, else ``DATA/competition.yaml`` (or ``.yml``), else the original challenge.

    Raises:
        UserError: several files may be meant.
    """
    if given is not None:
        shipped = COMPETITIONS / f"{given}.yaml"
        return shipped if not reading.is_there(given) and reading.is_there(shipped) else given
    own = own_file(data)
    return own if own.exists() else DEFAULT


def own_file(data: Path) -> Path:
    """``DATA/competition.yaml``, there or not; or what is there in its place, ``competition.yml`` or in capitals.

    Raises:
        UserError: several files may be meant.
    """
    own = data / "competition.yaml"
    if own.exists():
        return own
    # Passed over, the original challenge would be solved in its place.
    named = [path for path in files_with(data, ".yaml", ".yml") if path.stem.lower() == "competition"]
    if len(named) > 1:
        raise UserError(f"{', '.join(map(str, named))}: rename the one that counts competition.yaml")
    return named[0] if named else own


def load(path: Path) -> Competition:
    """Read and validate a competition file.

    Raises:
        UserError: the file is missing, is not YAML, or has unknown or wrong keys (all of them are named).
    """
    try:
        text = reading.read_text(path, most=reading.MOST_YAML_BYTES)
        content = scalars.read_yaml(text, path)
    except FileNotFoundError:
        shipped = ", ".join(sorted(file.stem for file in COMPETITIONS.glob("*.yaml")))
        raise UserError(f"no competition file at {path}; write one, or name one of: {shipped}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold keys such as name, classes and members; found {type(content).__name__}")
    try:
        return scalars.validate(Competition, text, content)
    except ValidationError as error:
        raise UserError(f"{path}: {_lines(error)}") from None


def _lines(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"] if part not in KINDS)
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "string_type":
            message = f'must be a text, found {fault["input"]!r}; write it in quotes: "…"'
        if fault["type"] == "extra_forbidden":
            owner = _model_at(fault["loc"])
            message = f"unknown key; the keys here are: {', '.join(owner.model_fields)}"
        lines.append(f"{where}: {message}" if where else message)
    count = f"{len(lines)} fault" + ("s" if len(lines) != 1 else "")
    return "\n".join([f"{count} in the competition file", *(f"  - {line}" for line in lines)])


_MODELS: dict[str, type[Data]] = {
    "table": Table,
    "folds": Folds,
    "oversampling": Oversampling,
    "members": Member,
    "detector": Detector,
}


def _model_at(location: tuple[int | str, ...]) -> type[Data]:
    """The model that owns the last key of an error's location."""
    for part in reversed(location[:-1]):
        if model := (_MODELS | KINDS).get(str(part)):
            return model
    return Competition
