"""Small programs whose outcome PyTorch defines; each takes the module to run on, PyTorch or this one.

``test_semantics.py`` compares the outcomes here with those that PyTorch had (``fixtures/semantics.json``).
"""

import threading

CASES = {}
CLASSES = (NotImplementedError, RuntimeError, IndexError, TypeError, ValueError)


def case(f):
    CASES[f.__name__] = f
    return f


def outcome(f, torch):
    """What a program returned, as plain lists; or the class of its exception."""
    grad_mode = torch.is_grad_enabled()
    torch.manual_seed(3)
    try:
        return plain(f(torch), torch)
    except CLASSES as error:
        return {"raises": next(c.__name__ for c in CLASSES if isinstance(error, c))}
    finally:
        torch.set_grad_enabled(grad_mode)


def plain(x, torch):
    if isinstance(x, torch.Tensor):
        values = x.detach().tolist()
        return {"tensor": values, "dtype": str(x.dtype), "shape": list(x.shape), "tracked": x.requires_grad}
    if isinstance(x, torch.dtype):
        return str(x)
    if isinstance(x, (tuple, list)):
        return [plain(v, torch) for v in x]
    return x


def leaf(torch, *values, dtype=None):
    return torch.tensor(list(values), dtype=dtype, requires_grad=True)


# --- backward and grad ----------------------------------------------------------------------------------------------


@case
def backward_accumulates(torch):
    x = leaf(torch, 1.0, 2.0)
    for _ in range(3):
        (x * x).sum().backward()
    return x.grad


@case
def gradient_argument(torch):
    x = leaf(torch, 1.0, 2.0)
    (x * 3).backward(torch.tensor([1.0, 10.0]))
    return x.grad


@case
def gradient_of_another_dtype(torch):
    x = leaf(torch, 1.0, 2.0)
    (x * 3).backward(torch.tensor([1, 10]))
    return x.grad


@case
def gradient_of_another_shape(torch):
    leaf(torch, 1.0, 2.0).sum().backward(torch.ones(2))


@case
def gradient_is_no_tensor(torch):
    leaf(torch, 1.0, 2.0).sum().backward(3.0)


@case
def not_a_scalar(torch):
    (leaf(torch, 1.0, 2.0) * 2).backward()


@case
def one_element_is_a_scalar(torch):
    x = torch.ones(1, 1, requires_grad=True)
    (x * 2).backward()
    return x.grad


@case
def nothing_requires_grad(torch):
    torch.ones(2).sum().backward()


@case
def backward_of_a_leaf(torch):
    x = leaf(torch, 1.0)
    x.backward(torch.tensor([5.0]))
    return x.grad


@case
def twice(torch):
    y = leaf(torch, 1.0, 2.0).exp().sum()
    y.backward()
    y.backward()


@case
def twice_where_nothing_was_saved(torch):
    x = leaf(torch, 1.0, 2.0)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    return x.grad


@case
def twice_with_retain_graph(torch):
    x = leaf(torch, 1.0, 2.0)
    y = x.exp().sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


@case
def several_roots(torch):
    x = leaf(torch, 1.0, 2.0)
    a, b = x * 2, x * x
    torch.autograd.backward([a, b.sum()], [torch.ones(2), None])
    return x.grad


@case
def the_same_root_twice(torch):
    x = leaf(torch, 1.0, 2.0)
    y = (x * x).sum()
    torch.autograd.backward([y, y])
    return x.grad


@case
def no_roots(torch):
    torch.autograd.backward([], [])


@case
def inputs_limit_backward(torch):
    x, y = leaf(torch, 1.0), leaf(torch, 2.0)
    (x * y).backward(inputs=[x])
    return x.grad, y.grad


@case
def inputs_may_be_computed(torch):
    x = leaf(torch, 1.0, 2.0)
    y = x * 2
    (y * y).sum().backward(inputs=y)
    return y.grad, x.grad


@case
def inputs_empty(torch):
    leaf(torch, 1.0).sum().backward(inputs=[])


@case
def inputs_without_grad(torch):
    leaf(torch, 1.0).sum().backward(inputs=torch.ones(1))


@case
def grad_touches_no_leaf(torch):
    x, y = leaf(torch, 1.0, 2.0), leaf(torch, 3.0, 4.0)
    z = (x * y).sum()
    return torch.autograd.grad(z, (x, y)), x.grad, y.grad


@case
def grad_of_what_is_between(torch):
    x = leaf(torch, 1.0, 2.0)
    y = x * 3
    z = (y * y).sum()
    return torch.autograd.grad(z, (y, x))


@case
def grad_of_itself(torch):
    x = leaf(torch, 1.0, 2.0)
    return torch.autograd.grad(x, x, torch.tensor([3.0, 4.0]))


@case
def grad_unused_raises(torch):
    torch.autograd.grad(leaf(torch, 1.0).sum(), leaf(torch, 1.0))


@case
def grad_unused_allowed(torch):
    x, y = leaf(torch, 1.0), leaf(torch, 2.0)
    return torch.autograd.grad(x.sum(), (x, y), allow_unused=True)


@case
def grad_unused_materialized(torch):
    x, y = leaf(torch, 1.0), leaf(torch, 2.0, 3.0)
    return torch.autograd.grad(x.sum(), (x, y), materialize_grads=True)


@case
def grad_materialized_but_not_allowed(torch):
    x = leaf(torch, 1.0)
    torch.autograd.grad(x.sum(), x, allow_unused=False, materialize_grads=True)


@case
def grad_without_inputs(torch):
    torch.autograd.grad(leaf(torch, 1.0).sum(), [])


@case
def grad_of_an_untracked_input(torch):
    torch.autograd.grad(leaf(torch, 1.0).sum(), torch.ones(1))


@case
def grad_frees_only_what_it_used(torch):
    a, b = leaf(torch, 1.0), leaf(torch, 2.0)
    z = a.exp() + b.exp()
    return torch.autograd.grad(z, a), torch.autograd.grad(z, b)


@case
def third_order(torch):
    x = leaf(torch, 0.5, 2.0, dtype=torch.float64)
    y, orders = (x**5 * x.exp()).sum(), []
    for _ in range(3):
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        orders.append(g.detach())
        y = g.sum()
    return orders


@case
def backward_with_create_graph(torch):
    x = leaf(torch, 2.0)
    (x**3).backward(create_graph=True)
    g = x.grad
    x.grad = None
    g.backward()
    return g, x.grad


@case
def gradient_penalty(torch):
    x, w = leaf(torch, 1.0, 2.0), leaf(torch, 3.0, -1.0)
    y = (torch.tanh(x * w)).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    (y + (g * g).sum()).backward()
    return x.grad, w.grad


@case
def a_diamond(torch):
    x = leaf(torch, 3.0)
    a = x * x
    (a * a + a).backward()
    return x.grad


@case
def mixed_dtypes(torch):
    x = leaf(torch, 1.0, 2.0, dtype=torch.float32)
    y = leaf(torch, 3.0, 4.0, dtype=torch.float64)
    z = (x * y).sum()
    z.backward()
    return z, x.grad, y.grad


@case
def zero_dims_do_not_widen(torch):
    x = leaf(torch, 1.0, 2.0, dtype=torch.float32)
    y = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    z = x * y
    z.sum().backward()
    return z, x.grad, y.grad


@case
def an_integer_tensor_meets_a_tracked_one(torch):
    x = leaf(torch, 1.0, 2.0)
    z = (x * torch.tensor([2, 3])).sum()
    z.backward()
    return x.grad


@case
def broadcast_gradients(torch):
    a, b = torch.ones(3, 1, requires_grad=True), torch.ones(4, requires_grad=True)
    c = torch.tensor(2.0, requires_grad=True)
    (a * b * c).sum().backward()
    return a.grad, b.grad, c.grad


@case
def assign_a_gradient(torch):
    x = leaf(torch, 1.0, 2.0)
    x.grad = torch.tensor([5.0, 6.0])
    (x * 1).sum().backward()
    return x.grad


@case
def assign_a_gradient_of_another_shape(torch):
    leaf(torch, 1.0).grad = torch.ones(3)


@case
def assign_a_gradient_of_another_dtype(torch):
    leaf(torch, 1.0).grad = torch.ones(1, dtype=torch.float64)


@case
def requires_grad_of_integers(torch):
    torch.ones(2, dtype=torch.int64).requires_grad_()


@case
def requires_grad_of_what_was_computed(torch):
    (leaf(torch, 1.0) * 2).requires_grad_(False)


@case
def leaves_and_detached(torch):
    x = leaf(torch, 1.0)
    y = x * 2
    d = y.detach()
    return x.is_leaf, y.is_leaf, d.is_leaf, d.requires_grad, torch.ones(1).is_leaf


@case
def detach_in_place(torch):
    x = leaf(torch, 1.0)
    y = (x * 2).detach_()
    return y.requires_grad, y.is_leaf, (y * x).requires_grad


@case
def detach_a_view_in_place(torch):
    (leaf(torch, 1.0, 2.0) * 2)[0].detach_()


@case
def item_assignment_to_grad_is_kept(torch):
    x = leaf(torch, 1.0, 2.0)
    x.sum().backward()
    x.grad[0] = 7.0
    x.sum().backward()
    return x.grad


# --- grad modes -----------------------------------------------------------------------------------------------------


@case
def modes_nest(torch):
    seen = []
    on = torch.is_grad_enabled
    with torch.no_grad():
        with torch.enable_grad():
            seen.append(on())
        seen.append(on())
        with torch.inference_mode():
            seen += [on(), torch.is_inference_mode_enabled()]
        with torch.inference_mode(False):
            seen += [on(), torch.is_inference_mode_enabled()]
    with torch.inference_mode():
        with torch.inference_mode(False):
            seen += [on(), torch.is_inference_mode_enabled()]
        with torch.enable_grad():
            seen += [on(), torch.is_inference_mode_enabled()]
    return [*seen, on()]


@case
def modes_decorate(torch):
    on = torch.is_grad_enabled

    class Some:
        @torch.no_grad
        def a(self):
            return on()

        @torch.no_grad()
        def b(self):
            return on()

        @torch.inference_mode
        def c(self):
            return on(), torch.is_inference_mode_enabled()

        @torch.set_grad_enabled(False)
        def d(self):
            return on()

        @torch.enable_grad()
        def e(self):
            return on()

    some = Some()
    with torch.no_grad():
        inside = some.e()
    return some.a(), some.b(), some.c(), some.d(), inside, on(), Some.a.__name__


@case
def modes_decorate_recursion(torch):
    @torch.no_grad()
    def count(n):
        return [torch.is_grad_enabled()] + (count(n - 1) if n else [])

    return count(3), torch.is_grad_enabled()


@case
def modes_decorate_generators(torch):
    on, seen = torch.is_grad_enabled, []

    @torch.no_grad()
    def generate():
        seen.append(on())
        try:
            seen.append((yield 1))
            seen.append(on())
            yield 2
        except ValueError:
            seen.append(("caught", on()))
            yield 3
        finally:
            seen.append(("finally", on()))

    g = generate()
    got = [next(g), on(), g.send("sent"), on(), g.throw(ValueError("x")), on(), list(g)]
    g = generate()
    next(g)
    g.close()
    return got, seen, on()


@case
def set_grad_enabled_as_a_call(torch):
    on = torch.is_grad_enabled
    torch.set_grad_enabled(False)
    seen = [on()]
    torch.set_grad_enabled(True)
    with torch.set_grad_enabled(False):
        seen.append(on())
    return [*seen, on()]


@case
def set_grad_enabled_takes_a_bool(torch):
    torch.set_grad_enabled("yes")


@case
def modes_are_per_thread(torch):
    seen = []
    with torch.no_grad():
        thread = threading.Thread(target=lambda: seen.append(torch.is_grad_enabled()))
        thread.start()
        thread.join()
    return seen


@case
def no_grad_results_are_leaves(torch):
    x = leaf(torch, 1.0)
    with torch.no_grad():
        y = x * 2
    return y.requires_grad, y.is_leaf, (y * x).requires_grad


@case
def a_new_leaf_inside_no_grad(torch):
    with torch.no_grad():
        x = torch.ones(2, requires_grad=True)
    return x.requires_grad, (x * 2).requires_grad


# --- hooks ----------------------------------------------------------------------------------------------------------


@case
def hooks_in_their_order(torch):
    seen = []
    x = leaf(torch, 1.0, 2.0)
    y = x * 2
    z = (y * 3).sum()
    y.register_hook(lambda g: seen.append(["tensor", g.tolist()]))
    y.grad_fn.register_hook(lambda gi, go: seen.append(["after", gi[0].tolist(), go[0].tolist()]))
    y.grad_fn.register_prehook(lambda go: seen.append(["before", go[0].tolist()]))
    x.register_hook(lambda g: seen.append(["leaf", g.tolist()]))
    x.register_post_accumulate_grad_hook(lambda p: seen.append(["accumulated", p.grad.tolist()]))
    z.backward()
    return seen


@case
def hooks_replace(torch):
    x = leaf(torch, 1.0, 2.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 5)
    y.register_hook(lambda g: g + 1)
    x.register_hook(lambda g: g * 100)
    y.sum().backward()
    return y.grad, x.grad


@case
def node_hooks_replace(torch):
    x = leaf(torch, 1.0, 2.0)
    y = x * 2
    y.grad_fn.register_hook(lambda gi, go: (gi[0] * 10, gi[1]))
    y.grad_fn.register_prehook(lambda go: (go[0] * 100,))
    y.sum().backward()
    return x.grad


@case
def a_node_hook_must_return_a_tuple(torch):
    y = leaf(torch, 1.0) * 2
    y.grad_fn.register_hook(lambda gi, go: gi[0])
    y.backward()


@case
def hooks_see_the_total_once(torch):
    seen = []
    x = leaf(torch, 1.0, 2.0)
    y = x * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: seen.append(g.tolist()))
    (y.sum() + (y * y).sum() + y[0]).backward()
    return seen


@case
def a_leaf_hook_runs_when_its_gradient_is_known(torch):
    seen = []
    early, late = leaf(torch, 1.0), leaf(torch, 2.0)
    early.register_hook(lambda g: seen.append("early"))
    late.register_hook(lambda g: seen.append("late"))
    h = early * 2
    h.register_hook(lambda g: seen.append("between"))
    (h * late).backward()
    return seen


@case
def a_removed_hook_is_silent(torch):
    seen = []
    x = leaf(torch, 1.0)
    y = x * 2
    handles = [t.register_hook(lambda g: seen.append("no")) for t in (x, y)]
    for handle in handles:
        handle.remove()
        handle.remove()
    y.backward()
    return seen


@case
def a_hook_must_return_a_tensor(torch):
    x = leaf(torch, 1.0)
    x.register_hook(lambda g: 3)
    x.backward()


@case
def a_hook_must_keep_the_shape(torch):
    x = leaf(torch, 1.0)
    x.register_hook(lambda g: torch.ones(3))
    x.backward()


@case
def a_hook_must_keep_the_dtype(torch):
    x = leaf(torch, 1.0)
    x.register_hook(lambda g: g.double())
    x.backward()


@case
def a_hook_needs_a_gradient(torch):
    torch.ones(2).register_hook(lambda g: g)


@case
def an_accumulation_hook_needs_a_leaf(torch):
    (leaf(torch, 1.0) * 2).register_post_accumulate_grad_hook(lambda p: None)


@case
def hooks_stay_with_the_value_they_were_for(torch):
    seen = []
    x = leaf(torch, 1.0, 2.0)
    y = x * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.mul_(3)
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.sum().backward()
    return seen


@case
def retain_grad_goes_along(torch):
    x = leaf(torch, 1.0, 2.0)
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    (y * 7).sum().backward()
    return y.grad, y.retains_grad


@case
def retain_grad_of_a_leaf_and_of_nothing(torch):
    x = leaf(torch, 1.0)
    x.retain_grad()
    before = x.retains_grad
    torch.ones(1).retain_grad()
    return before


@case
def hooks_of_several_tensors(torch):
    seen = []
    a, b, c = leaf(torch, 1.0), leaf(torch, 2.0), leaf(torch, 3.0)
    y = a * b
    everything = (a, b, c, y)

    def note(name):
        return lambda g: seen.append(
            [name, [v if v is None else v.tolist() for v in g] if name == "all" else g.tolist()]
        )

    h = torch.autograd.graph.register_multi_grad_hook(everything, note("all"))
    torch.autograd.graph.register_multi_grad_hook(everything, note("any"), mode="any")
    (y * 2).backward(retain_graph=True)
    (y * c).backward(retain_graph=True)
    h.remove()
    (y * 2).backward()
    return seen


@case
def hooks_run_in_grad_too(torch):
    seen = []
    x, w = leaf(torch, 1.0), leaf(torch, 2.0)
    y = x * w
    x.register_hook(lambda g: seen.append("x"))
    w.register_hook(lambda g: seen.append("w"))
    y.register_hook(lambda g: g * 10)
    return torch.autograd.grad(y * 2, x), seen


# --- in place -------------------------------------------------------------------------------------------------------


@case
def augmented_on_views(torch):
    x = leaf(torch, 1.0, 2.0, 3.0, 4.0)
    y = x * 1
    v = y[1:3]
    v += torch.tensor([10.0, 20.0])
    y[0] *= 5
    y[3] **= 2
    y.sum().backward()
    return y, v, x.grad


@case
def iteration_gives_views(torch):
    x = torch.zeros(2, 3)
    for row in x:
        row += 1
    return x


@case
def optimizer_by_hand(torch):
    w = leaf(torch, 1.0, 2.0)
    (w * w).sum().backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
        w[0] = 7
    return w, w.is_leaf


@case
def leaf_in_place(torch):
    w = leaf(torch, 1.0, 2.0)
    w -= 0.1


@case
def leaf_item_assignment(torch):
    leaf(torch, 1.0, 2.0)[0] = 3.0


@case
def view_of_a_leaf_in_place(torch):
    leaf(torch, 1.0, 2.0)[0].mul_(2)


@case
def a_view_that_is_a_leaf_in_place(torch):
    torch.zeros(3)[:2].requires_grad_().add_(1)


@case
def untracked_takes_tracked(torch):
    a, x = torch.ones(2), leaf(torch, 1.0, 2.0)
    a += x * 3
    a.sum().backward()
    return a, x.grad


@case
def untracked_view_takes_tracked(torch):
    a, x = torch.zeros(2, 2), leaf(torch, 1.0, 2.0)
    v = a[0]
    v += x
    (a * 2).sum().backward()
    return a, v, x.grad


@case
def two_views_and_their_base(torch):
    x = leaf(torch, 1.0, 2.0)
    b = x * 1
    y, z = b.view(2, 1), b.view(1, 2)
    y.mul_(3)
    b.add_(1)
    return y, z, b, torch.autograd.grad(z.sum(), x)


@case
def a_view_of_a_view_of_a_view(torch):
    x = torch.ones(2, 3, requires_grad=True)
    b = x * 1
    v = b.t()[1:].unsqueeze(0)
    v.mul_(3)
    v[0, 0, 0] = 9
    (b * b).sum().backward()
    return b, x.grad


@case
def a_view_taken_before_the_base_was_written(torch):
    x = leaf(torch, 1.0, 2.0)
    b = x * 1
    v = b[:1]
    b.mul_(5)
    v.sum().backward()
    return v, x.grad


@case
def saved_value_overwritten(torch):
    y = leaf(torch, 1.0, 2.0).exp()
    y.add_(1)
    y.sum().backward()


@case
def saved_value_overwritten_through_a_view(torch):
    y = leaf(torch, 1.0, 2.0).exp()
    z = y * 2
    y[0] = 3
    z.sum().backward()


@case
def saved_value_overwritten_through_detach(torch):
    x = leaf(torch, 1.0, 2.0)
    y = x * x
    x.detach().add_(1)
    y.sum().backward()


@case
def saved_value_overwritten_under_no_grad(torch):
    x = leaf(torch, 1.0, 2.0)
    y = x * x
    with torch.no_grad():
        x += 1
    y.sum().backward()


@case
def saved_indices_overwritten(torch):
    values, indices = leaf(torch, 1.0, 2.0).max(0)
    indices.zero_()
    values.backward()


@case
def a_write_to_data_is_not_noticed(torch):
    x = leaf(torch, 1.0, 2.0)
    y = x * x
    x.data += 1
    y.sum().backward()
    return x, x.grad


@case
def what_no_rule_saved_may_be_overwritten(torch):
    x = leaf(torch, 1.0, 2.0)
    a = x * 2
    b = a + 1
    a.mul_(10)
    (a.sum() + b.sum()).backward()
    return x.grad


@case
def the_operand_of_an_op_in_place(torch):
    x, w = leaf(torch, 1.0, 2.0), leaf(torch, 3.0, 4.0)
    y = x * 1
    y.mul_(w)
    y.sum().backward()
    return x.grad, w.grad


@case
def overwritten_by_constants(torch):
    x = leaf(torch, 1.0, 2.0)
    grads = []
    for write in ("zero_", "fill_", "copy_", "normal_", "eq_"):
        y = x * 2
        getattr(y, write)(*{"fill_": (3,), "copy_": (torch.ones(2),), "eq_": (2,)}.get(write, ()))
        grads.append((y.requires_grad, torch.autograd.grad(y.sum(), x)))
    return grads


@case
def fill_with_a_tracked_value(torch):
    v, x = torch.tensor(2.0, requires_grad=True), leaf(torch, 1.0, 2.0)
    y = x * 1
    y.fill_(v)
    y.sum().backward()
    return x.grad, v.grad


@case
def copy_broadcasts_and_casts(torch):
    s = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    y = torch.zeros(2, 3).copy_(s)
    y.sum().backward()
    return y, s.grad


@case
def copy_of_another_shape(torch):
    torch.zeros(3).copy_(torch.ones(2))


@case
def fill_with_many(torch):
    torch.zeros(2).fill_(torch.ones(2))


@case
def an_expanded_tensor(torch):
    torch.ones(1, 3).expand(2, 3).add_(1)


@case
def a_part_of_an_expanded_tensor(torch):
    x = torch.ones(1, 3).expand(2, 3)
    x[0].add_(1)
    return x


@case
def in_place_cannot_enlarge(torch):
    torch.ones(2).add_(torch.ones(3, 2))


@case
def in_place_cannot_raise_the_kind(torch):
    torch.ones(2, dtype=torch.int64).add_(0.5)


@case
def in_place_may_lower_the_width(torch):
    x = torch.ones(2, dtype=torch.float32)
    x += torch.ones(2, dtype=torch.float64) * 2
    return x


@case
def one_of_several_views(torch):
    a, _b = (leaf(torch, 1.0, 2.0, 3.0, 4.0) * 2).split(2)
    a.add_(1)


@case
def a_view_of_one_of_several_views(torch):
    a, _b = (leaf(torch, 1.0, 2.0, 3.0, 4.0) * 2).chunk(2)
    a[0].add_(1)


@case
def one_of_several_views_untracked(torch):
    x = torch.ones(4)
    a, b = x.split(2)
    a.add_(1)
    b.mul_(5)
    return x


@case
def a_view_made_under_no_grad(torch):
    y = leaf(torch, 1.0, 2.0) * 2
    with torch.no_grad():
        v = y[0]
    v.add_(1)


@case
def a_view_made_and_written_under_no_grad(torch):
    x = leaf(torch, 1.0, 2.0)
    with torch.no_grad():
        x[0].add_(1)
        v = x[1:]
        v *= 3
    return x


@case
def detach_and_data_share_memory(torch):
    x = leaf(torch, 1.0, 2.0)
    y = x * 1
    y.detach()[0] = 7
    y.data[1] = 8
    return y


@case
def data_may_be_replaced(torch):
    x = leaf(torch, 1.0, 2.0)
    x.data = torch.zeros(3)
    (x + 1).sum().backward()
    return x, x.grad


# --- item assignment ------------------------------------------------------------------------------------------------


@case
def assign_to_a_mask(torch):
    x = leaf(torch, 1.0, 2.0, 3.0)
    y = x * 1
    y[y > 1.5] = 0
    y.sum().backward()
    return y, x.grad


@case
def assign_to_positions(torch):
    x, v = leaf(torch, 1.0, 2.0, 3.0), leaf(torch, 4.0, 5.0)
    y = x * 1
    y[[2, 0]] = v
    (y * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    return y, x.grad, v.grad


@case
def assign_to_a_slice_from_itself(torch):
    x = leaf(torch, 1.0, 2.0, 3.0)
    y = x.clone()
    y[0:2] = y[1:3].clone()
    y.sum().backward()
    return y, x.grad


@case
def assign_casts(torch):
    x = torch.zeros(3, dtype=torch.int64)
    x[0] = 2.7
    x[1:] = torch.tensor([1.5, -2.5])
    return x


@case
def assign_everywhere(torch):
    x = torch.zeros(2, 2)
    x[:] = 5
    x[..., 0] = torch.tensor(6.0)
    x[None] = x[None] * 2
    x[0, 1] += 1
    return x


@case
def assign_to_a_zero_dim_tensor(torch):
    x = torch.tensor(3.0)
    x += 1
    x[...] = x * 2
    x[()] = x + 1
    return x


@case
def assign_out_of_range(torch):
    torch.zeros(3)[5] = 1


@case
def assign_another_shape(torch):
    torch.zeros(3)[0] = torch.ones(2)


@case
def assign_into_a_scalar(torch):
    torch.tensor(3.0)[0] = 1


@case
def augmented_at_repeated_positions(torch):
    x = torch.zeros(2, 2)
    x[[0, 1], [1, 0]] += 3
    x[[0, 0]] += 1
    return x


# --- custom functions -----------------------------------------------------------------------------------------------


def function(torch, forward, backward, **more):
    body = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    body |= {k: staticmethod(v) for k, v in more.items()}
    return type("Mine", (torch.autograd.Function,), body)


@case
def function_with_saved_tensors(torch):
    def forward(ctx, x, k):
        ctx.save_for_backward(x)
        ctx.k = k
        return x**k

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * ctx.k * x ** (ctx.k - 1), None

    x = leaf(torch, 2.0, 3.0)
    y = function(torch, forward, backward).apply(x, 3)
    y.sum().backward()
    return y, y.grad_fn.name(), x.grad


@case
def function_differentiated_twice(torch):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x * x * g

    x = leaf(torch, 2.0, 3.0)
    y = function(torch, forward, backward).apply(x * 2)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x, create_graph=True)
    return g, h, torch.autograd.grad(h.sum(), x)


@case
def function_that_saves_its_output(torch):
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y

    x = leaf(torch, 0.5)
    y = function(torch, forward, backward).apply(x)
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    return g, torch.autograd.grad(g, x)


@case
def function_with_several_outputs(torch):
    seen = []

    def forward(ctx, x):
        return x * 2, None, 3, x.long(), x * 5

    def backward(ctx, *gradients):
        seen.append(gradients)
        return gradients[0] * 2 + gradients[4] * 5

    x = leaf(torch, 1.0, 2.0)
    a, none, three, whole, b = function(torch, forward, backward).apply(x)
    same = a.grad_fn is b.grad_fn, a.output_nr, b.output_nr
    (b * torch.tensor([1.0, 10.0])).sum().backward(retain_graph=True)
    (a.sum() + b.sum()).backward()
    return none, three, whole, same, seen, x.grad


@case
def function_with_several_outputs_twice(torch):
    def forward(ctx, x):
        a, b = x * x, x**3
        ctx.save_for_backward(x, b)
        return a, b

    def backward(ctx, ga, gb):
        x, b = ctx.saved_tensors
        return ga * 2 * x + gb * 3 * b / x

    x = leaf(torch, 2.0, 3.0, dtype=torch.float64)
    a, b = function(torch, forward, backward).apply(x)
    (g,) = torch.autograd.grad((a * b).sum(), x, create_graph=True)
    return g, torch.autograd.grad(g.sum(), x)


@case
def function_without_materialized_gradients(torch):
    seen = []

    def forward(ctx, x):
        a, b = x * 1, x * 2
        ctx.mark_non_differentiable(b)
        ctx.set_materialize_grads(False)
        return a, b, x * 3

    def backward(ctx, *gradients):
        seen.append(gradients)
        return gradients[0]

    x = leaf(torch, 1.0)
    a, b, c = function(torch, forward, backward).apply(x)
    a.backward()
    return a.requires_grad, b.requires_grad, c.requires_grad, seen, x.grad


@case
def function_knows_who_needs_a_gradient(torch):
    seen = []

    def forward(ctx, x, k, y, z):
        seen.append((ctx.needs_input_grad, torch.is_grad_enabled()))
        return x * 1

    def backward(ctx, g):
        seen.append((ctx.needs_input_grad, torch.is_grad_enabled()))
        return g, None, None, g

    apply = function(torch, forward, backward).apply
    x = leaf(torch, 1.0)
    apply(x, 2, torch.ones(1), x * 2).backward()
    with torch.no_grad():
        y = apply(x, 2, torch.ones(1), x)
    return seen, y.requires_grad, x.grad


@case
def function_with_setup_context(torch):
    seen = []

    def forward(x, k=5):
        return x * k, k

    def setup_context(ctx, inputs, output):
        seen.append(output)
        ctx.k = inputs[1]

    def backward(ctx, g, nothing):
        return g * ctx.k, None

    apply = function(torch, forward, backward, setup_context=setup_context).apply
    x = leaf(torch, 1.0)
    y, k = apply(x)
    y.backward()
    z, _ = apply(x, k=7)
    z.backward()
    return y, k, x.grad


@case
def function_returns_its_input(torch):
    def backward(ctx, g):
        return g * 10

    x = leaf(torch, 1.0)
    y = function(torch, lambda ctx, x: x, backward).apply(x)
    y.backward()
    return y is x, y, x.grad, x.requires_grad


@case
def function_in_place(torch):
    def forward(ctx, x):
        ctx.mark_dirty(x)
        x.mul_(2)
        return x

    x = leaf(torch, 1.0, 2.0, 3.0)
    apply = function(torch, forward, lambda ctx, g: g * 2).apply
    y = x * 1
    same = apply(y) is y
    apply(y[:2])
    y.sum().backward()
    return same, y, x.grad


@case
def function_in_place_on_a_leaf(torch):
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    function(torch, forward, lambda ctx, g: g * 2).apply(leaf(torch, 1.0))


@case
def function_in_place_without_returning(torch):
    def forward(ctx, x):
        ctx.mark_dirty(x)
        x.mul_(2)
        return x * 1

    function(torch, forward, lambda ctx, g: g * 2).apply(leaf(torch, 1.0) * 1)


@case
def write_into_a_view_that_a_function_returned(torch):
    y = function(torch, lambda ctx, x: x[:1], lambda ctx, g: g).apply(leaf(torch, 1.0, 2.0))
    y.add_(1)


def returned(torch, *what):
    """The gradient that a leaf gets of a Function whose backward returns this."""
    x = torch.ones(3, requires_grad=True)
    function(torch, lambda ctx, x: x * 2, lambda ctx, g: what[0] if len(what) == 1 else what).apply(x).sum().backward()
    return x.grad


@case
def function_returns_none(torch):
    return returned(torch, None)


@case
def function_returns_a_number(torch):
    returned(torch, 3.0)


@case
def function_returns_too_many(torch):
    returned(torch, torch.ones(3), torch.ones(3))


@case
def function_returns_another_none(torch):
    return returned(torch, torch.ones(3), None)


@case
def function_returns_nothing(torch):
    returned(torch, ())


@case
def function_returns_another_shape(torch):
    returned(torch, torch.ones(2))


@case
def function_returns_a_broadcast_gradient(torch):
    return returned(torch, torch.ones(4, 3))


@case
def function_returns_another_dtype(torch):
    return returned(torch, torch.ones(3, dtype=torch.float64))


@case
def function_returns_a_gradient_for_a_number(torch):
    x = leaf(torch, 1.0)
    function(torch, lambda ctx, x, k: x * k, lambda ctx, g: (g, g)).apply(x, 2.0).backward()


@case
def function_saves_a_number(torch):
    def forward(ctx, x):
        ctx.save_for_backward(x, 3)
        return x

    function(torch, forward, lambda ctx, g: g).apply(leaf(torch, 1.0))


@case
def function_saves_none(torch):
    seen = []

    def forward(ctx, x):
        ctx.save_for_backward(None, x)
        return x * 1

    def backward(ctx, g):
        seen.append(ctx.saved_tensors)
        return g

    function(torch, forward, backward).apply(leaf(torch, 1.0)).backward()
    return seen


@case
def function_twice_frees_what_it_saved(torch):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 1

    def backward(ctx, g):
        return g * ctx.saved_tensors[0]

    y = function(torch, forward, backward).apply(leaf(torch, 1.0))
    y.backward()
    y.backward()


@case
def function_twice_without_saved_tensors(torch):
    x = leaf(torch, 1.0)
    y = function(torch, lambda ctx, x: x * 1, lambda ctx, g: g * 3).apply(x)
    y.backward()
    y.backward()
    return x.grad


@case
def function_whose_saved_tensor_was_overwritten(torch):
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 1

    def backward(ctx, g):
        return g * ctx.saved_tensors[0]

    x = leaf(torch, 1.0) * 1
    y = function(torch, forward, backward).apply(x)
    x.add_(1)
    y.backward()


@case
def function_without_backward(torch):
    class Mine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

    Mine.apply(leaf(torch, 1.0)).backward()


@case
def function_is_not_instantiated(torch):
    function(torch, lambda ctx, x: x, lambda ctx, g: g)()(torch.ones(1))


@case
def function_once_differentiable(torch):
    once = torch.autograd.function.once_differentiable
    seen = []

    def backward(ctx, g):
        seen.append(torch.is_grad_enabled())
        return g * 3

    x = leaf(torch, 1.0)
    apply = function(torch, lambda ctx, x: x * 3, once(backward)).apply
    apply(x).backward()
    y = apply(x * x)
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    return seen, x.grad, g


@case
def function_once_differentiable_twice(torch):
    once = torch.autograd.function.once_differentiable
    x = leaf(torch, 1.0)
    apply = function(torch, lambda ctx, x: x * 3, once(lambda ctx, g: g * 3)).apply
    y = apply(x)
    (g,) = torch.autograd.grad(y * y, x, create_graph=True)
    g.backward()


# --- functions of functions -----------------------------------------------------------------------------------------


def double(torch, *values, tracked=False):
    return torch.tensor(list(values), dtype=torch.float64, requires_grad=tracked)


def two(x, y):
    return x.exp() * y, (x * y).sum()


@case
def jacobian_of_one(torch):
    x = double(torch, 0.5, 2.0)
    return torch.autograd.functional.jacobian(lambda x: (x.exp() * x[0]).reshape(2, 1), x), x.requires_grad


@case
def jacobian_of_several(torch):
    return torch.autograd.functional.jacobian(two, (double(torch, 0.5, 2.0), double(torch, 3.0, 1.0)))


@case
def jacobian_of_an_input_that_is_not_used(torch):
    return torch.autograd.functional.jacobian(lambda x, y: x * 2, (double(torch, 0.5), double(torch, 3.0, 1.0)))


@case
def jacobian_strict(torch):
    torch.autograd.functional.jacobian(lambda x, y: x * 2, (double(torch, 0.5), double(torch, 3.0)), strict=True)


@case
def jacobian_strict_of_a_constant(torch):
    torch.autograd.functional.jacobian(lambda x: torch.ones(2), double(torch, 0.5), strict=True)


@case
def jacobian_of_a_constant(torch):
    return torch.autograd.functional.jacobian(lambda x: torch.ones(2, dtype=torch.float64), double(torch, 0.5))


@case
def jacobian_on_the_tape(torch):
    x = double(torch, 0.5, 2.0, tracked=True)
    j = torch.autograd.functional.jacobian(lambda x: x**3, x, create_graph=True)
    return j, torch.autograd.grad(j.sum(), x)


@case
def jacobian_off_the_tape(torch):
    x = double(torch, 0.5, 2.0, tracked=True)
    with torch.no_grad():
        return torch.autograd.functional.jacobian(lambda x: x**3, x)


@case
def jacobian_of_a_number(torch):
    torch.autograd.functional.jacobian(lambda x: x, 3.0)


@case
def hessian_of_one(torch):
    return torch.autograd.functional.hessian(lambda x: (x**3).sum() * x[0], double(torch, 0.5, 2.0))


@case
def hessian_of_several(torch):
    return torch.autograd.functional.hessian(lambda x, y: (x.exp() * y).sum(), (double(torch, 0.5), double(torch, 3.0)))


@case
def hessian_of_what_is_linear(torch):
    return torch.autograd.functional.hessian(lambda x: x.sum(), double(torch, 0.5, 2.0))


@case
def hessian_of_many_outputs(torch):
    torch.autograd.functional.hessian(lambda x: x, double(torch, 0.5, 2.0))


@case
def hessian_on_the_tape(torch):
    x = double(torch, 0.5, 2.0, tracked=True)
    h = torch.autograd.functional.hessian(lambda x: (x**4).sum(), x, create_graph=True)
    return h, torch.autograd.grad(h.sum(), x)


@case
def products_with_vectors(torch):
    F, x = torch.autograd.functional, double(torch, 0.5, 2.0)
    v = double(torch, 1.0, -3.0)

    def f(x):
        return (x**3).sum() * x[1]

    return F.vjp(lambda x: x**2, x, v), F.jvp(lambda x: x**2, x, v), F.vhp(f, x, v), F.hvp(f, x, v)


@case
def products_with_vectors_of_several(torch):
    F, xs = torch.autograd.functional, (double(torch, 0.5, 2.0), double(torch, 3.0, 1.0))
    vs = double(torch, 1.0, -3.0), double(torch, 2.0, 5.0)
    u = double(torch, 1.0, 2.0), torch.tensor(3.0, dtype=torch.float64)

    def f(x, y):
        return (x**3 * y * y).sum()

    return F.vjp(two, xs, u), F.jvp(two, xs, vs), F.vhp(f, xs, vs), F.hvp(f, xs, vs)


@case
def products_without_a_vector(torch):
    F, x = torch.autograd.functional, double(torch, 0.5)
    return F.vjp(lambda x: x**3, x), F.jvp(lambda x: x**3, x), F.vhp(lambda x: x**3, x), F.hvp(lambda x: x**3, x)


@case
def a_product_needs_a_vector(torch):
    torch.autograd.functional.vjp(lambda x: x * 2, double(torch, 0.5, 2.0))


@case
def a_vector_of_another_shape(torch):
    torch.autograd.functional.jvp(lambda x: x * 2, double(torch, 0.5, 2.0), double(torch, 1.0))


@case
def products_on_the_tape(torch):
    F, x = torch.autograd.functional, double(torch, 0.5, 2.0, tracked=True)
    v = double(torch, 1.0, -3.0, tracked=True)
    y, p = F.vjp(lambda x: x**3, x, v, create_graph=True)
    z, q = F.jvp(lambda x: x**3, x, v, create_graph=True)
    return y, z, torch.autograd.grad(p.sum(), (x, v)), torch.autograd.grad(q.sum(), (x, v))


@case
def func_grad(torch):
    x = double(torch, 0.5, 2.0)
    f = torch.func.grad(lambda x, k: (x**k).sum())
    return f(x, 3), torch.func.grad(lambda a, b: (a * b).sum(), argnums=(0, 1))(x, x * 2), x.requires_grad


@case
def func_grad_nested(torch):
    x = torch.tensor(0.5, dtype=torch.float64)
    g, orders = torch.sin, []
    for _ in range(4):
        g = torch.func.grad(g)
        orders.append(g(x))
    return orders


@case
def func_grad_with_aux(torch):
    x = double(torch, 0.5, 2.0)
    return torch.func.grad(lambda x: ((x * x).sum(), x * 3), has_aux=True)(x), torch.func.grad_and_value(
        lambda x: ((x * x).sum(), x * 3), has_aux=True
    )(x)


@case
def func_grad_of_structures(torch):
    parameters = {"w": double(torch, 0.5, 2.0), "more": [double(torch, 3.0)]}
    return list(torch.func.grad(lambda p: (p["w"] * p["more"][0]).sum())(parameters).values())


@case
def func_grad_leads_out(torch):
    x, w = double(torch, 0.5, 2.0, tracked=True), double(torch, 3.0, 4.0, tracked=True)
    g = torch.func.grad(lambda x: (x**3 * w).sum())(x)
    h = torch.func.grad(lambda x: (x * 2 * w).sum())(double(torch, 1.0, 1.0))
    return g, h, torch.autograd.grad(g.sum(), (x, w)), torch.autograd.grad(h.sum(), w)


@case
def func_grad_inside_no_grad(torch):
    with torch.no_grad():
        return torch.func.grad(lambda x: (x**3).sum())(double(torch, 0.5, 2.0, tracked=True))


@case
def func_grad_of_many(torch):
    torch.func.grad(lambda x: x)(double(torch, 0.5, 2.0))


@case
def func_grad_of_an_unused_argument(torch):
    return torch.func.grad(lambda x, y: (y * y).sum())(double(torch, 0.5), double(torch, 1.0))


@case
def func_vjp(torch):
    value, pull = torch.func.vjp(two, double(torch, 0.5, 2.0), double(torch, 3.0, 1.0))
    u = double(torch, 1.0, 2.0), torch.tensor(3.0, dtype=torch.float64)
    return value, pull(u), pull(u)


@case
def func_jvp(torch):
    x, v = double(torch, 0.5, 2.0), double(torch, 1.0, -3.0)
    return torch.func.jvp(lambda x: (x**3, x.sum()), (x,), (v,))


@case
def func_jacobians(torch):
    x, y = double(torch, 0.5, 2.0), double(torch, 3.0, 1.0)
    return (
        torch.func.jacrev(two)(x, y),
        torch.func.jacrev(two, argnums=(0, 1))(x, y),
        torch.func.jacfwd(lambda x: x**2)(x),
        torch.func.hessian(lambda x: (x**3).sum() * x[0])(x),
    )


@case
def func_vmap(torch):
    x = double(torch, 0.5, 2.0, 3.0, 4.0).reshape(2, 2)
    per_sample = torch.func.vmap(torch.func.grad(lambda w, x: (w * x).sum() ** 2), in_dims=(None, 0))
    return (
        per_sample(double(torch, 1.0, 2.0), x),
        torch.func.vmap(lambda a, b: (a * b, a.sum()), in_dims=(0, 1), out_dims=(1, 0))(x, x),
        torch.func.vmap(lambda d: d["a"] * 2, in_dims=({"a": 1},))({"a": x}),
    )


@case
def func_vmap_of_different_sizes(torch):
    torch.func.vmap(lambda a, b: a * b)(double(torch, 1.0), double(torch, 1.0, 2.0))


@case
def func_functional_call(torch):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1))
    parameters = {name: torch.ones_like(p.detach()) * 0.5 for name, p in model.named_parameters()}
    x = torch.tensor([[1.0, 2.0]])

    def loss(parameters):
        return torch.func.functional_call(model, parameters, (x,)).sum()

    before = [p.detach().clone() for p in model.parameters()]
    grads = torch.func.grad(loss)(parameters)
    unchanged = all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    return list(grads.values()), unchanged, all(p.grad is None for p in model.parameters())
