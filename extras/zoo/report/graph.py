"""The drawing of a network: a box for each layer, and arrows to it from those it comes from."""
from math import ceil

import pygraphviz
from extras.zoo.report.svg import new_figure, svg  # before Matplotlib's own: it keeps MPLBACKEND from them
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

WIDTH, HEIGHT, MARGIN = 118, 26, 2  # of a box, and around all of them, in points, of which an inch has 72
LONGEST = 620  # of a part of a drawing, in points: less than the height of a page
MOST = 1000  # layers in a drawing: beyond it Graphviz may take minutes, and nobody would follow the arrows


def layout(layers):
    """Return where Graphviz places the layers of a network, the first at the top, and how it leads the arrows.

    Args:
        layers: as architecture() returns them.

    Returns:
        The size of the drawing, (width, height); the middle of each layer's box, [(x, y), ...]; and for each arrow the
        points of a Bézier curve, [[(x, y), ...], ...]. All in points, from the lower left.
    """
    graph = pygraphviz.AGraph(directed=True, nodesep=0.25, ranksep=0.22,
                              nslimit=1)  # Graphviz then gives up in seconds, not minutes, to place boxes even better
    graph.node_attr.update(shape="box", fixedsize=True, width=WIDTH / 72, height=HEIGHT / 72)
    graph.node_attr["label"] = ""  # a text would be measured, and for that the machine's fonts be looked for
    graph.edge_attr["arrowhead"] = "none"  # the curve then ends at the box
    number = {layer["name"]: i for i, layer in enumerate(layers)}  # to Graphviz some names would mean something
    graph.add_nodes_from(range(len(layers)))
    graph.add_edges_from((number[source], number[layer["name"]]) for layer in layers for source in layer["inbound"])
    graph.layout("dot")

    def points(item):
        return [tuple(map(float, point.split(","))) for point in item.attr["pos"].split()]

    _, _, width, height = map(float, graph.graph_attr["bb"].split(","))
    return (width, height), [points(node)[0] for node in graph.nodes()], [points(edge) for edge in graph.edges()]


def cuts(boxes, height):
    """Return where a drawing is cut between two rows of boxes, [(bottom, top), ...], the uppermost part first.

    If it is higher than LONGEST, its parts are about equally high; else it is one part.
    """
    rows = sorted({y for _, y in boxes}, reverse=True)
    top, parts = height + MARGIN, []
    highest = LONGEST if height <= LONGEST else height / ceil(height / (LONGEST - 2 * HEIGHT)) + 2 * HEIGHT
    for above, below in zip(rows, rows[1:]):
        if top - (below - HEIGHT / 2 - MARGIN) > highest:
            parts.append(((above + below) / 2, top))
            top = parts[-1][0]
    return [*parts, (-MARGIN, top)]


def draw(layers, salt):
    """Return a drawing of the layers, from the top to the bottom, as SVGs: one, or its parts if it is too long."""
    (width, height), boxes, arrows = layout(layers)
    return [draw_part(layers, boxes, arrows, width, bottom, top, f"{salt} {number}")
            for number, (bottom, top) in enumerate(cuts(boxes, height))]


def draw_part(layers, boxes, arrows, width, bottom, top, salt):
    """Return as SVG what of a drawing is between two heights; an arrow that is cut goes on in the next part."""
    figure = new_figure((width + 2 * MARGIN) / 72, (top - bottom) / 72)
    axis = figure.add_axes((0, 0, 1, 1), xlim=(-MARGIN, width + MARGIN), ylim=(bottom, top))
    axis.axis("off")
    for points in arrows:
        if min(y for _, y in points) > top or max(y for _, y in points) < bottom:
            continue
        curve = Path(points, [Path.MOVETO] + [Path.CURVE4] * (len(points) - 1))
        axis.add_patch(FancyArrowPatch(path=curve, arrowstyle="-|>", mutation_scale=8, color="#888888"))
    for layer, (x, y) in zip(layers, boxes):
        if not bottom < y < top:
            continue
        axis.add_patch(FancyBboxPatch((x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, facecolor="#dbe9f6",
                                      edgecolor="#0072b2", linewidth=0.8, boxstyle="round,pad=0,rounding_size=3"))
        about = layer["shape"] + (f", {layer['activation']}" if layer["activation"] else "")
        for text, above, size in (layer["type"], 5, 7.5), (about, -6, 6.5):
            axis.text(x, y + above, text if len(text) < 34 else text[:32] + "…", ha="center", va="center",
                      fontsize=size, color="#111111")
    return svg(figure, salt)
