"""What a user asks ``cnnviz visualize`` for, and the words that a figure says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cnnviz.attribution.methods import METHODS as ATTRIBUTIONS
from cnnviz.runtime.errors import UserError

__all__ = ["FILLS", "METHODS", "UNIT_METHODS", "Request", "title"]

_EXEMPLARS = {
    "exemplar": "exemplar, by gradient ascent,",
    "regularized-exemplar": "regularized exemplar",
}
#: What the figure's title says of each method.
METHODS = {name: method.title for name, method in ATTRIBUTIONS.items()} | _EXEMPLARS
#: The same of output units.
UNIT_METHODS = {
    name: method.unit_title for name, method in ATTRIBUTIONS.items() if method.unit_title
}
#: Fills of the occluder that have a name.
FILLS = {"mean": "the mean of the image", "blur": "the image, blurred"}


@dataclass(frozen=True)
class Request:
    """Features or units of a layer, a method with its settings, and an image.

    Raises
    ------
    UserError
        For what does not go together.
    """

    network: str  #: as :func:`cnnviz.networks.by_name.read` knows it
    weights: str
    layer: str
    feature: Sequence[int | str] | None  #: numbers and "topN"; else
    unit: Sequence[int | str] | None  #: the same of output units
    method: str  #: one of METHODS
    image: str | None
    mean: Sequence[float] | None  #: subtracted from gray values; what is usual if None
    std: Sequence[float] | None  #: divides them then
    size: int  #: rows and columns of the occluder
    fill: Sequence[float | str] | None  #: of the occluder: a number for each channel, or a name
    stride: int  #: of the occluder
    steps: int | None  #: of exemplars, at most
    norm: float | None  #: of exemplars
    seed: int  #: of exemplars
    sigma: float | None  #: of the maps' smoothing, in pixels
    linear: bool  #: units before their non-linearity
    same_scale: bool  #: one scale of colors for all rows

    def __post_init__(self) -> None:
        self._check_image()
        self._check_units()
        self._check_fill()
        for option in ("sigma", "norm"):
            if (getattr(self, option) or 0) < 0:
                raise UserError(f"--{option} must be at least 0, not {getattr(self, option)}")

    @property
    def wanted(self) -> Sequence[int | str]:
        """Features or units that are asked for."""
        return self.unit or self.feature or ()

    @property
    def of_exemplars(self) -> bool:
        """Whether the method finds inputs rather than maps."""
        return self.method in _EXEMPLARS

    def _check_image(self) -> None:
        if self.image is None and not self.of_exemplars:
            raise UserError(f"method {self.method} needs --image")
        if self.image is None and "top" in "".join(map(str, self.feature or ())):
            raise UserError(
                "--feature: topN are the features that respond most to an image; give --image"
            )

    def _check_units(self) -> None:
        if self.unit and self.method not in UNIT_METHODS:
            raise UserError(
                f"--unit: method {self.method} shows features; units have "
                + ", ".join(UNIT_METHODS)
            )
        if self.linear and not self.unit:
            raise UserError("--linear is for --unit")

    def _check_fill(self) -> None:
        if self.fill and self.method != "occlusion":
            raise UserError(f"--fill is for occlusion, not for {self.method}")
        if self.fill and len(self.fill) > 1 and set(self.fill) & set(FILLS):
            raise UserError(f"--fill: give numbers, or one of {', '.join(FILLS)} alone")


def title(request: Request) -> str:
    """Lines that say what the figure shows."""
    weights = Path(request.weights).name
    if weights == "shipped":
        weights = "surrogate" if request.network == "defauw" else "fold 0"
    image = f", {Path(request.image).name}" if request.image else ""
    methods: Mapping[str, str] = METHODS if request.unit is None else UNIT_METHODS
    return (
        f"{Path(request.network).name} (weights: {weights}), layer {request.layer}{image}\n"
        + methods[request.method].format(size=request.size)
        + _details(request)
    )


def _details(request: Request) -> str:
    """What else the numbers depend on."""
    if request.of_exemplars:
        norms: dict[float | None, str] = {None: "the norm of noise", 0: "any norm"}
        norm = norms.get(request.norm, f"norm {request.norm}")
        return f" of the central neuron, with {norm}; activations are linear"
    text, shown = "", request.wanted
    if request.unit:
        text += (
            f" of unit{'s' * (len(shown) > 1)} {', '.join(map(str, shown))}, "
            f"{'before' if request.linear else 'after'} its non-linearity"
        )
    if request.fill:
        text += ", filled with " + FILLS.get(
            str(request.fill[0]),
            " ".join(f"{each:g}" if isinstance(each, float) else each for each in request.fill),
        )
    if request.method == "occlusion" and request.stride > 1:
        text += f", stride {request.stride}, interpolated between the positions"
    if request.same_scale and len(shown) > 1:
        text += "; all rows in one scale"
    return text
