"""The layers of a Keras model, as the report's tables and drawings show them."""
import inspect
import json
import re
from copy import deepcopy

from extras.zoo.report.words import count, cut, words

SHOWN = ["activation", "kernel_size", "pool_size", "strides", "padding"]  # of a layer, also where they are the default


def inbound(value):
    """Return the names of the layers from which the tensors in a serialised call come, in order."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return [value["config"]["keras_history"][0]]
        value = list(value.values())
    return [name for each in value for name in inbound(each)] if isinstance(value, (list, tuple)) else []


def shape_words(shape):
    """Return an output shape without its batch, (None, 26, 26, 32), as "26 × 26 × 32"; several as a list."""
    if isinstance(shape, dict):
        shape = list(shape.values())
    if shape and not isinstance(shape[0], (int, type(None))):
        return "; ".join(map(shape_words, shape))
    return " × ".join("any" if size is None else f"{size}" for size in shape[1:]) or "scalar"


def output_shape(layer):
    """Return the shape of what a layer returns, in words; of several tensors, however nested, each shape."""
    from extras.zoo.training import keras
    return shape_words([tensor.shape for tensor in keras.tree.flatten(layer.output)])


def inner_layers(model, name):
    """Return the layers of a model that is itself a layer called `name`, with their names after its own, and its key.

    Its inputs are left out, since they repeat what leads to the model: what comes from them has `name` as inbound.
    """
    layers, key = architecture(model)
    inputs = {layer["name"] for layer in layers if layer["type"] == "InputLayer"}
    return [layer | {"name": f"{name}/{layer['name']}", "depth": layer["depth"] + 1,
                     "inbound": list(dict.fromkeys(name if source in inputs else f"{name}/{source}"
                                                   for source in layer["inbound"]))}
            for layer in layers if layer["name"] not in inputs], key


def without_names(value):
    """Return a layer's config without what differs from run to run: the names Keras counts, the seeds."""
    if isinstance(value, dict):
        passing = ("name", "seed", "build_config")
        return {name: without_names(each) for name, each in value.items() if name not in passing}
    return [without_names(each) for each in value] if isinstance(value, (list, tuple)) else value


def option(value):
    """Return a setting of a layer in words; of what Keras serialised, the name of its class and its settings."""
    if isinstance(value, dict) and "class_name" in value:
        config = value.get("config")
        if value["class_name"].endswith("DTypePolicy"):
            return config["name"]
        if isinstance(config, dict) and "dtype" in config:  # a layer within a layer, such as that of a Bidirectional
            inner = within(value)
        else:
            inner = ", ".join(f"{name} {option(each)}" for name, each in without_names(config).items()
                              if each is not None) if isinstance(config, dict) else ""
        return value["class_name"] + (f" ({inner})" if inner else "")
    if isinstance(value, (list, tuple)) and any(isinstance(each, dict) for each in value):
        return ", ".join(map(option, value))
    return words(list(value) if isinstance(value, tuple) else value)


def within(value):
    """Return the settings of a serialised layer in words, "" if Keras cannot make it anew."""
    from extras.zoo.training import keras
    try:
        layer = keras.layers.deserialize(value)
        return count(len(layer.layers), "layer") if isinstance(layer, keras.Model) else configuration(layer)
    except Exception:  # the name of its class then has to do
        return ""


def configuration(layer):
    """Return the settings of a layer in words: those it was given, and the most telling ones."""
    config = layer.get_config()
    parameters = inspect.signature(type(layer).__init__).parameters.values()
    required = [p.name for p in parameters if p.name in config and (p.default is p.empty or p.name == "batch_shape")]
    try:
        default = type(layer).from_config({name: deepcopy(config[name]) for name in required}).get_config()
    except Exception:  # some layers take no serialised arguments; then all settings are shown
        default = {}
    shown = [name for name in config if name in required or name in SHOWN and config[name] is not None
             or config[name] != default.get(name) and without_names(config[name]) != without_names(default.get(name))]
    return cut(", ".join(f"{name.replace('_', ' ')} {option(config[name])}" for name in shown
                         if name not in ("name", "dtype", "seed", "batch_shape")))


def has_layers(model):
    """Return whether Keras knows how the layers of a model are connected: not of one with a call() of its own."""
    return hasattr(model, "operations") or bool(getattr(model, "inputs", None))


def architecture(model):
    """Return a model's layers as a list of dicts, and a key that two models of the same network share.

    A layer has name, type, shape, configuration, parameters, inbound (names of layers), activation ("" for none) and
    depth: 0, or 1 for the layers of a model among the layers, which follow it as "model/layer", and so on.
    Names that Keras counted up are counted anew, so that they do not depend on what else a process had built.
    """
    from extras.zoo.training import keras
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs, model.outputs)  # the same layers, and the input one of them
    entries = {entry["config"]["name"]: entry for entry in model.get_config()["layers"]}
    kinds = [type(layer).__name__ for layer in model.operations]
    names, numbers, layers, key = {}, {}, [], []
    for layer, kind in zip(model.operations, kinds):
        automatic = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)).lower()
        numbers[kind] = numbers.get(kind, 0) + 1
        counted = automatic if kinds.count(kind) == 1 else f"{automatic}_{numbers[kind]}"
        names[layer.name] = counted if re.fullmatch(rf"{automatic}(_\d+)?", layer.name) else layer.name
    for layer, kind in zip(model.operations, kinds):
        sources = list(dict.fromkeys(inbound(entries[layer.name].get("inbound_nodes", []))))
        parameters = layer.count_params() if hasattr(layer, "count_params") else 0
        activation = layer.get_config().get("activation")
        row = {
            "name": names[layer.name], "type": kind, "shape": output_shape(layer),
            "configuration": count(len(layer.layers), "layer") if isinstance(layer, keras.Model)
            else configuration(layer),
            "parameters": f"{parameters:,}", "inbound": [names[name] for name in sources],
            "activation": activation if isinstance(activation, str) else "", "depth": 0}
        inner, settings = [], without_names(layer.get_config())
        if isinstance(layer, keras.Model) and has_layers(layer):
            inner, settings = inner_layers(layer, row["name"])
        layers += [row, *inner]
        key.append([kind, settings, row["shape"], parameters,
                    [list(names).index(name) for name in sources]])
    return layers, json.dumps(key, sort_keys=True, default=str)
