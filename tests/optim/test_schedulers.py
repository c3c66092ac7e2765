"""Schedulers against PyTorch's frozen learning rates, their state dicts, warnings and errors."""

import copy
import json
import pickle
import re

import numpy as np
import pytest
from optim_cases import FIXTURES
from scheduler_cases import RUNS, SCHEDULERS, STEPS, Falling, advance, make, plain, trace

import tinygrad_loss as tg
from tinygrad_loss.optim import SGD, Adagrad, Adam, lr_scheduler

FROZEN = np.load(FIXTURES / "schedulers.npz")
STATES = json.loads((FIXTURES / "schedulers.json").read_text(encoding="utf-8"))
# what holds no function that a copy or a pickle would have to carry
PLAIN = [case for case in SCHEDULERS if not case.startswith(("LambdaLR", "MultiplicativeLR"))]
CLOSED = ["StepLR-gamma", "MultiStepLR", "ConstantLR-factor", "LinearLR-down", "ExponentialLR", "PolynomialLR-power",
          "CosineAnnealingLR-again"]  # fmt: skip


def optimizer_of(lr=0.5, **options):
    return SGD([tg.zeros(2, requires_grad=True)], lr=lr, **options)


def stepped(scheduler, count):
    for epoch in range(count):
        advance(scheduler, epoch)
    return scheduler


# ---- against PyTorch -----------------------------------------------------------------------------


@pytest.mark.parametrize("run", RUNS, ids="/".join)
def test_a_hundred_steps_give_pytorchs_rates_and_momenta(run):
    ours, theirs = np.array(trace(tg, *run)).T, FROZEN["/".join(run)]
    assert ours.shape == theirs.shape == (4, STEPS + 1)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=0)
    assert np.ptp(theirs, axis=1)[::2].min() > 0


@pytest.mark.parametrize("case", SCHEDULERS)
def test_the_state_dict_is_pytorchs(case):
    ours, theirs = plain(stepped(make(tg, case), 5).state_dict()), STATES[case]

    def compare(a, b):
        if isinstance(b, dict):
            assert a.keys() == b.keys()
            for key in b:
                compare(a[key], b[key])
        elif isinstance(b, list):
            assert len(a) == len(b)
            for x, y in zip(a, b, strict=True):
                compare(x, y)
        else:
            assert a == pytest.approx(b, rel=1e-12) if isinstance(b, float) else a == b

    compare(ours, theirs)


def test_the_table_covers_every_scheduler():
    assert {case.split("-")[0] for case in SCHEDULERS} == set(lr_scheduler.__all__) - {"LRScheduler"}


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:Detected call")  # PyTorch's own, in a chain within a sequence
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("case", SCHEDULERS)
def test_a_hundred_steps_give_live_pytorchs_rates(case, optimizer):
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(trace(tg, case, optimizer), trace(torch, case, optimizer), rtol=1e-12, atol=0)
    ours, theirs = (stepped(make(f, case, optimizer), 7).state_dict() for f in (tg, torch))
    assert plain(ours).keys() == plain(theirs).keys()


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:The epoch parameter")
@pytest.mark.parametrize("case", [*CLOSED, "LambdaLR", "MultiplicativeLR", "CosineAnnealingWarmRestarts-longer"])
def test_going_to_an_epoch_gives_live_pytorchs_rates(case):
    torch = pytest.importorskip("torch")
    ours, theirs = make(tg, case), make(torch, case)
    for epoch in [5, 0, 60, 61, 12, 99.25 if "Warm" in case else 99]:
        for scheduler in (ours, theirs):
            scheduler.optimizer.step()
            scheduler.step(epoch)
        np.testing.assert_allclose(ours.get_last_lr(), theirs.get_last_lr(), rtol=1e-12)


@pytest.mark.parity
@pytest.mark.parametrize("case", [c for c in SCHEDULERS if not c.startswith(("Sequential", "Chained", "Reduce"))])
def test_going_on_from_a_last_epoch_gives_live_pytorchs_rates(case):
    torch = pytest.importorskip("torch")
    rates = []
    for framework in (tg, torch):
        scheduler = stepped(make(framework, case), 9)
        other = make_from(framework, case, scheduler.optimizer, 9)
        rates.append([other.get_last_lr(), stepped(other, 5).get_last_lr()])
    np.testing.assert_allclose(*rates, rtol=1e-12)


def make_from(framework, case, optimizer, last_epoch):
    class Recorder:
        """The module `lr_scheduler`, every class of which begins at an epoch."""

        def __getattr__(self, name):
            return lambda *args, **kw: getattr(framework.optim.lr_scheduler, name)(*args, last_epoch=last_epoch, **kw)

    return SCHEDULERS[case](Recorder(), optimizer)


# ---- closed forms, Tensors -----------------------------------------------------------------------


@pytest.mark.parametrize("case", CLOSED)
def test_the_closed_form_agrees_with_the_steps(case):
    walked, jumped = make(tg, case), make(tg, case)
    for epoch in range(1, 60):
        advance(walked, epoch)
        jumped.optimizer.step()
        with pytest.warns(UserWarning, match="The epoch parameter"):
            jumped.step(epoch)
        np.testing.assert_allclose(jumped.get_last_lr(), walked.get_last_lr(), rtol=1e-10)
        assert jumped.last_epoch == walked.last_epoch == epoch


@pytest.mark.parametrize("case", SCHEDULERS)
def test_a_tensor_as_learning_rate_is_written_into(case):
    def with_rates(rates):
        params = [{"params": [tg.zeros(2, requires_grad=True)], "lr": rate} for rate in rates]
        return SCHEDULERS[case](lr_scheduler, SGD(params, lr=0.1, momentum=0.5))

    tensors = [tg.tensor(x, dtype=tg.float64) for x in (0.05, 0.025)]
    ours, reference = with_rates(tensors), with_rates([0.05, 0.025])
    for epoch in range(30):
        advance(ours, epoch)
        advance(reference, epoch)
        for group, t, last, rate in zip(
            ours.optimizer.param_groups, tensors, ours.get_last_lr(), reference.get_last_lr(), strict=True
        ):
            assert group["lr"] is t
            assert last is not t
            assert last.item() == t.item() == pytest.approx(rate, rel=1e-9)


# ---- going on ------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", SCHEDULERS)
def test_a_state_dict_goes_on_where_it_was(case):
    scheduler = stepped(make(tg, case), 8)
    saved = scheduler.state_dict()
    other = make(tg, case, lr=0.7)
    other.load_state_dict(saved)
    other.optimizer.load_state_dict(scheduler.optimizer.state_dict())
    before = plain(saved)
    for epoch in range(8, 30):
        advance(other, epoch)
    assert plain(saved) == before  # loading copied
    for epoch in range(8, 30):
        advance(scheduler, epoch)
    assert other.get_last_lr() == scheduler.get_last_lr()
    assert plain(other.state_dict()) == plain(scheduler.state_dict())


def test_loading_copies():
    scheduler = make(tg, "MultiStepLR")
    saved = scheduler.state_dict()
    other = make(tg, "MultiStepLR")
    other.load_state_dict(saved)
    other.milestones[7] = 1
    assert 7 not in scheduler.milestones


def test_a_cosine_goes_on_from_a_last_epoch():
    walked = stepped(lr_scheduler.CosineAnnealingLR(optimizer_of(), 13, 0.01), 10)
    optimizer = optimizer_of()
    optimizer.param_groups[0].update(initial_lr=0.5, lr=walked.get_last_lr()[0])
    resumed = lr_scheduler.CosineAnnealingLR(optimizer, 13, 0.01, last_epoch=9)
    for _ in range(9):
        np.testing.assert_allclose(resumed.get_last_lr(), walked.get_last_lr(), rtol=1e-12)
        stepped(resumed, 1)
        stepped(walked, 1)


def test_restarts_keep_the_part_of_an_epoch():
    scheduler = lr_scheduler.CosineAnnealingWarmRestarts(optimizer_of(), 10, 2)
    for epoch, position, length in ((9.5, 9.5, 10), (None, 0.5, 20), (35.25, 5.25, 40), (3.0, 3.0, 10)):
        scheduler.step(epoch)
        assert (scheduler.T_cur, scheduler.T_i) == (position, length)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("case", PLAIN)
def test_a_copy_goes_on_by_itself(case, clone):
    scheduler = stepped(make(tg, case), 8)
    other = clone(scheduler)
    before = scheduler.get_last_lr()
    stepped(other, 15)
    assert scheduler.get_last_lr() == before
    assert stepped(scheduler, 15).get_last_lr() == other.get_last_lr()


def test_callable_objects_are_saved_and_functions_are_not():
    def function(epoch):
        return 1.0

    optimizer = SGD([{"params": [tg.zeros(1, requires_grad=True)]}, {"params": [tg.zeros(1, requires_grad=True)]}])
    saved = lr_scheduler.LambdaLR(optimizer, [Falling(0.5), function]).state_dict()
    assert saved["lr_lambdas"] == [{"rate": 0.5}, None]
    other = Falling(0.1)
    lr_scheduler.LambdaLR(optimizer, [other, function]).load_state_dict(saved)
    assert other.rate == 0.5


@pytest.mark.parametrize("case", SCHEDULERS)
def test_the_state_of_another_class_is_refused(case):
    for wrong in SCHEDULERS:
        a, b = make(tg, case), make(tg, wrong)
        lacks = {k for k in a.state_dict() if not k.startswith("_")} - b.state_dict().keys()
        if type(a) is not type(b) and lacks:
            before = plain(a.state_dict())
            with pytest.raises(KeyError, match="this is no state of"):
                a.load_state_dict(b.state_dict())
            assert plain(a.state_dict()) == before


# ---- warnings and errors -------------------------------------------------------------------------


def test_a_step_before_the_optimizers_warns_once():
    optimizer = optimizer_of()
    optimizer.step()  # before there was a scheduler: it does not count
    scheduler = lr_scheduler.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match=r"`lr_scheduler.step\(\)` before `optimizer.step\(\)`") as caught:
        scheduler.step()
    assert caught[0].filename == __file__
    scheduler.step()
    optimizer.step()
    lr_scheduler.StepLR(optimizer, 1).step()


def test_an_optimizer_of_ones_own_counts_as_stepped():
    class Mine(tg.optim.Optimizer):
        def step(self):
            return None

    optimizer = Mine([tg.zeros(1, requires_grad=True)], {"lr": 1.0})
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [0.5]


def test_get_lr_outside_step_warns():
    with pytest.warns(UserWarning, match=r"please use `get_last_lr\(\)`"):
        assert lr_scheduler.StepLR(optimizer_of(), 1).get_lr() == [0.5]


def test_a_scheduler_of_ones_own():
    class Own(lr_scheduler.LRScheduler):
        def get_lr(self):
            return [base - 0.125 * self.last_epoch for base in self.base_lrs]

    assert stepped(Own(optimizer_of()), 2).get_last_lr() == [0.25]
    with pytest.raises(NotImplementedError, match="defines no get_lr"):
        lr_scheduler.LRScheduler(optimizer_of())


def test_resuming_needs_the_first_rates():
    with pytest.raises(KeyError, match=r"'initial_lr' is not specified in param_groups\[0\]"):
        lr_scheduler.StepLR(optimizer_of(), 1, last_epoch=3)


def test_a_group_added_later():
    optimizer = optimizer_of(momentum=0.9)
    schedulers = [lr_scheduler.StepLR(optimizer, 1), lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)]
    listed = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.1])
    optimizer.add_param_group({"params": [tg.zeros(1, requires_grad=True)], "lr": 0.25})
    optimizer.step()
    with pytest.raises(ValueError, match="1 values for 2 parameter groups"):
        schedulers[0].step()
    for loss in (1.0, 2.0):
        schedulers[1].step(loss)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.025]
    listed.step(1.0)
    with pytest.raises(RuntimeError, match=r"extend scheduler\.min_lrs"):
        listed.step(2.0)


def test_the_metric_may_be_a_tensor_and_nan_is_no_improvement():
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer_of(), patience=1, factor=0.5)
    for value in (tg.tensor(1.0), np.float32(2.0), float("nan"), 0.5):
        scheduler.step(value)
    assert scheduler.best == 0.5
    assert scheduler.get_last_lr() == [0.25]


S = lr_scheduler
WRONG = [
    (lambda o: S.StepLR([0.1], 1), TypeError, "list is not an Optimizer"),
    (lambda o: S.LambdaLR(o, [len, len]), ValueError, "Expected 1 lr_lambdas, but got 2"),
    (lambda o: S.LambdaLR(o, 0.5), TypeError, "lr_lambda should be a function, but got float"),
    (lambda o: S.MultiplicativeLR(o, [0.5]), TypeError, "lr_lambda should be a function, but got float"),
    (lambda o: S.ConstantLR(o, 1.5), ValueError, "Constant multiplicative factor expected to be between 0 and 1."),
    (lambda o: S.LinearLR(o, 0.0), ValueError, "Starting multiplicative factor expected to be greater than 0"),
    (lambda o: S.LinearLR(o, 0.5, 1.5), ValueError, "Ending multiplicative factor expected to be between 0 and 1."),
    (lambda o: S.CosineAnnealingWarmRestarts(o, 0), ValueError, "Expected positive integer T_0, but got 0"),
    (lambda o: S.CosineAnnealingWarmRestarts(o, 1.5), ValueError, "Expected positive integer T_0, but got 1.5"),
    (lambda o: S.CosineAnnealingWarmRestarts(o, 1, 0), ValueError, "Expected integer T_mult >= 1, but got 0"),
    (lambda o: S.CosineAnnealingWarmRestarts(o, 1, eta_min="0"), ValueError, "Expected float or int eta_min"),
    (lambda o: S.CosineAnnealingWarmRestarts(o, 1).step(-1), ValueError, "Expected non-negative epoch, but got -1"),
    (lambda o: S.CyclicLR(o, 0.1, 1.0, mode="square"), ValueError, "mode is invalid and scale_fn is None"),
    (
        lambda o: S.CyclicLR(o, [0.1, 0.2], 1.0),
        ValueError,
        "base_lr must have the same length as optimizer.param_groups",
    ),
    (
        lambda o: S.CyclicLR(Adagrad(o.param_groups[0]["params"]), 0.1, 1.0),
        ValueError,
        "must support momentum or beta1",
    ),
    (lambda o: S.OneCycleLR(o, 1.0), ValueError, "You must define either total_steps OR (epochs AND steps_per_epoch)"),
    (lambda o: S.OneCycleLR(o, 1.0, 0), ValueError, "Expected positive integer total_steps, but got 0"),
    (lambda o: S.OneCycleLR(o, 1.0, epochs=1.5, steps_per_epoch=1), ValueError, "Expected positive integer epochs"),
    (lambda o: S.OneCycleLR(o, 1.0, epochs=1, steps_per_epoch=-1), ValueError, "integer steps_per_epoch, but got -1"),
    (
        lambda o: S.OneCycleLR(o, 1.0, 9, pct_start=2.0),
        ValueError,
        "Expected float between 0 and 1 pct_start, but got 2.0",
    ),
    (
        lambda o: S.OneCycleLR(o, 1.0, 9, anneal_strategy="x"),
        ValueError,
        "must be one of 'cos' or 'linear', instead got x",
    ),
    (lambda o: S.OneCycleLR(o, [1.0, 2.0], 9), ValueError, "max_lr has 2 values, param_groups has 1."),
    (lambda o: S.ReduceLROnPlateau(o, factor=1.0), ValueError, "Factor should be < 1.0."),
    (lambda o: S.ReduceLROnPlateau(o, "least"), ValueError, "mode least is unknown!"),
    (lambda o: S.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold mode x is unknown!"),
    (lambda o: S.ReduceLROnPlateau(o, min_lr=[0.1, 0.2]), ValueError, "expected 1 min_lrs, got 2"),
    (lambda o: S.SequentialLR(o, [], []), ValueError, "SequentialLR expects at least one scheduler"),
    (
        lambda o: S.SequentialLR(o, [S.StepLR(o, 1)], [1]),
        ValueError,
        "number of schedulers 1 and the number of milestones",
    ),
    (lambda o: S.SequentialLR(o, [S.ReduceLROnPlateau(o)], []), ValueError, "does not support `ReduceLROnPlateau`"),
    (lambda o: S.SequentialLR(o, [S.StepLR(optimizer_of(), 1)], []), ValueError, "belong to the same optimizer"),
    (lambda o: S.SequentialLR(o, [3], []), TypeError, "at index 0 should have `optimizer` as its attribute."),
    (lambda o: S.ChainedScheduler([]), ValueError, "ChainedScheduler expects at least one scheduler"),
    (
        lambda o: S.ChainedScheduler([S.StepLR(o, 1), S.StepLR(optimizer_of(), 1)]),
        ValueError,
        "at index 1 of another SGD",
    ),
]


@pytest.mark.parametrize(("action", "error", "message"), WRONG, ids=[message[:30] for _, _, message in WRONG])
def test_wrong_arguments_are_refused_before_anything_changes(action, error, message):
    def options():
        return [{k: v for k, v in g.items() if k not in ("params", "initial_lr")} for g in optimizer.param_groups]

    optimizer = optimizer_of(momentum=0.9)
    before = options()
    with pytest.raises(error, match=re.escape(message)):
        action(optimizer)
    assert options() == before


def test_a_cycle_ends():
    scheduler = stepped(lr_scheduler.OneCycleLR(optimizer_of(momentum=0.9), 1.0, 3), 3)
    with pytest.raises(ValueError, match=r"Tried to step 4 times\. The specified number of total steps is 3"):
        advance(scheduler, 4)


def test_beta1_is_cycled_and_the_others_stay():
    optimizer = Adam([tg.zeros(2, requires_grad=True)], betas=(0.9, 0.99))
    scheduler = stepped(lr_scheduler.OneCycleLR(optimizer, 0.1, 10), 3)
    beta1 = 0.9 - 0.05 * np.cos(np.pi / 7)  # a seventh of the way back up
    assert optimizer.param_groups[0]["betas"] == (pytest.approx(beta1, rel=1e-12), 0.99)
    assert scheduler.use_beta1
