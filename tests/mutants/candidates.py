"""Every mutant that cosmic-ray can make of a file, and a sample of them that edits elsewhere do not change.

A mutant is one place and one operator. What no test should look at is passed over: annotations, type-checking blocks,
the texts of findings and errors, f-strings, `zip`'s strict, and the options of `dataclass`. So are operators that say
little: `is` in place of `==`, an arithmetic operator in place of a bitwise one (numpy and torch raise at once), and a
function without its decorator.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.ast.ast_query import ASTQuery
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from parso.tree import NodeOrLeaf

ARITHMETIC = {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"}
TEXTS = {"what", "where", "why", "mend"}  #: parameters of `findings.fail` that are sentences


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    room: str
    path: str  #: below toolchain/spikeport
    definition: str  #: the function or class around it
    line: int
    column: int
    operator: str
    occurrence: int  #: cosmic-ray's number of the place in the file
    text: str  #: the line before the change
    same: int  #: how many equal lines and operators stand before it in the definition

    @property
    def key(self) -> str:
        """A name that stays while the definition keeps the line."""
        return digest(self.path, self.definition, self.text, self.operator, self.same)[:12]


def digest(*values: object) -> str:
    """A number for a few values."""
    return hashlib.sha256("|".join(map(str, values)).encode()).hexdigest()


# -- all mutants of a file --------------------------------------------------------------------------------------------


def mutants(room: str, path: str, source: str) -> Iterator[Mutant]:
    """Every mutant of a file that is not passed over and still is Python."""
    nodes, lines, passed = list(ast_nodes(get_ast(source))), source.split("\n"), passed_over(source)
    equal: Counter[tuple[str, ...]] = Counter()
    for operator in operators():
        positions = get_operator(operator)().mutation_positions
        places = ((each, *place) for each in nodes for place in positions(each))
        for occurrence, (node, start, end) in enumerate(places):
            if starred(node) or any(first <= start and end <= last for first, last in passed):
                continue
            definition = ASTQuery(node).get_definition_name() or ""
            text = lines[start[0] - 1].strip()
            same = equal[definition, text, operator]
            equal[definition, text, operator] += 1
            yield Mutant(room, path, definition, *start, operator, occurrence, text, same)


def mutated(mutant: Mutant, source: str) -> str | None:
    """The file with the change made; None where that is no Python, or no change."""
    code = mutate_code(source, get_operator(mutant.operator)(), mutant.occurrence)
    try:
        changed = code is not None and ast.dump(ast.parse(code)) != ast.dump(ast.parse(source))
    except SyntaxError:
        return None
    return code if changed else None


@cache
def operators() -> tuple[str, ...]:
    """cosmic-ray's operators, without those that say little."""
    return tuple(name for name in operator_names() if not get_operator(name).arguments() and telling(name))


def telling(name: str) -> bool:
    """Whether a test that fails for this operator says something."""
    name = name.removeprefix("core/")
    if pair := re.fullmatch(r"ReplaceComparisonOperator_(\w+)_(\w+)", name):
        return sum("Is" in each for each in pair.groups()) != 1
    if pair := re.fullmatch(r"ReplaceBinaryOperator_(\w+)_(\w+)", name):
        return sum(each in ARITHMETIC for each in pair.groups()) != 1
    return name not in {"NoOp", "RemoveDecorator"}


# -- what is passed over ----------------------------------------------------------------------------------------------

Place = tuple[int, int]


def starred(node: NodeOrLeaf) -> bool:
    """Whether a `*` or `**` marks parameters or unpacks into a dict, which cosmic-ray takes for a product."""
    return node.type == "operator" and node.parent.type in {"parameters", "lambdef", "dictorsetmaker", "atom"}


def passed_over(source: str) -> list[tuple[Place, Place]]:
    """Where the parts that no test should look at begin and end."""
    lines = source.split("\n")

    def place(line: int, column: int) -> Place:
        return line, len(lines[line - 1].encode()[:column].decode())  # ast counts bytes, cosmic-ray characters

    return [
        (place(part.lineno, part.col_offset), place(part.end_lineno, part.end_col_offset))
        for node in ast.walk(ast.parse(source))
        for part in silent_parts(node)
        if part is not None
    ]


def silent_parts(node: ast.AST) -> list:
    """The parts of a node that say nothing about what is computed."""
    match node:
        case ast.arg() | ast.AnnAssign():
            return [node.annotation]
        case ast.FunctionDef():
            return [node.returns]
        case ast.ClassDef():
            return [each for each in node.decorator_list if "dataclass" in names([each])]
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return [node]
        case ast.JoinedStr():
            return [node]
        case ast.Raise(exc=ast.Call() as call):
            return [*call.args, *call.keywords]
        case ast.Call():
            return silent_arguments(node)
    return []


def silent_arguments(call: ast.Call) -> list:
    """The arguments that are texts, and `zip`'s strict."""
    name = next(iter(names([call.func])), "")
    if name == "zip":
        return [each for each in call.keywords if each.arg == "strict"]
    texts = [each for each in call.keywords if each.arg in TEXTS]
    return texts + {"fail": call.args, "require": call.args[1:], "Finding": call.args}.get(name, [])


def names(expressions: list[ast.expr]) -> list[str]:
    """What is called or read by each expression, without the module before it."""
    bare = [each.func if isinstance(each, ast.Call) else each for each in expressions]
    return [getattr(each, "attr", None) or getattr(each, "id", "") for each in bare]


# -- the sample -------------------------------------------------------------------------------------------------------


def shares(lines: dict[str, int], number: int) -> dict[str, int]:
    """How many of a number each room gets: in proportion to its lines, largest remainders first."""
    exact = {room: number * count / sum(lines.values()) for room, count in lines.items()}
    whole = {room: int(share) for room, share in exact.items()}
    rest = sorted(exact, key=lambda room: whole[room] - exact[room])[: number - sum(whole.values())]
    return {room: count + (room in rest) for room, count in whole.items()}


def sample(sources: dict[str, dict[str, str]], number: int, seed: str) -> list[Mutant]:
    """So many mutants of ``sources[room][path]``, drawn by a number that depends on the seed and the mutant alone.

    A place is drawn first and one of its operators with it, so that a `+`, of which there are six mutants, is drawn no
    more often than an `and`. The sample is in the order of those numbers: its first part is a sample, too.
    """
    lines = {room: sum(text.count("\n") for text in files.values()) for room, files in sources.items()}
    drawn = []
    for room, count in shares(lines, number).items():
        first: dict[tuple, tuple[str, Mutant]] = {}
        for path, source in sources[room].items():
            for mutant in mutants(room, path, source):
                spot, rank = (path, mutant.line, mutant.column), digest(seed, mutant.key)
                first[spot] = min(first.get(spot, (rank, mutant)), (rank, mutant), key=lambda pair: pair[0])
        order = sorted(first.values(), key=lambda pair: pair[0])
        valid = ((rank, each) for rank, each in order if mutated(each, sources[room][each.path]) is not None)
        drawn += [pair for pair, _ in zip(valid, range(count), strict=False)]
    return [mutant for _, mutant in sorted(drawn, key=lambda pair: pair[0])]
