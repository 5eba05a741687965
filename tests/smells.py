"""What the rooms refuse, found in the syntax tree. Each function yields places to look at."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator

from scripts.budget import Source, functions

MARKUP = re.compile(
    r"</?(?:a|article|body|button|dialog|div|form|h[1-6]|head|html|iframe|img|input|label|li|link"
    r"|meta|nav|ol|option|p|pre|script|section|select|span|style|svg|table|tbody|td|template"
    r"|textarea|th|thead|time|title|tr|ul)(?:\s[^<>]*)?/?>"
)
JAVASCRIPT = re.compile(
    r"\bfunction\s*\w*\(|\)\s*=>|\baddEventListener\b|\bdocument\.\w|\bwindow\.\w|\bconst \w+ ="
)
DIRECTIVE = re.compile(
    r"#\s*(?:noqa|type:\s*ignore|pragma)(?P<code>[:\[][^\s\]]*\]?)?(?P<reason>.*)"
)
ISSUE = re.compile(r"\b(?:issue #?\d|todo\b|fixme\b)", re.IGNORECASE)
SMALL_SHAPE = 4
SPEC_TYPES = {
    *("BaseTarget", "Target", "UrlTarget", "NamedTarget", "Stop"),
    *("LoadModel", "Open", "Closed", "Burst", "Periodic"),
}
"""Classes of a target, a stop and a load, which are asked for properties outside the domain."""


def markup(source: Source) -> Iterator[str]:
    """HTML or JavaScript inside strings that are not docstrings."""
    documentation = {id(node) for node in _docstrings(source)}
    for node in source.nodes:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if id(node) not in documentation and (
            MARKUP.search(node.value) or JAVASCRIPT.search(node.value)
        ):
            yield f"{source.path}:{node.lineno} {node.value[:60]!r}"


def _docstrings(source: Source) -> Iterator[ast.expr]:
    for node in source.nodes:
        if isinstance(node, ast.Expr):
            yield node.value


def pass_through(source: Source) -> Iterator[str]:
    """Undecorated functions that only hand their own arguments on, in their own order."""
    for function in functions(source):
        node = function.node
        statements = [statement for statement in node.body if not _is_docstring(statement)]
        if len(statements) != 1 or node.decorator_list or node.name.startswith("__"):
            continue
        taken = [
            argument.arg
            for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        ]
        taken = [name for name in taken if name not in {"self", "cls"}]
        if taken and _handed_on(statements[0]) == taken:
            yield function.where


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


_ADDING = re.compile(r"(_?[A-Z][A-Z_0-9]+|adapter\(.+\))\.")


def _handed_on(statement: ast.stmt) -> list[str]:
    """Names of the arguments when the statement is one call with plain names, else none.

    A method of a module's constant or of an adapter adds that: not meant.
    """
    value = statement.value if isinstance(statement, ast.Return | ast.Expr) else None
    call = value.value if isinstance(value, ast.Await) else value
    if not isinstance(call, ast.Call) or _ADDING.match(ast.unparse(call.func)):
        return []
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    names = [value.id for value in given if isinstance(value, ast.Name)]
    return names if len(names) == len(given) else []


def broad_excepts(source: Source) -> Iterator[str]:
    """Handlers and `suppress` for everything, except those that clean up and raise again."""
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _raises_again(node):
            yield f"{source.path}:{node.lineno}"
        if isinstance(node, ast.Call) and _name(node.func) == "suppress":
            yield from (f"{source.path}:{node.lineno}" for caught in node.args if _is_broad(caught))


def _name(function: ast.expr) -> str:
    """The last part of a dotted name; "" of anything else."""
    match function:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
    return ""


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(part) for part in caught.elts)
    return caught is None or ast.unparse(caught) in {"Exception", "BaseException"}


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def shapes(sources: list[Source]) -> Iterator[str]:
    """Dictionaries with the same four or more keys, written out in more than one place."""
    places: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for source in sources:
        for node in source.nodes:
            if isinstance(node, ast.Dict) and len(keys := _literal_keys(node)) >= SMALL_SHAPE:
                places[keys].append(f"{source.path}:{node.lineno}")
    for keys, where in places.items():
        if len(where) > 1:
            yield f"{', '.join(where)}: {', '.join(keys)}"


def _literal_keys(node: ast.Dict) -> tuple[str, ...]:
    keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
    return tuple(sorted(key for key in keys if isinstance(key, str)))


def unexplained(source: Source) -> Iterator[str]:
    """Exceptions to a check without a code or a reason, and comments about the work."""
    if not (DIRECTIVE.search(source.text) or ISSUE.search(source.text)):
        return
    for line, comment in source.comments:
        directive = DIRECTIVE.search(comment)
        reasoned = directive and directive["code"] and re.search(r"\w+ \w+", directive["reason"])
        if (directive and not reasoned) or ISSUE.search(comment):
            yield f"{source.path}:{line} {comment}"


def imported_modules(source: Source) -> Iterator[str]:
    """Absolute names of everything imported, at any depth of the file."""
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def namesakes(names: Iterator[tuple[str, str]], allowed: set[str]) -> Iterator[str]:
    """Names that stand for more than one thing, with the files; `allowed` ones may."""
    places: dict[str, list[str]] = defaultdict(list)
    for name, path in names:
        places[name].append(path)
    for name, paths in sorted(places.items()):
        if len(paths) > 1 and name not in allowed:
            yield f"{name}: {', '.join(paths)}"


def module_names(sources: list[Source]) -> Iterator[tuple[str, str]]:
    """The last part of the name of each module that is not a package, with its file."""
    for source in sources:
        name = source.path.rpartition("/")[2].removesuffix(".py")
        if not name.startswith("__"):
            yield name, source.path


def class_names(sources: list[Source]) -> Iterator[tuple[str, str]]:
    """The name of each class, at any depth, with its file."""
    for source in sources:
        for node in source.nodes:
            if isinstance(node, ast.ClassDef):
                yield node.name, source.path


def value_names(sources: list[Source]) -> Iterator[tuple[str, str]]:
    """The public name of each constant and type alias of a module, with its file."""
    for source in sources:
        for statement in source.tree.body:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
            nodes = [node for target in targets for node in ast.walk(target)]
            names = [node.id for node in nodes if isinstance(node, ast.Name)]
            yield from ((name, source.path) for name in names if not name.startswith("_"))


def unnamed(source: Source) -> Iterator[str]:
    """Variables and arguments called `one` in place of what they hold."""
    if not re.search(r"\bone\b", source.text):
        return
    for node in source.nodes:
        match node:
            case ast.Name(id="one", ctx=ast.Store()) | ast.arg(arg="one"):
                yield f"{source.path}:{node.lineno}"


def asks_for_class(source: Source) -> Iterator[str]:
    """Questions for the class of a target, a stop or a load: `isinstance`, or a case of `match`."""
    for node in source.nodes:
        if isinstance(node, ast.MatchClass):
            asked: list[ast.expr] = [node.cls]
        elif isinstance(node, ast.Call) and _name(node.func) == "isinstance":
            asked = node.args[1:]
        else:
            continue
        names = {name for part in asked for name in re.findall(r"\w+", ast.unparse(part))}
        if names & SPEC_TYPES:
            yield f"{source.path}:{node.lineno} {', '.join(sorted(names))}"


_FROM_A_TEST = re.compile(r"\bfrom\s+\S*\btest_")


def taken_fixtures(files: list[Source]) -> Iterator[str]:
    """Fixtures that a file of tests imports from another: those of several belong in a conftest."""
    fixtures = {
        (file.path.removesuffix(".py").replace("/", "."), function.node.name)
        for file in files
        if "pytest.fixture" in file.text
        for function in functions(file)
        if any("pytest.fixture" in ast.unparse(each) for each in function.node.decorator_list)
    }
    for file in files:
        if not _FROM_A_TEST.search(file.text):
            continue
        for node in file.nodes:
            if isinstance(node, ast.ImportFrom) and "test_" in str(node.module):
                taken = {each.name for each in node.names if (node.module, each.name) in fixtures}
                yield from (f"{file.path}:{node.lineno} {name}" for name in sorted(taken))
