"""Fits a model and counts the zeros of its kernels."""


def kernels(model):
    return [
        w
        for v, w in zip(model.weights, model.get_weights(), strict=True)
        if v.name == "kernel"
    ]


def zeros(model):
    return sum(int((k == 0).sum()) for k in kernels(model))


def size(model):
    return sum(k.size for k in kernels(model))


def fit(model, data, *callbacks, **arguments):
    arguments = {"epochs": 4, "batch_size": 16, "verbose": 0, **arguments}
    return model.fit(*data, callbacks=list(callbacks), **arguments)
