"""The architectures of chapter 5's networks, as data (thesis section 5.2, Table 5.1)."""

from dataclasses import dataclass, replace

from cnnviz.runtime.errors import UserError

__all__ = ["ARCHITECTURES", "CONVOLUTIONAL", "EXTRA", "NAMES", "Architecture", "architecture"]


@dataclass(frozen=True)
class Architecture:
    """A network that counts pips: convolutional, or a perceptron with one hidden layer.

    Parameters
    ----------
    name : str
    blocks : tuple of int
        Convolutions before each pooling layer; empty for a perceptron.
    hidden : int
        Hidden units of a perceptron.
    units : {"rectifier", "sigmoid"}
        Non-linearity of the convolutions.
    """

    name: str
    blocks: tuple[int, ...] = ()
    hidden: int = 0
    units: str = "rectifier"

    @property
    def is_convolutional(self) -> bool:
        """Whether it has convolutions, and so feature maps."""
        return bool(self.blocks)

    @property
    def depth(self) -> int:
        """Number of its convolutions."""
        return sum(self.blocks)

    @property
    def pooling_layers(self) -> tuple[str, ...]:
        """Names of its pooling layers."""
        return tuple(f"pool{k}" for k in range(1, len(self.blocks) + 1))


_TABLE_5_1 = (
    Architecture("c1", (1,)),
    Architecture("c2", (1, 1)),
    Architecture("c3", (1, 1, 1)),
    Architecture("c4", (1, 1, 1, 1)),
    Architecture("c9", (3, 3, 3)),
    Architecture("d5", hidden=5),
    Architecture("d10", hidden=10),
    Architecture("d20", hidden=20),
)
NAMES = tuple(each.name for each in _TABLE_5_1)
CONVOLUTIONAL = tuple(each.name for each in _TABLE_5_1 if each.is_convolutional)
#: Those of Table 5.1, and the convolutional ones with saturating units, which section 6 asks about.
ARCHITECTURES: dict[str, Architecture] = {each.name: each for each in _TABLE_5_1} | {
    f"{each.name}_sigmoid": replace(each, name=f"{each.name}_sigmoid", units="sigmoid")
    for each in _TABLE_5_1
    if each.is_convolutional
}
EXTRA = ("c4_sigmoid",)  #: of these, that which is trained and shipped


def architecture(name: str) -> Architecture:
    """The architecture of a name.

    Raises
    ------
    UserError
        For an unknown one.
    """
    if name not in ARCHITECTURES:
        raise UserError(f"unknown network '{name}'; choose one of " + ", ".join(NAMES + EXTRA))
    return ARCHITECTURES[name]
