"""The C writer: an inference graph -> one C file that needs nothing else.

The file takes uint8 pixels (R, R, 3) and returns the outputs of its card in float32. The text of its header is part of
it, so that it compiles by itself.
"""

from dataclasses import dataclass
from importlib.resources import files

from mobilenet.errors import ModelError
from mobilenet.export.c.header import arguments, header, identifiers, prefix_of
from mobilenet.export.c.layer import Layer, Memory
from mobilenet.export.c.layers import layers_of
from mobilenet.export.c.plan import small_plan, speed_plan
from mobilenet.export.c.tables import Tables
from mobilenet.model.card import ModelCard
from mobilenet.model.graph import Graph, QuantizedGraph
from mobilenet.model.outputs import SHORTEST
from mobilenet.model.seal import UNSEALED, seal
from mobilenet.model.suppression import Suppression
from mobilenet.runtimes.engines import Plan

__all__ = ["c_model", "footprint"]

_KERNELS = files("mobilenet.export.c") / "kernels"

_TIERS = {
    "float32": ("avx2_float32", "avx512_float32", "product512"),
    "int8": ("avx2_int8", "vnni_int8", "product512"),
}
"""The kernels of processors that look at what they have."""

_CODE_BYTES = 4096
"""More than the code takes on a microcontroller."""


def c_model(
    graph: Graph | QuantizedGraph, suppression: Suppression | None = None, name: str = "network", plan: Plan = "speed"
) -> bytes:
    """The sealed `.c` file of a graph: float32 for a `Graph`, int8 for a `QuantizedGraph`. Names in it begin with
    `name`, as far as C allows its characters. ModelError for a network too large for it."""
    if suppression is not None:
        raise ModelError("a C file returns the network's outputs, not boxes; export with --raw")
    card, made = graph.card, _made(graph, plan)
    precision = "float32" if isinstance(graph, Graph) else "int8"
    prefix = prefix_of(name)
    parts = [
        f"/* {UNSEALED} */\n",
        header(card, prefix, made.arena_bytes, made.flash_bytes),
        _settings(made, precision, plan),
        _kernel("types"),
        made.tables.text(),
        _kernel(f"plain_{precision}"),
        _kernel("vectors"),
        "#if X86 || DOT\n",
        _kernel("pixels"),
        "#endif\n\n#if X86\n",
        *map(_kernel, _TIERS[precision]),
        "#endif\n\n#if DOT\n",
        _kernel("dot_int8"),
        "#endif\n",
        *map(_kernel, ("dispatch", "driver", "outputs")),
        _functions(card, prefix),
    ]
    return seal("\n".join(parts).encode("ascii"))


def footprint(graph: Graph | QuantizedGraph, plan: Plan) -> tuple[int, int]:
    """Bytes of working memory and of flash memory that the C file of a graph will say it needs; it is not written."""
    made = _made(graph, plan)
    return made.arena_bytes, made.flash_bytes


@dataclass(frozen=True, slots=True)
class _Made:
    layers: tuple[Layer, ...]
    memory: Memory
    tables: Tables
    arena_bytes: int

    @property
    def flash_bytes(self) -> int:
        return self.tables.constant_bytes + _CODE_BYTES


def _made(graph: Graph | QuantizedGraph, plan: Plan) -> _Made:
    small = plan == "small"
    card, layers = graph.card, layers_of(graph, small=small)
    places = {layer.name: number for number, layer in enumerate(layers)}
    shown = [[places[row] for row in output.rows] for output in card.network_outputs]
    memory = (small_plan if small else speed_plan)(layers, frozenset(number for numbers in shown for number in numbers))
    made = Tables(layers, memory, shown, card.preprocessing.mean, small=small)
    return _Made(layers, memory, made, memory.values * (4 if isinstance(graph, Graph) else 1))


def _kernel(name: str) -> str:
    return (_KERNELS / f"{name}.c").read_text("ascii")


def _settings(made: _Made, precision: str, plan: Plan) -> str:
    layers, places = made.layers, made.memory.places
    rows = max(
        (place.step - 1) * layer.stride + max(layer.window, 1) for layer, place in zip(layers, places, strict=True)
    )
    numbers = {
        "SMALL": int(plan == "small"),
        "FLOAT32": int(precision == "float32"),
        "LAYERS": len(layers),
        "MOST_ROWS": rows,
        "MOST_STEP": max(place.step for place in places),
        "TILE_AT": made.memory.tile,
    }
    return "".join(f"#define {name} {value}\n" for name, value in numbers.items()) + f"#define SHORTEST {SHORTEST}f\n"


def _functions(card: ModelCard, prefix: str) -> str:
    """The functions that the header declares."""
    own = identifiers(card)
    names = ["rgb", *own]
    lines, row = "", 0
    for name, output in zip(own, card.outputs, strict=True):
        for _ in output.rows:
            lines += f"    read_output(values, &shown[{row}], {name});\n"
            row += 1
        if output.ending != "none":
            lines += f"    {output.ending}({name}, {output.size}, {output.shape[-1] if output.shape else 1});\n"
    return f"""int {prefix}_run_in(void *arena, {arguments(card)})
{{
    value_t *values = (value_t *)arena;
    if (!arena || (uintptr_t)arena % 16 || {" || ".join(f"!{name}" for name in names)})
        return -1;
    run_layers(chosen_kernels(), values, rgb);
{lines}    return 0;
}}

#ifndef {prefix.upper()}_NO_ARENA
int {prefix}_run({arguments(card)})
{{
#ifdef __GNUC__
    __attribute__((aligned(64)))
#endif
    static union {{
        uint64_t alignment[2];
        unsigned char bytes[{prefix.upper()}_ARENA_BYTES];
    }} arena;
    return {prefix}_run_in(&arena, {", ".join(names)});
}}
#endif
"""
