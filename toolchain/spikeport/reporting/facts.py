"""What ``result.json`` and ``figures.json`` may say, checked before the page is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from spikeport.findings import Finding, SpikeportError

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, lt=2**62)]
Size = Annotated[int, Field(ge=1, lt=2**62)]
Number = Annotated[float, Field(ge=-1e30, le=1e30)]
Amount = Annotated[float, Field(ge=0, le=1e30, allow_inf_nan=False)]
Values = Annotated[list[float], Field(max_length=2**20)]  #: of a quantity over time: any number, infinite ones too
#: below the smallest number that a ratio of two can have it is nothing
Energy = Annotated[Amount, AfterValidator(lambda value: value if value > 1e-30 else 0.0)]


class Known(BaseModel):
    """Keys that the page reads are of their types; later versions may have more."""

    model_config = ConfigDict(strict=True, extra="allow")


class Parity(Known):
    """One comparison."""

    against: str = "?"
    samples: Size = 1
    argmax_agreement: Share | None = 1.0
    spike_mismatches: Count = 0
    spikes_compared: Count = 0
    mismatches_above_rounding: Count | None = None
    mismatches_by_rounding: Count | None = None
    mismatches_following: Count | None = None
    by_layer: dict[str, list[Count]] = Field(default_factory=dict)
    neurons: dict[str, Size] = Field(default_factory=dict)
    uncompared: list[str] | None = None
    quantised: str | None = None
    oracle: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Parity:
        said = self.model_fields_set
        if self.spikes_compared and "spike_mismatches" not in said:
            raise ValueError("spikes were compared, and nothing says how many differ")
        if "mismatches_following" in said and "mismatches_by_rounding" not in said:
            raise ValueError("mismatches are told in part")
        if self.spike_mismatches > self.spikes_compared:
            raise ValueError("more spikes differ than were compared")
        return self


class Bound(Known):
    """Energy a sample under one model."""

    low: Energy
    nominal: Energy
    high: Energy
    label: str | None = None
    title: str | None = None
    kind: str = "modelled"
    source: str = ""
    model: str | None = None
    network: str | None = None
    sentence: str | None = None
    static: dict[str, Amount] | None = None
    total: dict[str, Amount] | None = None


class Sentence(Known):
    """What is told in one sentence."""

    sentence: str


class Cause(Known):
    """One cause of a comparison."""

    title: str
    share: Share
    mismatches: Count
    advice: str
    explained: Number | None
    accuracy: Number | None
    samples: Count | None = None


class Placed(Known):
    """One layer on a chip."""

    neurons: Count
    cores: Count
    binding: str
    utilisation: dict[str, Number | None]

    @model_validator(mode="after")
    def _bound(self) -> Placed:
        if self.utilisation.get(self.binding) is None:
            raise ValueError("the limit that binds is not told")
        return self


class Bounds(Sentence):
    """One way to store convolutions."""

    layers: dict[str, Placed]


class Fit(Known):
    """Whether it fits a chip."""

    bounds: dict[str, Bounds] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)


class Epoch(Known):
    """One epoch of a training."""

    epoch: Count
    loss: float
    train_accuracy: Share
    val_accuracy: Share
    seconds: Amount = 0.0


class Told(Known):
    """One finding."""

    code: str
    what: str
    where: str = ""
    why: str = ""


class Result(Known):
    """``result.json``."""

    model: str = ""
    dataset: str = ""
    method: str | None = None
    timesteps: Count | None = None
    device: str | None = None
    sentence: str = ""
    accuracy: dict[str, Share] = Field(default_factory=dict)
    samples: dict[str, Count] = Field(default_factory=dict)
    parity: dict[str, Parity] = Field(default_factory=dict)
    thresholds: dict[str, Values] = Field(default_factory=dict)
    firing_rate: dict[str, Values] = Field(default_factory=dict)
    energy_joule_per_sample: dict[str, Bound] = Field(default_factory=dict)
    verdicts: dict[str, Sentence] | None = None
    latency: Sentence | None = None
    energy_notes: list[str] = Field(default_factory=list)
    fit: Fit | None = None
    causes: dict[str, list[Cause]] = Field(default_factory=dict)
    first_divergence: dict[str, str] = Field(default_factory=dict)
    samples_per_second: dict[str, Amount] = Field(default_factory=dict)
    seconds: dict[str, Amount] = Field(default_factory=dict)
    findings: list[Told] = Field(default_factory=list)
    training: list[Epoch] = Field(default_factory=list)
    provenance: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, Any] = Field(default_factory=dict)


class Membrane(Known):
    """How near a neuron was to its threshold."""

    membrane: float
    threshold: float
    margin: float


class First(Known):
    """Where two runs first part."""

    model_config = ConfigDict(strict=True, extra="forbid")

    layer: str
    t: Count
    sample: Count
    neuron: list[Count]
    a_fires: bool | Count
    b_fires: bool | Count
    a_membrane: float | None = None
    b_membrane: float | None = None
    threshold: float | None = None
    a: Membrane | None = None
    b: Membrane | None = None


class Right(Known):
    """An accuracy."""

    value: Share


class Rates(Known):
    """Firing rates of a comparison's first side."""

    a: dict[str, Values]


class Compared(Parity):
    """``comparison.json``."""

    a: str
    b: str
    samples: Size
    firing_rate: Rates
    accuracy: dict[Literal["a", "b"], Right] | None = None
    first_divergence: First | None = None
    causes: list[Cause] | None = None


class Neuron(Known):
    """One neuron that fires otherwise in two runs."""

    sample: Count
    neuron: list[Count]
    a: list[Count]
    b: list[Count]
    threshold: list[float | None] = Field(default_factory=list)
    mantissa: list[float | None] = Field(default_factory=list)


class Histogram(Known):
    """The mantissas of a synapse."""

    counts: Annotated[list[Count], Field(min_length=1, max_length=4096)]
    edges: list[Number]
    exponent: int
    zero: Share
    least: Number
    most: Number

    @model_validator(mode="after")
    def _edges(self) -> Histogram:
        if len(self.edges) != len(self.counts) + 1:
            raise ValueError("not one edge more than counts")
        return self


class Spikes(Known):
    """Drawings of one sample."""

    plots: dict[str, str] = Field(default_factory=dict)
    caption: str = ""


class Integers(Known):
    """Thresholds in integers and what they are worth."""

    mantissa: list[Number | None]
    threshold: list[Number | None]

    @model_validator(mode="after")
    def _pairs(self) -> Integers:
        if len(self.mantissa) != len(self.threshold):
            raise ValueError("not one threshold for each mantissa")
        return self


class Figures(Known):
    """``figures.json``."""

    rasters: dict[str, dict[str, list[Neuron]]] = Field(default_factory=dict)
    spikes: Spikes = Field(default_factory=Spikes)
    mantissas: dict[str, Integers] = Field(default_factory=dict)
    histograms: dict[str, Histogram] = Field(default_factory=dict)
    cores: str = ""
    graph: str = ""
    facts: dict[str, Any] = Field(default_factory=dict)


class Epochs(Known):
    """``metrics.json``, under a name."""

    epochs: list[Epoch]


def checked(kind: type[Known], value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The value, where it is of the kind; raises SP820 with every fact that is not."""
    try:
        kind.model_validate(value)
    except ValidationError as error:
        findings = [
            Finding("SP820", f"{'.'.join(map(str, one['loc']))}: {one['msg']}", where, mend="write it again")
            for one in error.errors()[:8]
        ]
        raise SpikeportError(findings) from None
    return dict(value)
