"""A copier saves more than weights: Keras's model with its optimizer and schedule, PyTorch's optimizer and schedule."""
import pytest
from test_scripts import ROOT, lines_of, python

ENGINES = ["tensorflow", *(pytest.param(engine, marks=pytest.mark.slow) for engine in ("jax", "torch"))]
KERAS = """
import numpy as np, {script} as s
rng = np.random.default_rng(0)
x, y = rng.random((12 * s.BATCH_SIZE, *{shape}), np.float32), rng.integers(10, size=12 * s.BATCH_SIZE)
batch = lambda i: (x[i * s.BATCH_SIZE:][:s.BATCH_SIZE], y[i * s.BATCH_SIZE:][:s.BATCH_SIZE])
"""
TRAIN = """
s.keras.utils.set_random_seed(0)
model = s.build_model()
s.compile_model(model, 10)
rates = []
for i in range(12):  # two steps more than the schedule has
    rates.append(float(model.optimizer.learning_rate))
    before = model.get_weights()
    model.fit(*batch(i), s.BATCH_SIZE, verbose=0)
    change = max(abs(w - b).max() for w, b in zip(model.get_weights(), before))
    if i in (1, 4, 10, 11):
        print(i, bool(change > 1e-5), bool(change < 1e-7))
    if i == 4:
        model.save("half.keras")
np.testing.assert_allclose(rates, np.interp(range(12), [0, 2, 10], [0, s.LEARNING_RATE, 0]), atol=1e-6)
np.savez("whole.npz", *model.get_weights())
"""
GO_ON = """
model = s.keras.saving.load_model("half.keras")
print(int(model.optimizer.iterations))
for i in range(5, 12):
    model.fit(*batch(i), s.BATCH_SIZE, verbose=0)
for w, right in zip(model.get_weights(), np.load("whole.npz").values()):
    np.testing.assert_allclose(w, right, atol=1e-6)
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("script, shape", [
    ("mlp_keras", "(784,)"), pytest.param("conv_keras", "(28, 28, 1)", marks=pytest.mark.slow)])
def test_keras_loads_a_model_in_the_middle_of_its_schedule_and_goes_on(script, shape, engine, tmp_path):
    start = KERAS.format(script=script, shape=shape)
    lines = lines_of(python("-c", start + TRAIN, folder=tmp_path, PYTHONPATH=str(ROOT), KERAS_BACKEND=engine))
    assert lines == ["1 True False", "4 True False", "10 False True", "11 False True"]
    assert lines_of(python("-c", start + GO_ON, folder=tmp_path, PYTHONPATH=str(ROOT), KERAS_BACKEND=engine)) == ["5"]


TORCH = """
import {script} as s
schedules, own = [], s.optim.lr_scheduler.LambdaLR
s.optim.lr_scheduler.LambdaLR = lambda *arguments: schedules.append(own(*arguments)) or schedules[0]
model, _ = s.train(1)
optimizer = schedules[0].optimizer
parts = {{"model": model, "optimizer": optimizer, "schedule": schedules[0]}}
s.torch.save({{name: part.state_dict() for name, part in parts.items()}}, "whole.pt")
for name, state in s.torch.load("whole.pt").items():
    parts[name].load_state_dict(state)
print([group["lr"] for group in optimizer.param_groups])
(x, y), *_ = s.mnist.load_data(reshape={shape})
before = [w.clone() for w in model.parameters()]
for _ in range(2):  # two steps more than the schedule has
    s.step(*(s.torch.from_numpy(a[:64]).to(s.DEVICE) for a in (x, y)), model, optimizer, schedules[0])
    print(all(map(s.torch.equal, model.parameters(), before)), optimizer.param_groups[0]["lr"])
"""


@pytest.mark.parametrize("script, shape", [("mlp_torch", 784), ("conv_torch", (1, 28, 28))])
def test_pytorch_loads_optimizer_and_schedule_and_the_rate_stays_zero(script, shape, tmp_path):
    process = python("-c", TORCH.format(script=script, shape=shape), folder=tmp_path, PYTHONPATH=str(ROOT))
    assert lines_of(process)[-3:] == ["[0.0]", "True 0.0", "True 0.0"]
