"""Render the Die360 images (thesis section 5.1)."""

from cnnviz.cli.commands import arguments
from cnnviz.datasets import die360
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError


def add_arguments(parser):
    parser.add_argument("--every", type=int, default=1, help="render every n-th view only")
    parser.add_argument("--size", type=int, default=die360.SIZE, help="pixels along each side")
    arguments.add_output(parser, ".npy file to write")


def run(args):
    if args.every < 1:
        raise UserError(f"--every must be at least 1, not {args.every}")
    a, b, _ = (column[:: args.every] for column in die360.angles())
    # Before the work, not after it.
    files.require_space(args.output.parent, 4 * len(a) * args.size**2)
    files.save_array(args.output, die360.render(a, b, args.size, progress=True))
