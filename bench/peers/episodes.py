# SPDX-License-Identifier: Apache-2.0
"""Peers that play episodes: CartPole-v1 alone (with random actions), CartPole-v1 with REINFORCE, and the fry shack with the gradient of its bias.

The rows of Gymnasium and EnvPool take actions drawn beforehand. The JAX rows of CartPole are written by hand, all of the work in one compiled loop,
as the fastest that we know to write; before they are timed, what they compute is compared with what is known."""

CART_POLE_STEPS = 500
BALANCING = (0.5, 1, 10, 3, 0)  # a policy that lasts 462 steps on average
NOTEBOOK_UPDATES = 280


def check(what, value, low, high):
    if not low <= value <= high:
        raise ValueError(f"{what} is {value}, should be {low} to {high}: the row does not compute what it says")


# ---- CartPole, simulation alone


def gymnasium_single():
    import gymnasium
    import numpy

    environment = gymnasium.make("CartPole-v1")
    environment.reset(seed=1)
    actions = numpy.random.default_rng(1).integers(0, 2, 10_000).tolist()

    def run():
        for action in actions:
            _, _, terminated, truncated, _ = environment.step(action)
            if terminated or truncated:
                environment.reset()
        return len(actions)

    return run


def stepping(environment, size, dtype):
    import numpy

    actions = numpy.random.default_rng(1).integers(0, 2, (64, size), dtype)

    def run():
        for a in actions:
            environment.step(a)
        return actions.size

    return run


def gymnasium_vector(size):
    import gymnasium

    environment = gymnasium.make_vec("CartPole-v1", num_envs=size, vectorization_mode="vector_entry_point")  # NumPy, not Python objects
    environment.reset(seed=1)
    return stepping(environment, size, "int64")


def envpool(size):
    import envpool

    environment = envpool.make("CartPole-v1", env_type="gymnasium", num_envs=size, num_threads=1, seed=1)
    environment.reset()
    return stepping(environment, size, "int32")


def gymnax_random(size, steps=256):
    import gymnax
    import jax

    environment, parameters = gymnax.make("CartPole-v1")

    def step(state, key):
        for_actions, for_environments = jax.random.split(key)
        action = jax.random.randint(for_actions, (size,), 0, 2)
        keys = jax.random.split(for_environments, size)
        _, state, reward, *_ = jax.vmap(environment.step, (0, 0, 0, None))(keys, state, action, parameters)
        return state, reward.sum()

    many = jax.jit(lambda state, key: jax.lax.scan(step, state, jax.random.split(key, steps)))
    _, state = jax.vmap(environment.reset, (0, None))(jax.random.split(jax.random.key(0), size), parameters)
    key = jax.random.key(1)

    def run():
        nonlocal state, key
        key, k = jax.random.split(key)
        state, _ = jax.block_until_ready(many(state, k))
        return size * steps

    return run


# ---- CartPole and REINFORCE, written by hand in JAX


def push(state, action):
    """One step of CartPole."""
    import jax.numpy as jnp

    x, velocity, angle, spin = state
    force = jnp.where(action, 10.0, -10.0)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    shared = (force + 0.05 * spin * spin * sin) / 1.1
    angular = (9.8 * sin - cos * shared) / (0.5 * (4 / 3 - 0.1 * cos * cos / 1.1))
    linear = shared - 0.05 * angular * cos / 1.1
    return x + 0.02 * velocity, velocity + 0.02 * linear, angle + 0.02 * spin, spin + 0.02 * angular


def fallen(state):
    import jax.numpy as jnp

    return (jnp.abs(state[0]) > 2.4) | (jnp.abs(state[2]) > 0.20943951)


def reinforce(size, policy, length, steps=256):
    """Steps of `size` lanes: policy, sampling, eligibility traces (gamma 0.99), episodes that begin anew; sums the gradient and counts episodes."""
    import jax
    import jax.numpy as jnp

    def step(carry, key):
        state, age, trace, gradient, ended, policy = carry
        observation = jnp.stack((*state, jnp.ones_like(state[0])))
        p = jax.nn.sigmoid(policy @ observation)
        for_actions, for_starts = jax.random.split(key)
        action = jax.random.uniform(for_actions, (size,)) < p
        trace = 0.99 * trace + (action - p) * observation
        gradient = gradient + trace
        state = push(state, action)
        age = age + 1
        done = fallen(state) | (age >= CART_POLE_STEPS)
        starts = jax.random.uniform(for_starts, (4, size), minval=-0.05, maxval=0.05)
        state = tuple(jnp.where(done, start, s) for start, s in zip(starts, state))
        return (state, jnp.where(done, 0, age), jnp.where(done, 0, trace), gradient, ended + done, policy), None

    @jax.jit
    def many(state, age, trace, policy, key):
        zero = jnp.zeros((5, size)), jnp.zeros(size, jnp.int32)
        carry, _ = jax.lax.scan(step, (state, age, trace, *zero, policy), jax.random.split(key, steps))
        state, age, trace, gradient, ended, _ = carry
        return (state, age, trace), gradient.sum(1), ended.sum()

    policy = jnp.asarray(policy, jnp.float32)
    carry = (tuple(jnp.zeros((4, size))), jnp.zeros(size, jnp.int32), jnp.zeros((5, size)))
    key = jax.random.key(1)

    def advance():
        nonlocal carry, key
        key, k = jax.random.split(key)
        carry, _, ended = jax.block_until_ready(many(*carry, policy, k))
        return int(ended)

    def run():
        advance()
        return size * steps

    ended = sum(advance() for _ in range(8))
    check("the mean length of episodes", 8 * size * steps / ended, 0.8 * length, 1.2 * length)
    return run


def population(size, updates=40, batch=16):
    """Whole trainings of `size` seeds: 40 updates of 16 episodes, Adam 0.2, gamma 0.99, no baseline. An update lasts as long as its longest episode."""
    import jax
    import jax.numpy as jnp

    def going_on(carry):
        _, alive, *_, steps = carry
        return jnp.any(alive) & (steps < CART_POLE_STEPS)

    def update(carry, key):
        policy, m, v, count = carry

        def step(carry):
            state, alive, trace, gradient, returns, key, steps = carry
            observation = jnp.stack((*state, jnp.ones_like(state[0])))
            p = jax.nn.sigmoid(jnp.einsum("ps,psb->sb", policy, observation))
            key, k = jax.random.split(key)
            action = jax.random.uniform(k, (size, batch)) < p
            trace = 0.99 * trace + (action - p) * observation
            gradient = gradient + jnp.where(alive, trace, 0)
            state = push(state, action)
            return state, alive & ~fallen(state), trace, gradient, returns + alive, key, steps + 1

        for_starts, key = jax.random.split(key)
        starts = tuple(jax.random.uniform(for_starts, (4, size, batch), minval=-0.05, maxval=0.05))
        zeros = jnp.zeros((5, size, batch))
        begin = starts, jnp.ones((size, batch), bool), zeros, zeros, jnp.zeros((size, batch)), key, 0
        *_, gradient, returns, _, _ = jax.lax.while_loop(going_on, step, begin)
        gradient = gradient.mean(-1)
        count = count + 1
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient * gradient
        policy = policy + 0.2 * (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8)
        return (policy, m, v, count), returns.mean()

    @jax.jit
    def train(key):
        zeros = jnp.zeros((5, size))
        return jax.lax.scan(update, (zeros, zeros, zeros, 0.0), jax.random.split(key, updates))

    key = jax.random.key(1)

    def advance():
        nonlocal key
        key, k = jax.random.split(key)
        _, returns = jax.block_until_ready(train(k))
        return float(returns[-1])

    def run():
        advance()
        return size

    check("the mean return after 40 updates", advance(), 300, 475)
    return run


# ---- the fry shack: hunger h, probability p = sigmoid(20 h + bias) to go to Norm's, reward 1 or -1, discounted once


def torch_notebook():
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(1)

    def run():
        """The StatQuest notebook: one training, an episode an update."""
        bias = torch.zeros(1, requires_grad=True)
        adam = torch.optim.Adam([bias], lr=0.1)
        for _ in range(NOTEBOOK_UPDATES):
            hunger = torch.rand(1)
            p = torch.sigmoid(20 * hunger + bias)
            norms = (torch.rand(1) < p).float()
            large = torch.rand(1) < torch.where(norms > 0, 0.8, 0.2)
            reward = 0.99 if bool(large) == bool(hunger > 0.5) else -0.99
            loss = torch.nn.functional.binary_cross_entropy(p, norms) * reward
            adam.zero_grad()
            loss.backward()
            adam.step()
        return NOTEBOOK_UPDATES

    return run


FRY_BIAS = -7.0


def check_fry_gradient(value):
    """The mean of d/dbias of -log pi(a) reward is -0.99 times that of p (1 - p) (0.8 - 0.2) * (2, or -2 where not hungry)."""
    import numpy

    hunger = (numpy.arange(1_000_000) + 0.5) / 1_000_000
    p = 1 / (1 + numpy.exp(-20 * hunger - FRY_BIAS))
    exact = (-0.99 * 1.2 * numpy.where(hunger > 0.5, 1, -1) * p * (1 - p)).mean()
    check("the gradient of the bias", value, exact - 0.02, exact + 0.02)


def torch_fry(size):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(1)
    bias = torch.tensor(FRY_BIAS, requires_grad=True)

    def gradient():
        hunger = torch.rand(size)
        logit = 20 * hunger + bias
        norms = torch.rand(size) < torch.sigmoid(logit)
        large = torch.rand(size) < torch.where(norms, 0.8, 0.2)
        reward = torch.where(large == (hunger > 0.5), 0.99, -0.99)
        loss = (torch.nn.functional.softplus(torch.where(norms, -logit, logit)) * reward).mean()  # -log pi
        return torch.autograd.grad(loss, bias)[0].item()

    def run():
        gradient()
        return size

    check_fry_gradient(gradient())
    return run


def jax_fry(size):
    import jax
    import jax.numpy as jnp

    def loss(bias, seed):
        hunger, for_action, for_order = jax.random.uniform(jax.random.key(seed), (3, size))
        logit = 20 * hunger + bias
        norms = for_action < jax.nn.sigmoid(logit)
        large = for_order < jnp.where(norms, 0.8, 0.2)
        reward = jnp.where(large == (hunger > 0.5), 0.99, -0.99)
        return (jax.nn.softplus(jnp.where(norms, -logit, logit)) * reward).mean()  # -log pi

    compiled = jax.jit(jax.grad(loss))
    seed = 0

    def gradient():
        nonlocal seed
        seed += 1
        return float(compiled(FRY_BIAS, seed))

    def run():
        gradient()
        return size

    check_fry_gradient(gradient())
    return run


ROWS = {
    "gymnasium-single": gymnasium_single,
    "gymnasium-vector": gymnasium_vector,
    "envpool": envpool,
    "gymnax-random": gymnax_random,
    "jax-reinforce": lambda size: reinforce(size, (0, 0, 0, 0, 0), 22),
    "jax-reinforce-balancing": lambda size: reinforce(size, BALANCING, 462),
    "jax-population": population,
    "torch-notebook": torch_notebook,
    "torch-fry": torch_fry,
    "jax-fry": jax_fry,
}
