"""An image with other pixels in a rectangle, evaluated on what one neuron sees."""
import numpy as np

from cnnviz.local import windows
from cnnviz.local.forward import Occluded

__all__ = ["Changed"]


class Changed(Occluded):
    """Activations of one neuron of every feature, of an image changed in a rectangle.

    As :class:`cnnviz.local.forward.Occluded`, but any pixels take the place of the
    occluder's.

    Parameters
    ----------
    stack : cnnviz.local.Stack
    """

    def keep(self, image, count):
        """Keep the activations of an image that is to be changed in ``count`` ways.

        Parameters
        ----------
        image : array, ``(1, channels, rows, columns)``
        count : int

        Returns
        -------
        array, ``(1, channels, rows, columns)``
            The stack's last maps.
        """
        return super().keep(np.repeat(image, count, axis=0), 0)[:1]

    def __call__(self, images, box, neuron):
        """One pass.

        Parameters
        ----------
        images : array, ``(count, channels, rows, columns)``
            The kept image with other pixels within the box.
        box : (first row, first column, end row, end column)
        neuron : (row, column)
            In the last map.

        Returns
        -------
        array, ``(count, channels)``
            The neuron's activations.
        """
        stack, count = self.stack, len(images)
        self._kept[0].set_value(np.ascontiguousarray(np.moveaxis(images, 1, -1)),
                                borrow=True)
        held = windows.forward_windows(
            stack.blocks, stack.shapes, np.tile(box[:2], (count, 1)),
            np.subtract(box[2:], box[:2]), np.tile(neuron, (count, 1)))
        hidden = np.zeros((count, 4), int)  # nothing
        arguments = [each for window in held[1:] for each in (window.start, *window.size)]
        return self._pass(np.arange(count), hidden, *arguments)[:, :, 0, 0]
