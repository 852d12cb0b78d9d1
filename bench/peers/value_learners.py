# SPDX-License-Identifier: Apache-2.0
"""Peers of DQN and online Q-learning; their work is updates.

  torch-dqn            the update alone: sample 128 of 100,000 stored transitions, loss, backward, Adam, target <- 0.995 target + 0.005 online
  torch-online         the update alone: one transition, gradient through the target too (residual), Adam
  jax-dqn@N            the same update as torch-dqn, N replicas by vmap that share their stored transitions (beyond 16 replicas 10,000 of them), 200
                       updates in one lax.scan, jit
  jax-online@N         the same update as torch-online, N replicas by vmap, 2,000 updates in one lax.scan, jit
  sb3-dqn              Stable-Baselines3's DQN on CartPole-v1, its whole loop, an update a step

Networks: 4-64-64-2 for DQN, 4-32-32-2 online, ReLU, as in fryer's presets `workshop` and `tensorflow`."""

STORED, BATCH, GAMMA, TAU, RATE = 100_000, 128, 0.99, 0.005, 1e-3


def transitions(n):
    import numpy as np

    random = np.random.default_rng(1)
    observation = random.uniform(-0.2, 0.2, (n, 4)).astype("f4")
    following = (observation + random.uniform(-0.02, 0.02, (n, 4))).astype("f4")
    return observation, random.integers(0, 2, n), np.ones(n, "f4"), following, (random.random(n) > 0.05).astype("f4")


def torch_network(units):
    import torch

    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(4, units), torch.nn.ReLU(), torch.nn.Linear(units, units), torch.nn.ReLU(),
                               torch.nn.Linear(units, 2))


def torch_dqn():
    import copy

    import torch

    torch.set_num_threads(1)
    online = torch_network(64)
    target = copy.deepcopy(online)
    adam = torch.optim.Adam(online.parameters(), RATE)
    s, a, r, s2, mask = (torch.from_numpy(x) for x in transitions(STORED))

    def run(updates=200):
        for _ in range(updates):
            i = torch.randint(0, STORED, (BATCH,))
            with torch.no_grad():
                y = r[i] + GAMMA * mask[i] * target(s2[i]).max(1).values
            q = online(s[i]).gather(1, a[i][:, None])[:, 0]
            loss = torch.nn.functional.mse_loss(q, y)
            adam.zero_grad()
            loss.backward()
            adam.step()
            with torch.no_grad():
                for t, o in zip(target.parameters(), online.parameters()):
                    t.mul_(1 - TAU).add_(o, alpha=TAU)
        return updates

    return run


def torch_online():
    import torch

    torch.set_num_threads(1)
    network = torch_network(32)
    adam = torch.optim.Adam(network.parameters(), RATE, eps=1e-7)
    s, a, r, s2, _ = (torch.from_numpy(x) for x in transitions(1000))

    def run(updates=500):
        for i in range(updates):
            y = r[i] + GAMMA * network(s2[i]).max()
            loss = (network(s[i])[a[i]] - y) ** 2
            adam.zero_grad()
            loss.backward()
            adam.step()
        return updates

    return run


def jax_parts(units):
    import jax
    import jax.numpy as jnp

    def initial(key):
        sizes = [(4, units), (units, units), (units, 2)]
        return [(jax.random.normal(k, z) * (2 / z[0]) ** 0.5, jnp.zeros(z[1])) for k, z in zip(jax.random.split(key, 3), sizes)]

    def values(p, x):
        for w, b in p[:-1]:
            x = jax.nn.relu(x @ w + b)
        return x @ p[-1][0] + p[-1][1]

    tree = jax.tree_util.tree_map

    def adam(p, g, m, v, t):
        m = tree(lambda m, g: m + 0.1 * (g - m), m, g)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        step = RATE / (1 - 0.9**t)
        scale = 1 / jnp.sqrt(1 - 0.999**t)
        return tree(lambda p, m, v: p - step * m / (jnp.sqrt(v) * scale + 1e-8), p, m, v), m, v

    return jax, jnp, initial, values, adam, tree


def scanning(state_of, update, replicas, updates):
    import jax

    keys = jax.random.split(jax.random.key(1), replicas)
    state = jax.vmap(state_of)(keys)
    many = jax.jit(jax.vmap(lambda c: jax.lax.scan(update, c, None, length=updates)[0]))

    def run():
        nonlocal state
        state = jax.block_until_ready(many(state))
        return replicas * updates

    return run


def jax_dqn(replicas):
    jax, jnp, initial, values, adam, tree = jax_parts(64)
    stored = STORED if replicas <= 16 else 10_000
    s, a, r, s2, mask = (jnp.asarray(x) for x in transitions(stored))

    def state_of(key):
        p = initial(key)
        zeros = tree(jnp.zeros_like, p)
        return p, p, zeros, zeros, jnp.float32(0), key

    def update(state, _):
        p, target, m, v, t, key = state
        key, k = jax.random.split(key)
        i = jax.random.randint(k, (BATCH,), 0, stored)
        y = r[i] + GAMMA * mask[i] * values(target, s2[i]).max(1)
        loss = lambda p: ((jnp.take_along_axis(values(p, s[i]), a[i][:, None], 1)[:, 0] - y) ** 2).mean()
        t = t + 1
        p, m, v = adam(p, jax.grad(loss)(p), m, v, t)
        target = tree(lambda t, o: t + TAU * (o - t), target, p)
        return (p, target, m, v, t, key), None

    return scanning(state_of, update, replicas, 200)


def jax_online(replicas):
    jax, jnp, initial, values, adam, tree = jax_parts(32)
    s, a, r, s2, _ = (jnp.asarray(x) for x in transitions(1000))

    def state_of(key):
        p = initial(key)
        zeros = tree(jnp.zeros_like, p)
        return p, zeros, zeros, jnp.float32(0)

    def update(state, _):
        p, m, v, t = state
        i = t.astype(jnp.int32) % 1000
        loss = lambda p: (values(p, s[i])[a[i]] - r[i] - GAMMA * values(p, s2[i]).max()) ** 2
        t = t + 1
        p, m, v = adam(p, jax.grad(loss)(p), m, v, t)
        return (p, m, v, t), None

    return scanning(state_of, update, replicas, 2000)


def sb3_dqn():
    import torch

    torch.set_num_threads(1)
    from stable_baselines3 import DQN
    from stable_baselines3.common.logger import Logger

    model = DQN("MlpPolicy", "CartPole-v1", learning_rate=RATE, buffer_size=STORED, learning_starts=1000, batch_size=BATCH, tau=TAU,
                target_update_interval=1, train_freq=1, gradient_steps=1, gamma=GAMMA, exploration_final_eps=0.01,
                exploration_fraction=0.01, policy_kwargs={"net_arch": [64, 64]})
    model.set_logger(Logger(None, []))  # writes nothing
    model.learn(1500)  # beyond the warm-up

    def run(updates=500):
        model.learn(updates, reset_num_timesteps=False)
        return updates

    return run


ROWS = {"torch-dqn": torch_dqn, "torch-online": torch_online, "jax-dqn": jax_dqn, "jax-online": jax_online, "sb3-dqn": sb3_dqn}
