"""The rooms of the package: imports go one way."""

import ast
from pathlib import Path

import cnnviz

SOURCE = Path(cnnviz.__file__).parent

#: Each room may import from those of lower numbers, and from the others of its own.
STOREYS = [
    {"engine"},
    {"runtime"},
    {"datasets", "networks"},
    {"training", "attribution"},
    {"feature_visualization", "dissection", "evaluation"},
    {"experiments"},
    {"thesis"},
    {"cli"},
]
#: Modules that import this much at the most: the engine is a library by itself.
ALONE = {"engine"}


def modules():
    """From the dotted name of every module to its file."""
    return {
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in SOURCE.rglob("*.py")
    }


class WithoutTypes(ast.NodeTransformer):
    """Leaves out what is imported for annotations only."""

    def visit_If(self, node):
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else node


def imported(path, known, types=True):
    """Modules of the package that a file imports, anywhere in it; for its types, too."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree if types else WithoutTypes().visit(tree)):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def room(module):
    """The package under cnnviz that a module stands in, or None."""
    parts = module.split(".")
    return parts[1] if parts[0] == "cnnviz" and len(parts) > 1 else None


def test_every_room_has_its_storey():
    assert {room(name) for name in modules()} - {None} == set().union(*STOREYS)


def test_imports_go_one_way():
    known = modules()
    storey = {name: k for k, names in enumerate(STOREYS) for name in names}
    upward = []
    for name, path in known.items():
        here = room(name)
        for other in imported(path, known):
            there = room(other)
            if here is None or there is None or here == there:
                continue
            if storey[there] > storey[here] or here in ALONE:
                upward.append(f"{name} imports {other}")
    assert not upward, "\n".join(sorted(upward))


def test_no_module_imports_itself_by_way_of_others():
    known = modules()
    graph = {
        name: {
            other
            for other in imported(path, known, types=False)
            if other in known and other != name
        }
        for name, path in known.items()
    }
    # What lies on a cycle is what remains when modules that import nothing that remains go.
    while leaves := [name for name, others in graph.items() if not others & graph.keys()]:
        for name in leaves:
            del graph[name]
    while ends := set(graph) - set().union(*graph.values(), set()):
        for name in ends:
            del graph[name]
    assert not graph, "\n".join(
        f"{name}: {others & graph.keys()}" for name, others in graph.items()
    )


# --- Sizes --------------------------------------------------------------------------

LONGEST_MODULE = 420  # lines
LONGEST_FUNCTION = 40  # lines without the docstring


def own_lines(function):
    """Lines of a function's body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return function.end_lineno - body[0].lineno + 1 if body else 0


def test_modules_and_functions_are_short():
    """Parameters are counted by ruff (PLR0913)."""
    long = []
    for name, path in modules().items():
        text = path.read_text()
        if len(text.splitlines()) > LONGEST_MODULE:
            long.append(f"{name}: {len(text.splitlines())} lines")
        long += [
            f"{name}.{node.name}: {own_lines(node)} lines"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef) and own_lines(node) > LONGEST_FUNCTION
        ]
    assert not long, "\n".join(long)


# --- Types --------------------------------------------------------------------------


def is_kernel(function):
    """Whether Numba compiles it, for whatever it is given."""
    return any(
        ast.unparse(decorator).split("(")[0] in ("_jit", "_entry", "_inline", "numba.njit")
        for decorator in function.decorator_list
    )


def public_functions(tree):
    """Functions of a module, and methods of its classes, with names that are not private."""
    for node in tree.body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        if isinstance(node, ast.ClassDef) and node.name.startswith("_"):
            continue
        for member in members:
            if isinstance(member, ast.FunctionDef) and (
                not member.name.startswith("_") or member.name in ("__init__", "__call__")
            ):
                yield member, isinstance(node, ast.ClassDef)


def lacks_types(function, is_method):
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    if is_method and not any(
        ast.unparse(decorator) == "staticmethod" for decorator in function.decorator_list
    ):
        every = every[1:]
    every += [each for each in (arguments.vararg, arguments.kwarg) if each]
    return function.returns is None or any(each.annotation is None for each in every)


def test_everything_public_has_types():
    """What mypy then checks."""
    bare = [
        f"{name}.{function.name}"
        for name, path in modules().items()
        for function, is_method in public_functions(ast.parse(path.read_text()))
        if lacks_types(function, is_method) and not is_kernel(function)
    ]
    assert not bare, "\n".join(bare)
